"""``wampy why``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.context import Invocation, check_names, client_of
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.output import duration_text, is_coloured, print_json, size_text
from orchestrator.cli.ps import signal_text

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest

#: Lines of tracebacks that one screen has room for; ``--json`` has all of them.
_TRACEBACK_LINES = 40


@click.command()
@click.argument("name", metavar="NAME")
@click.option("-n", "count", default=1, metavar="N", help="How many failures in full; 1.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, for programs.")
@click.pass_obj
def command(invocation: Invocation, name: str, count: int, as_json: bool) -> int:
    """Tell why an Instance failed: when, of what, its last lines, what its threads did.

    NAME is an Instance (search:0), a Peer, or router. Works with the stack down, too.
    """
    manifest = invocation.manifest()
    check_names(manifest, (name,), extra=("router",))
    rows, failures = _known(manifest, name)
    if as_json:
        print_json({"now": rows, "failures": failures})
        return ExitCode.DONE
    print(render(name, rows, failures, count))
    return ExitCode.DONE


def _known(
    manifest: Manifest, name: str
) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]]]:
    """Give the rows of ``ps`` that are meant, None without a stack, and their failures by time."""
    from orchestrator.errors import NoSuchStack
    from orchestrator.failures import Failures

    failures = Failures(manifest.stack.run_dir / "failures")
    rows: list[dict[str, Any]] | None
    try:
        snapshot = client_of(manifest).ps()
    except NoSuchStack:
        rows = None
    else:
        instances = [{"instance": "router", **snapshot["router"]}, *snapshot["instances"]]
        rows = [row for row in instances if _is_meant(row["instance"], name)]
    found = [one for who in failures.names() if _is_meant(who, name) for one in failures.of(who)]
    return rows, sorted(found, key=lambda one: one["at"])


def _is_meant(instance: str, name: str) -> bool:
    if name == "all":
        return True
    return instance == name or instance.partition(":")[0] == name


def render(
    name: str, rows: list[dict[str, Any]] | None, failures: list[dict[str, Any]], count: int
) -> str:
    """Lay out the story: how it is now, the last failures in full, a line for each before."""
    lines = ["the stack is not running"] if rows is None else [_now(row) for row in rows]
    if not failures:
        return "\n".join([*lines, f"no failure of {name} is known"])
    times = f"{len(failures)} failures" if len(failures) > 1 else "1 failure"
    lines.append(f"{times}, the last {_ago(failures[-1]['at'])} ago")
    full = failures[-max(1, count) :]
    for failure in reversed(full):
        lines += ["", *_in_full(failure)]
    before = failures[: -len(full)]
    if before:
        lines += ["", "before that:"]
        lines += [f"  {_headline(one)} -> {one['then']}" for one in reversed(before)]
    return "\n".join(lines)


def _now(row: dict[str, Any]) -> str:
    ready = ", ready" if row["ready"] else ""
    pid = f", pid {row['pid']}, up {duration_text(row['uptime_s'])}" if row.get("pid") else ""
    restarts = f", {row['restarts']} restarts" if row.get("restarts") else ""
    reason = f" ({row['reason']})" if row.get("reason") else ""
    return f"{row['instance']} is {row['state']}{ready}{reason}{pid}{restarts}"


def _headline(failure: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(failure["at"]))
    incarnation = failure["incarnation"]
    which = "" if incarnation is None else f", incarnation {incarnation}"
    return f"{at}  {failure['name']}{which}: {failure['cause']}"


def _in_full(failure: dict[str, Any]) -> list[str]:
    head = _headline(failure)
    lines = [click.style(head, fg="red", bold=True) if is_coloured() else head]
    was = {True: "it had been ready", False: "it had never been ready", None: ""}
    lived = f"lived {duration_text(failure['lived_s'])}"
    pid = f"pid {failure['pid']}" if failure["pid"] else ""
    parts = [pid, lived, was[failure["was_ready"]], _exit_of(failure)]
    lines.append("  " + ", ".join(part for part in parts if part))
    beat = failure.get("heartbeat")
    if beat:
        lines.append(
            f"  at its last heartbeat: {beat['in_flight'] or 0} calls in flight, the oldest "
            f"{duration_text(beat['oldest_call_s'] or 0.0)}; {beat['calls'] or 0} calls and "
            f"{beat['errors'] or 0} errors so far, {size_text(beat['pss_bytes'])}"
        )
    lines.append(f"  then: {failure['then']}")
    if failure["lines"]:
        lines.append("  its last lines:")
        for at, stream, text in failure["lines"][-12:]:
            mark = "err" if stream == "stderr" else "out"
            clock = time.strftime("%H:%M:%S", time.localtime(at))
            lines.append(f"    {clock} {mark} | {text}")
    if failure["tracebacks"]:
        dump = failure["tracebacks"].rstrip().splitlines()
        lines.append("  what its threads did:")
        lines += [f"    {line}" for line in dump[:_TRACEBACK_LINES]]
        if len(dump) > _TRACEBACK_LINES:
            lines.append(f"    … {len(dump) - _TRACEBACK_LINES} lines more: --json")
    return lines


def _exit_of(failure: dict[str, Any]) -> str:
    if failure["signal"] is not None:
        return f"ended by {signal_text(failure['signal'])}"
    return "" if failure["code"] is None else f"exit code {failure['code']}"


def _ago(at: float) -> str:
    return duration_text(max(0.0, time.time() - at))
