"""What a stack does when things fail, in numbers: ``docs/failures.md``.

``python -m benchmarks.failures [--rounds N]``: each fault is brought about in a real stack with
default heartbeats (every 2 s, 3 misses) while its procedure is called all the time; measured is
after how long it was found, after how long it was callable again, and how many calls got no result.
"""

from __future__ import annotations

import datetime
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, arguments, commit, machine, say, temporary_folder, wait_for
from benchmarks.engines import wampy_program
from orchestrator import Stack
from orchestrator.processes import children_of, is_alive, parent_of, processes_marked
from orchestrator.rundir import RUN_MARK, RunDir
from wampy import Session, WampyError
from wampy.testing.executables import find_crossbar

DOCUMENT = HERE.parent / "docs" / "failures.md"
PEER = """
import os, re, time
from wampy import Peer, rpc

class Echo(Peer):
    @rpc("failures.echo")
    def echo(self, value):
        time.sleep(0.002)
        return value

    def on_start(self):
        self.session.register(f"failures.spin.{os.getpid()}", self.spin)

    def spin(self):
        re.match(r"(a*)*b", "a" * 60)
"""
MANIFEST = """
[stack]
name = "failures"
[router]
type = "crossbar"
port = 0
command = ["{crossbar}"]
[peers.echo]
app = "failing:Echo"
replicas = 2
backoff = {{ reset_after = "1s" }}
"""


@dataclass
class Row:
    """One fault: what it is, what is done, what is promised, and what was measured."""

    fault: str
    does: str
    bound: str
    found_ms: list[float] = field(default_factory=list)
    again_ms: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    calls: int = 0

    def markdown(self) -> str:
        lost = "–" if not self.lost else f"{statistics.median(self.lost):g} / {max(self.lost)}"
        of = f" of {self.calls:,}" if self.lost else ""
        cells = [self.fault, self.does, self.bound, _pair(self.found_ms), _pair(self.again_ms)]
        return "| " + " | ".join([*cells, lost + of, str(len(self.again_ms))]) + " |"


def _pair(values: list[float]) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):,.0f} / {max(values):,.0f} ms"


class Load:
    """Calls without a pause from two threads, counting those that got no result."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self.lost = 0
        self._url = url
        self._is_over = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.count > 20, 10, "calls get through")
        self.lost = 0
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join(15)

    def _run(self) -> None:
        with Session(self._url, realm="realm1") as session:
            while not self._is_over:
                self.count += 1
                try:
                    session.call("failures.echo", 1, timeout=12.0)
                except WampyError:
                    self.lost += 1


class Watch:
    """The stack's transitions, with the time at which each was heard."""

    def __init__(self, stack: Stack) -> None:
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self._stack = stack
        threading.Thread(target=self._run, daemon=True).start()
        wait_for(lambda: bool(self.heard), 5, "the stack tells its transitions")

    def _run(self) -> None:
        for event in self._stack.client.events():
            self.heard.append((time.monotonic(), event))

    def first(self, since: float, accept: Callable[[dict[str, Any]], bool]) -> float | None:
        found = (at for at, event in list(self.heard) if at >= since and accept(event))
        return next(found, None)


class Scene:
    """A stack under load, in which faults are brought about."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.watch = Watch(stack)

    def row(self, index: int = 0) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.stack.ps()["instances"]
        return rows[index]

    def settle(self) -> None:
        """Wait until all is well, and has been for long enough that the next fault is the first."""
        wait_for(
            lambda: all(row["ready"] for row in self.stack.ps()["instances"]), 60, "all is ready"
        )
        time.sleep(1.2)

    def instance(self, row: Row, fault: Callable[[int], None]) -> None:
        """Bring a fault about in the first Instance, and measure."""
        self.settle()
        pid = self.row()["pid"]
        uri = "wampy.failures.peer.echo.0.heartbeat"
        with Load(self.stack.ps()["router"]["url"]) as load:
            began = time.monotonic()
            fault(pid)

            def is_new() -> bool:
                try:
                    answer = self.stack.call(uri, timeout=0.5)
                except WampyError:
                    return False
                return bool(answer["pid"] != pid)

            wait_for(is_new, 60, "the Instance is replaced", 0.001)
            row.again_ms.append((time.monotonic() - began) * 1000)
            found = self.watch.first(
                began, lambda event: event.get("instance") == "echo:0" and not event["ready"]
            )
            assert found is not None
            row.found_ms.append((found - began) * 1000)
        row.lost.append(load.lost)
        row.calls += load.count

    def router(self, row: Row, fault: Callable[[int], None]) -> None:
        """Bring a fault about in the Router; callable again counts from its being ready."""
        self.settle()
        pid = self.stack.ps()["router"]["pid"]
        before = [r["pid"] for r in self.stack.ps()["instances"]]
        url = self.stack.ps()["router"]["url"]
        began = time.monotonic()
        fault(pid)

        def is_router(event: dict[str, Any], ready: bool) -> bool:
            return event.get("instance") == "router" and event["ready"] is ready

        wait_for(
            lambda: self.watch.first(began, lambda e: is_router(e, True)), 90, "the Router is back"
        )
        found = self.watch.first(began, lambda e: is_router(e, False))
        back = self.watch.first(began, lambda e: is_router(e, True))
        assert found is not None
        assert back is not None
        with Session(url, realm="realm1") as session:

            def answers() -> bool:
                try:
                    return bool(session.call("failures.echo", 1, timeout=0.5) == 1)
                except WampyError:
                    return False

            wait_for(answers, 30, "callable again", 0.001)
        row.found_ms.append((found - began) * 1000)
        row.again_ms.append((time.monotonic() - back) * 1000)
        assert [r["pid"] for r in self.stack.ps()["instances"]] == before, "a Peer was restarted"

    def planned(self, row: Row, action: Callable[[], None]) -> None:
        """Do something planned under load."""
        self.settle()
        with Load(self.stack.ps()["router"]["url"]) as load:
            began = time.monotonic()
            action()
            row.again_ms.append((time.monotonic() - began) * 1000)
        row.lost.append(load.lost)
        row.calls += load.count


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def stop_all(pid: int) -> None:
    for each in (pid, *children_of(pid)):
        os.kill(each, signal.SIGSTOP)


def top(folder: Path, row: Row, who: str) -> None:
    """Kill the guard or the supervisor of a stack and wait until nothing of it is left."""
    subprocess.run([wampy_program(), "up", "-d"], cwd=folder, check=True, capture_output=True)
    state = RunDir(folder / ".wampy").read_state()
    pid = state["pid"] if who == "supervisor" else parent_of(state["pid"])
    assert isinstance(pid, int)
    began = time.monotonic()
    kill(pid)
    wait_for(
        lambda: not any(is_alive(p) for p in processes_marked(RUN_MARK, state["run"])),
        30,
        "nothing is left",
    )
    row.again_ms.append((time.monotonic() - began) * 1000)


def measure(folder: Path, rounds: int) -> list[Row]:
    """Bring every fault about, ``rounds`` times where it is quick, else fewer times."""
    few = max(1, rounds // 5)
    killed = Row("an Instance is killed with -9", "replaced", "median 50 ms, worst 250 ms")
    stopped = Row("an Instance is stopped (SIGSTOP)", "tracebacks, KILL, replaced", "8.5 s")
    spins = Row("an Instance spins with the GIL held", "tracebacks, KILL, replaced", "8.5 s")
    router = Row("the Router is killed with -9", "restarted; no Peer is", "1 s after it is back")
    hangs = Row("the Router hangs (SIGSTOP)", "restarted; no Peer is", "1 s after it is back")
    rolls = Row("a rolling restart of 2 replicas", "replacement first, then drained", "0 lost")
    stops = Row("stop and start of one of 2 replicas", "drained", "0 lost")
    supervisor = Row("the supervisor is killed with -9", "nothing is left", "2 s")
    guard = Row("the guard is killed with -9", "nothing is left", "2 s")
    with Stack.from_manifest(folder / "wampy.toml") as stack:
        scene = Scene(stack)
        for _ in range(rounds):
            scene.instance(killed, kill)
        for _ in range(few):
            scene.instance(stopped, stop)
            scene.instance(spins, lambda pid: spin(stack, pid))
            scene.planned(rolls, lambda: stack.restart("echo"))
            scene.planned(stops, lambda: stop_and_start(stack))
        for _ in range(max(1, few // 2)):
            scene.router(router, kill)
            scene.router(hangs, stop_all)
    for _ in range(few):
        top(folder, supervisor, "supervisor")
        top(folder, guard, "guard")
    return [killed, stopped, spins, router, hangs, rolls, stops, supervisor, guard]


def stop_and_start(stack: Stack) -> None:
    stack.stop("echo:1")
    stack.start("echo:1")


def spin(stack: Stack, pid: int) -> None:
    """Let the Instance with this pid spin, by a procedure of its own."""
    stack.session.call_async(f"failures.spin.{pid}")


HEAD = """# What happens when things fail

Each row is a test (`tests/system`) and is measured by `python -m benchmarks.failures`: a real stack
with Crossbar, two replicas, default heartbeats (every 2 s, 3 misses), called all the time from two
threads. Times are median / worst; so are the calls that got no result. Found: from the fault to the
first transition that tells of it. Callable again: from the fault (the Router: from its being ready
again; what is planned: how long it takes; guard and supervisor: until no process is left).

{about}. Where a figure is beyond what is promised, it says so as it is.

| fault | what the stack does | promised | found | callable again | calls lost | times |
|---|---|---|---|---|---|---|
{rows}
"""


def write(rows: list[Row]) -> None:
    about = f"{datetime.date.today().isoformat()}, {machine()}, at {commit()}"
    table = "\n".join(row.markdown() for row in rows)
    DOCUMENT.write_text(HEAD.format(about=about, rows=table))


def main() -> None:
    options = arguments(__doc__, rounds=20)
    with temporary_folder() as folder:
        (folder / "failing.py").write_text(PEER)
        (folder / "wampy.toml").write_text(MANIFEST.format(crossbar=find_crossbar(HERE)))
        rows = measure(folder, options.rounds)
    write(rows)
    say(DOCUMENT.read_text())


if __name__ == "__main__":
    main()
