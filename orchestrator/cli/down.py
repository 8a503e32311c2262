"""``wampy down``."""

from __future__ import annotations

import sys

import click

from orchestrator.cli.context import DURATION, Invocation
from orchestrator.cli.progress import shown
from orchestrator.ending import end_stack


@click.command()
@click.option("--timeout", type=DURATION, metavar="T", help="Then kill what is left; such as 30s.")
@click.pass_obj
def command(invocation: Invocation, timeout: float | None) -> None:
    """Stop the stack in reverse order, the Router last; nothing of it is left afterwards."""

    def tell() -> None:
        print(f"wampy: not down within {timeout:g} s: killing what is left", file=sys.stderr)

    client = invocation.client()
    snapshot = client.ps()
    with shown(client):
        end_stack(client, timeout, on_late=tell)
    print(f"{snapshot['stack']} is down", file=sys.stderr)
