"""``wampy down``."""

from __future__ import annotations

import contextlib
import sys

import click

from orchestrator.cli.context import DURATION, Invocation
from orchestrator.cli.ending import watched_end
from orchestrator.cli.exits import CommandError

#: Seconds that the orchestrator's own processes get once the stack is down.
_LAST_PROCESSES_S = 10.0


@click.command()
@click.option("--timeout", type=DURATION, metavar="T", help="Then kill what is left; such as 30s.")
@click.pass_obj
def command(invocation: Invocation, timeout: float | None) -> None:
    """Stop the stack in reverse order, the Router last; nothing of it is left afterwards."""
    from orchestrator.errors import NoSuchStack

    client = invocation.client()
    snapshot = client.ps()
    with watched_end(snapshot) as end:
        try:
            client.down(timeout_s=timeout)
        except TimeoutError:
            print(f"wampy: not down within {timeout:g} s: killing what is left", file=sys.stderr)
            # A supervisor that does not do even that is ended from outside.
            with contextlib.suppress(TimeoutError, NoSuchStack):
                client.kill(timeout_s=_LAST_PROCESSES_S)
            if not end.wait(0.5):
                end.kill()
        if not end.wait(_LAST_PROCESSES_S):
            raise CommandError(f"the supervisor (pid {snapshot['pid']}) has not ended")
    print(f"{snapshot['stack']} is down", file=sys.stderr)
