"""``wampy reload``."""

from __future__ import annotations

import sys
from typing import Any

import click

from orchestrator.cli.context import DURATION, Invocation, client_of
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.outcomes import complain
from orchestrator.cli.output import print_json, table
from orchestrator.cli.progress import shown

_SIGNS = {"start": "+", "stop": "-", "restart": "~", "update": "="}
_COLOURS = {"start": "green", "stop": "red", "restart": "yellow"}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--timeout", type=DURATION, metavar="T", help="How long to wait, such as 30s.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(invocation: Invocation, dry_run: bool, timeout: float | None, as_json: bool) -> int:
    """Take over what has changed in the manifest and in the code; nothing else is touched.

    A manifest that is wrong, or code that cannot be imported, changes nothing. Peers whose code or
    settings changed are restarted, replicas one after the other: no call is lost.
    """
    client = client_of(invocation.manifest())
    with shown(client):
        answer = client.reload(dry_run=dry_run, timeout_s=timeout)
    if as_json:
        print_json(answer)
    else:
        show_plan(answer["plan"])
    if answer["error"]:
        print(answer["error"], file=sys.stderr)
        return ExitCode.USAGE
    return complain(answer["outcomes"])


def show_plan(plan: list[dict[str, Any]]) -> None:
    """Print a plan, a line a change; or that there is none."""
    if not plan:
        print("nothing has changed")
        return
    rows = [
        [_SIGNS[change["action"]], change["target"], change["action"], change["reason"]]
        for change in plan
    ]
    titles = ("", "NAME", "ACTION", "WHY")
    print(table(titles, rows, style=lambda _, cell: _COLOURS.get(cell.strip())))
