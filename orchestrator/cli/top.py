"""``wampy top``."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import Any

import click

from orchestrator.cli.context import DURATION, Invocation
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.output import STATE_COLOURS, duration_text, size_text
from orchestrator.cli.ps import render as render_ps

#: Columns that are numbers.
_RIGHT = ("PID", "UP", "RST", "BUSY", "OLDEST", "CALLS/S", "CALLS", "CPU%", "MEMORY")


@click.command()
@click.option("--interval", type=DURATION, default=1.0, metavar="T", help="Between two looks; 1s.")
@click.option("--once", is_flag=True, help="Print one table and end, as without a terminal.")
@click.pass_obj
def command(invocation: Invocation, interval: float, once: bool) -> int:
    """Show what ps shows, live; q or Ctrl-C ends.

    Busiest first; calls per second and CPU are those since the look before.
    """
    client = invocation.client()
    first = client.ps()
    if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        print(render_ps(first))
        return ExitCode.DONE
    from rich.console import Console
    from rich.live import Live

    from orchestrator.errors import NoSuchStack

    rates = Rates()
    console = Console()
    text = None
    with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        snapshot = first
        while True:
            live.update(_screen(snapshot, rates.of(snapshot, time.monotonic())), refresh=True)
            if _is_over(max(0.1, interval)):
                break
            try:
                snapshot = client.ps()
            except NoSuchStack as error:
                text = str(error)
                break
    if text is not None:
        raise NoSuchStack(text)
    return ExitCode.DONE


class Rates:
    """Calls per second and CPU of each Instance, from one look to the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], tuple[float, int, float]] = {}

    def of(self, snapshot: dict[str, Any], now: float) -> dict[str, tuple[float, float]]:
        """Give ``{"search:0": (calls per second, CPU in percent of a core)}``."""
        found = {}
        current = {}
        for row in snapshot["instances"]:
            key = (row["instance"], row["incarnation"])
            cpu_s = _cpu_s(row["pid"])
            current[key] = (now, row["calls"], cpu_s)
            then, calls, cpu_before_s = self._before.get(key, current[key])
            passed_s = now - then
            if passed_s > 0:
                rate = max(0, row["calls"] - calls) / passed_s
                busy = max(0.0, cpu_s - cpu_before_s) / passed_s
                found[row["instance"]] = (rate, 100.0 * busy)
        self._before = current
        return found


def _cpu_s(pid: int | None) -> float:
    """Give the CPU seconds that a process has used; 0.0 for one that is not there."""
    if pid is None:
        return 0.0
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _screen(snapshot: dict[str, Any], rates: dict[str, tuple[float, float]]) -> Any:
    from rich.table import Table

    router = snapshot["router"]
    title = (
        f"{snapshot['stack']}: {snapshot['state']}, up {duration_text(snapshot['uptime_s'])}; "
        f"router {router['type']} {router['state']}{'' if router['ready'] else ', not ready'}"
        f" {router['url']}"
    )
    found = Table(title=title, title_justify="left", expand=True, box=None, pad_edge=False)
    for name in ("NAME", "STATE", "READY", *_RIGHT, "REASON"):
        justify: Any = "right" if name in _RIGHT else "left"
        found.add_column(name, justify=justify, no_wrap=True)
    rows = sorted(snapshot["instances"], key=lambda row: _busyness(row, rates))
    for row in rows:
        rate, cpu = rates.get(row["instance"], (0.0, 0.0))
        state = row["state"]
        ready = "saturated" if row["saturated"] else "yes" if row["ready"] else "no"
        found.add_row(
            row["instance"],
            f"[{STATE_COLOURS[state]}]{state}[/]" if state in STATE_COLOURS else state,
            ready,
            str(row["pid"] or "-"),
            duration_text(row["uptime_s"]),
            str(row["restarts"]),
            str(row["in_flight"]),
            duration_text(row["oldest_call_s"] or None),
            f"{rate:.1f}",
            str(row["calls"]),
            f"{cpu:.1f}",
            size_text(row["pss_bytes"]),
            (row["reason"] or "").replace("[", "\\["),
        )
    return found


def _busyness(row: dict[str, Any], rates: dict[str, tuple[float, float]]) -> tuple[Any, ...]:
    """What is wrong first, then who has most to do."""
    rate, cpu = rates.get(row["instance"], (0.0, 0.0))
    return (row["state"] == "RUNNING" and row["ready"], -cpu, -rate, row["name"], row["index"])


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Have each key at once, unechoed; the terminal is put back whatever happens."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def end(signum: int, frame: Any) -> None:
        raise SystemExit(128 + signum)

    former = signal.signal(signal.SIGTERM, end)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, former)


def _is_over(wait_s: float) -> bool:
    """Wait; whether q was pressed meanwhile."""
    deadline = time.monotonic() + wait_s
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            key = os.read(sys.stdin.fileno(), 1)
            if key in (b"q", b"Q", b"\x03", b"\x04", b""):
                return True
    return False
