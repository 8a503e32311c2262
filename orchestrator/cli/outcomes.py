"""What came of a request for several Instances: shown, and turned into an exit code."""

from __future__ import annotations

import sys
from typing import Any

from orchestrator.cli.exits import ExitCode
from orchestrator.cli.output import STATE_COLOURS, print_json, table


def report(outcomes: list[dict[str, Any]], *, as_json: bool) -> int:
    """Show the outcomes; gives 0, or 3 when an Instance did not get where it should.

    Args:
        outcomes: ``{"instance", "ok", "state", "reason"}`` each.
        as_json: for programs.
    """
    if as_json:
        print_json(outcomes)
    else:
        rows = [[o["instance"], o["state"]] for o in outcomes]
        print(table(("NAME", "STATE"), rows, style=lambda _, cell: STATE_COLOURS.get(cell.strip())))
    return complain(outcomes)


def complain(outcomes: list[dict[str, Any]]) -> int:
    """Say on stderr which Instances failed and why; gives the exit code."""
    failed = [outcome for outcome in outcomes if not outcome["ok"]]
    for outcome in failed:
        name, state = outcome["instance"], outcome["state"]
        reason = outcome.get("reason") or "no reason known"
        print(f"wampy: {name} is {state}: {reason}; see wampy logs {name}", file=sys.stderr)
    return ExitCode.GAVE_UP if failed else ExitCode.DONE
