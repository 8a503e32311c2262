"""``wampy ps``."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.cli.context import Invocation
from orchestrator.cli.output import STATE_COLOURS, duration_text, print_json, size_text, table

_TITLES = (
    "NAME",
    "STATE",
    "READY",
    "PID",
    "UPTIME",
    "RESTARTS",
    "HEARTBEAT",
    "BUSY",
    "CALLS",
    "MEMORY",
    "LAST EXIT",
    "REASON",
)
_NUMBERS = ("PID", "UPTIME", "RESTARTS", "HEARTBEAT", "BUSY", "CALLS", "MEMORY")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool) -> None:
    """Show the Router and all Instances: state, ready, pid, restarts, calls, memory."""
    snapshot = invocation.client().ps()
    if as_json:
        print_json(snapshot)
        return
    print(render(snapshot))


def render(snapshot: dict[str, Any]) -> str:
    """Lay out what ``ps --json`` gives as a table for people."""
    router = snapshot["router"]
    rows = [_router_row(router), *(_row(row) for row in snapshot["instances"])]
    titles = list(_TITLES)
    if not any(row[-1] for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    return table(titles, rows, right=_NUMBERS, style=_style)


def _router_row(router: dict[str, Any]) -> list[str]:
    reason = router.get("reason") or ""
    return [
        "router",
        str(router["state"]),
        "yes" if router.get("ready", router["state"] == "RUNNING") else "no",
        _or_dash(router.get("pid")),
        duration_text(router.get("uptime_s")),
        _or_dash(router.get("restarts")),
        "-",
        "-",
        "-",
        size_text(router.get("pss_bytes")),
        "-",
        reason or f"{router.get('type', '')} {router.get('url', '')}".strip(),
    ]


def _row(row: dict[str, Any]) -> list[str]:
    ready = "yes" if row["ready"] else "no"
    if row["ready"] and row.get("saturated"):
        ready = "saturated"
    beat = row.get("heartbeat_ms")
    return [
        row["instance"],
        row["state"],
        ready,
        _or_dash(row.get("pid")),
        duration_text(row.get("uptime_s")),
        _or_dash(row.get("restarts")),
        "-" if beat is None else f"{beat:.1f}ms",
        _or_dash(row.get("in_flight")),
        _or_dash(row.get("calls")),
        size_text(row.get("pss_bytes")),
        exit_text(row.get("exit")),
        _one_line(row.get("reason") or ""),
    ]


def exit_text(last: dict[str, Any] | None) -> str:
    """Give the cause, or code or signal, of the ``exit`` of an Instance."""
    if last is None:
        return "-"
    if last.get("cause"):
        return _one_line(str(last["cause"]))
    return f"code {last['code']}" if last.get("signal") is None else signal_text(last["signal"])


def signal_text(signal: Any) -> str:
    """Give the name of a signal's number."""
    if not isinstance(signal, int):
        return str(signal)
    import signal as signals

    try:
        return signals.Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:100]


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _style(title: str, cell: str) -> str | None:
    if title == "STATE":
        return STATE_COLOURS.get(cell.strip())
    if title == "READY":
        return {"no": "yellow", "saturated": "yellow"}.get(cell.strip())
    return None
