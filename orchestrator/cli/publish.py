"""``wampy publish``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation
from orchestrator.cli.wamp import operator_session, parse_argument, parse_keywords


@click.command()
@click.argument("topic")
@click.argument("arguments", metavar="[ARG]...", nargs=-1)
@click.option("--kw", "keywords", metavar="K=V", multiple=True, help="A keyword argument.")
@click.option(
    "--timeout", type=DURATION, default=30.0, metavar="T", help="How long to wait; default 30s."
)
@click.pass_obj
def command(
    invocation: Invocation,
    topic: str,
    arguments: tuple[str, ...],
    keywords: tuple[str, ...],
    timeout: float,
) -> None:
    """Publish an event; returns when the Router has taken it.

    Each ARG is JSON where it parses as JSON, else a string. Write -- before a negative number.
    """
    args = [parse_argument(text) for text in arguments]
    kwargs = parse_keywords(keywords)
    with operator_session(invocation, timeout) as session:
        session.publish(topic, *args, acknowledge=True, **kwargs)
