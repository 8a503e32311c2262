"""``wampy call``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation
from orchestrator.cli.output import json_line
from orchestrator.cli.wamp import operator_session, parse_argument, parse_keywords


@click.command()
@click.argument("uri")
@click.argument("arguments", metavar="[ARG]...", nargs=-1)
@click.option("--kw", "keywords", metavar="K=V", multiple=True, help="A keyword argument.")
@click.option(
    "--timeout", type=DURATION, default=30.0, metavar="T", help="How long to wait; default 30s."
)
@click.option("--progress", is_flag=True, help="Print each progressive result, one JSON line each.")
@click.pass_obj
def command(
    invocation: Invocation,
    uri: str,
    arguments: tuple[str, ...],
    keywords: tuple[str, ...],
    timeout: float,
    progress: bool,
) -> None:
    """Call a procedure and print its result as JSON.

    Each ARG is JSON where it parses as JSON, else a string. Write -- before a negative number.
    """
    args = [parse_argument(text) for text in arguments]
    kwargs = parse_keywords(keywords)
    with operator_session(invocation, timeout) as session:
        if progress:
            for part in session.call_progress(uri, *args, timeout=timeout, **kwargs):
                print(json_line(part), flush=True)
        else:
            print(json_line(session.call(uri, *args, timeout=timeout, **kwargs)))
