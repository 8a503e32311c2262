"""Instances as supervisor's clients see processes: group = Peer, process = index."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from supervisor.states import (
    RUNNING_STATES,
    SIGNALLABLE_STATES,
    ProcessStates,
    getProcessStateDescription,
)

from orchestrator.logs.reader import LogReader

Row = dict[str, Any]


def state_code(row: Row) -> int:
    """Give supervisor's number of an Instance's state; the names are the same."""
    return int(getattr(ProcessStates, row["state"], ProcessStates.UNKNOWN))


def is_running(row: Row) -> bool:
    """Whether supervisor would say "already started"."""
    return state_code(row) in RUNNING_STATES


def is_signallable(row: Row) -> bool:
    """Whether there is a process that a signal could be sent to."""
    return state_code(row) in SIGNALLABLE_STATES and row["pid"] is not None


def select(rows: list[Row], name: str) -> list[Row]:
    """Give the Instances that ``search:0``, ``search:*`` or ``search`` means; none: unknown."""
    group, _, process = name.partition(":")
    return [row for row in rows if row["name"] == group and process in ("", "*", str(row["index"]))]


def process_info(row: Row, logs: LogReader, now: float) -> Row:
    """Give what ``getProcessInfo`` does."""
    state = state_code(row)
    last = row["exit"] or {}
    stopped_at = last.get("at") or 0.0
    start = now - row["uptime_s"] if row["uptime_s"] is not None else 0.0
    out = str(logs.path_of(row["instance"], "stdout"))
    return {
        "name": str(row["index"]),
        "group": row["name"],
        "start": int(start or stopped_at),
        "stop": int(stopped_at),
        "now": int(now),
        "state": state,
        "statename": getProcessStateDescription(state),
        "spawnerr": (row["reason"] or "") if row["state"] in ("FATAL", "BACKOFF") else "",
        "exitstatus": _exit_status(last),
        "logfile": out,
        "stdout_logfile": out,
        "stderr_logfile": str(logs.path_of(row["instance"], "stderr")),
        "pid": row["pid"] or 0,
        "description": describe(row, stopped_at),
    }


def describe(row: Row, stopped_at: float) -> str:
    """Give the last column of ``supervisorctl status``."""
    state, reason = row["state"], row["reason"]
    if state == "RUNNING":
        hours, rest = divmod(int(row["uptime_s"] or 0), 3600)
        days, hours = divmod(hours, 24)
        uptime = f"{hours}:{rest // 60:02}:{rest % 60:02}"
        if days:
            uptime = f"{days} day{'s' if days > 1 else ''}, {uptime}"
        unready = "" if row["ready"] else f", not ready: {reason or 'not yet'}"
        return f"pid {row['pid']}, uptime {uptime}{unready}"
    if state in ("FATAL", "BACKOFF"):
        return reason or f'unknown error (try "tail {row["instance"]} stderr")'
    if state in ("STOPPED", "EXITED"):
        if not stopped_at:
            return "Not started"
        return time.strftime("%b %d %I:%M %p", time.localtime(stopped_at))
    return reason or ""


def config_info(row: Row, logs: LogReader) -> Row:
    """Give what of ``getAllConfigInfo`` has a meaning here."""
    return {
        "name": str(row["index"]),
        "group": row["name"],
        "inuse": True,
        "autostart": True,
        "group_prio": 999,
        "process_prio": 999,
        "redirect_stderr": False,
        "stdout_logfile": str(logs.path_of(row["instance"], "stdout")),
        "stderr_logfile": str(logs.path_of(row["instance"], "stderr")),
    }


def statuses(
    rows: list[Row], result: Callable[[Row], tuple[int, str]]
) -> list[dict[str, str | int]]:
    """Give what requests on several processes answer: one status each, of ``result``."""
    found: list[dict[str, str | int]] = []
    for row in rows:
        status, description = result(row)
        found.append(
            {
                "name": str(row["index"]),
                "group": row["name"],
                "status": status,
                "description": description,
            }
        )
    return found


def _exit_status(last: Row) -> int:
    if last.get("code") is not None:
        return int(last["code"])
    # As supervisor has it for a process that a signal ended.
    return -1 if last.get("signal") is not None else 0
