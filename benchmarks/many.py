"""25, 100 and 400 Instances: start, the supervisor at rest, the Router killed, a crash loop."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import (
    arguments,
    cpu_seconds,
    say,
    temporary_folder,
    wait_for,
    write_rows,
)
from benchmarks.engines import wampy_program
from orchestrator import Stack
from wampy import Session, WampyError

COUNTS = (25, 100, 400)
PEER = """
from wampy import Peer, rpc

class Echo(Peer):
    @rpc("many.echo")
    def echo(self, value):
        return value

class Crashing(Peer):
    def on_start(self):
        raise RuntimeError("no such database")
"""
MANIFEST = """
[stack]
name = "many"
[router]
port = 0
[peers.echo]
app = "many_peer:Echo"
replicas = {count}
[peers.crash]
app = "many_peer:Crashing"
replicas = 10
profiles = ["crash"]
"""


@dataclass
class Row:
    """What was measured of so many Instances."""

    count: int
    up_s: list[float] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    cpu_percent: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    again_s: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        def pair(values: list[float], unit: str, digits: int) -> str:
            if not values:
                return "–"
            return f"{statistics.median(values):.{digits}f} / {max(values):.{digits}f} {unit}"

        return [
            str(self.count), pair(self.up_s, "s", 2), pair(self.down_s, "s", 2),
            pair(self.cpu_percent, "%", 2), pair(self.rss_mib, "MiB", 1),
            pair(self.again_s, "s", 2),
        ]  # fmt: skip


def measure(folder: Path, row: Row, at_rest_s: float) -> None:
    """Start, rest, kill the Router, stop."""
    (folder / "many_peer.py").write_text(PEER)
    (folder / "wampy.toml").write_text(MANIFEST.format(count=row.count))
    began = time.monotonic()
    subprocess.run([wampy_program(), "up", "-d"], cwd=folder, check=True, capture_output=True)
    row.up_s.append(time.monotonic() - began)
    with Stack.from_manifest(folder / "wampy.toml") as stack:
        supervisor = stack.ps()["pid"]
        time.sleep(5)
        spent, since = cpu_seconds(supervisor), time.monotonic()
        time.sleep(at_rest_s)
        elapsed = time.monotonic() - since
        row.cpu_percent.append((cpu_seconds(supervisor) - spent) / elapsed * 100)
        row.rss_mib.append(psutil.Process(supervisor).memory_info().rss / 2**20)
        row.again_s.append(kill_router(stack, row.count))
        began = time.monotonic()
        stack.down()
        row.down_s.append(time.monotonic() - began)
    say(f"   {row.cells()}")


def kill_router(stack: Stack, count: int) -> float:
    """Give the seconds from the first answer of the new Router until all Peers are callable."""
    snapshot = stack.ps()
    before = [one["pid"] for one in snapshot["instances"]]
    url = snapshot["router"]["url"]
    os.kill(snapshot["router"]["pid"], signal.SIGKILL)
    wait_for(lambda: answers(url), 20, "the Router answers", 0.001)
    began = time.monotonic()
    wait_for(lambda: callees(stack) >= count, 60, f"{count} callees", 0.005)
    seconds = time.monotonic() - began
    after = [one["pid"] for one in stack.ps()["instances"]]
    if after != before:
        raise SystemExit("a Peer was restarted for the Router")
    return seconds


def answers(url: str) -> bool:
    try:
        with Session(url, "realm1", reconnect=False, timeout=1.0):
            return True
    except WampyError:
        return False


def callees(stack: Stack) -> int:
    try:
        registration: Any = stack.call("wamp.registration.lookup", "many.echo", timeout=1.0)
        if registration is None:
            return 0
        return int(stack.call("wamp.registration.count_callees", registration, timeout=1.0))
    except WampyError:
        return 0  # the operator's own Session is not back yet


def crash_loop(folder: Path) -> list[str]:
    """Ten Instances that cannot start: what the supervisor spends on them until they are FATAL."""
    (folder / "many_peer.py").write_text(PEER)
    (folder / "wampy.toml").write_text(MANIFEST.format(count=0))
    with Stack.from_manifest(folder / "wampy.toml") as stack:
        supervisor = stack.ps()["pid"]
        time.sleep(3)
        spent, began = cpu_seconds(supervisor), time.monotonic()
        argv = [wampy_program(), "start", "crash"]
        subprocess.run(argv, cwd=folder, check=False, capture_output=True)
        elapsed = time.monotonic() - began
        cpu = (cpu_seconds(supervisor) - spent) / elapsed * 100
        rows = [row for row in stack.ps()["instances"] if row["name"] == "crash"]
        states = {row["state"] for row in rows}
        starts = sum(row["incarnation"] for row in rows)
    say(f"   crash loop: {cpu:.2f} % over {elapsed:.1f} s, {starts} starts, {states}")
    if states != {"FATAL"}:
        raise SystemExit(f"a crash loop ended {states}")
    return [f"{cpu:.2f} %", f"{elapsed:.1f} s", str(starts)]


def main() -> int:
    options = arguments(__doc__, rounds=5, at_rest=60)
    rows = [Row(count) for count in COUNTS]
    for _ in range(options.rounds):
        for row in rows:
            with temporary_folder() as folder:
                measure(folder, row, options.at_rest)
    with temporary_folder() as folder:
        crashed = crash_loop(folder)
    write_rows(
        "many",
        "Many Instances of one stack",
        f"Over the built-in Router, median / worst of {options.rounds}; the supervisor at rest for "
        f"{options.at_rest} s, a heartbeat to each Instance every 2 s. The Router is killed with "
        "-9: from the new one's first answer until all have registered again. 10 Instances that "
        f"cannot start took the supervisor {crashed[0]} of a core for the {crashed[1]} and "
        f"{crashed[2]} starts until all were FATAL.",
        ["Instances", "`up -d`", "`down`", "supervisor's CPU", "its RSS", "after the Router"],
        [row.cells() for row in rows],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
