"""A control server on a real loop in a thread, over a stack of dictionaries."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control.client import ControlClient
from orchestrator.control.interface import Done
from orchestrator.control.server import ControlServer
from orchestrator.errors import UnknownTarget
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from orchestrator.reload_plan import GONE, NEW
from tests.support import wait_until


def _parts(instance: str) -> tuple[str, int]:
    name, _, index = instance.partition(":")
    return name, int(index)


class FakeStack:
    """Starts and stops rows of a table; ``slow`` names what only ends when told."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self.signals: list[tuple[str, int]] = []
        self.slow: set[str] = set()
        self.scaled: dict[str, int] = {}
        #: What a reload would do; None: it is refused when dry.
        self.plan: list[dict[str, Any]] | None = None
        self.reloads: list[bool] = []
        self.is_watching = False
        self.levels: dict[str, str] = {}
        self.waiting: list[Done] = []
        self.state = "running"
        self.extra: dict[str, Any] = {"manifest": "/dev/null", "uptime_s": 10.0}
        self.rows = [
            row("clock", 0, "STOPPED", pid=None),
            row("search", 0, "RUNNING", pid=os.getpid()),
            row("search", 1, "RUNNING", pid=os.getpid(), ready=False, reason="it lost its session"),
            row("wrong", 0, "FATAL", pid=None, reason="config: \x1b[1mpath\x00 is missing"),
        ]

    def snapshot(self) -> dict[str, Any]:
        return {
            "stack": "demo",
            "state": self.state,
            "pid": os.getpid(),
            "router": {"state": "RUNNING"},
            "instances": [dict(each) for each in self.rows],
            **self.extra,
        }

    def scale(self, scale: dict[str, int], done: Done) -> None:
        self._named(list(scale))
        self.scaled = scale
        done([])

    def why(self, target: str) -> list[dict[str, Any]]:
        return [{"name": one["instance"], "cause": "it was old"} for one in self._named([target])]

    def set_level(self, target: str, level: str) -> None:
        self._named([target])
        self.levels[target] = level

    def watch(self, is_on: bool) -> None:
        self.is_watching = is_on

    def reload(self, is_dry: bool, done: Callable[[dict[str, Any]], None]) -> None:
        self.reloads.append(is_dry)
        if self.plan is not None:
            if not is_dry:
                gone = {c["target"] for c in self.plan if c["reason"] == GONE}
                self.rows = [r for r in self.rows if r["instance"] not in gone]
                new = [c["target"] for c in self.plan if c["reason"] == NEW]
                self.rows += [row(*_parts(one), "STOPPED", pid=None) for one in new]
            done({"plan": self.plan, "outcomes": [], "error": None})
            return
        change = {"action": "stop", "target": "clock:0", "reason": GONE}
        done({"plan": [change], "outcomes": [], "error": "broken" if is_dry else None})

    def _named(self, targets: list[str]) -> list[dict[str, Any]]:
        found = []
        for target in targets:
            some = [r for r in self.rows if target in ("all", r["name"], r["instance"])]
            if not some:
                raise UnknownTarget(target, {r["name"] for r in self.rows})
            found += some
        return found

    def _change(self, targets: list[str], state: str, done: Done) -> None:
        rows = self._named(targets)

        def finish() -> None:
            outcomes = []
            for each in rows:
                is_ok = each["name"] != "wrong" or state != "RUNNING"
                old, each["state"] = each["state"], state if is_ok else "FATAL"
                each["pid"] = os.getpid() if is_ok and state == "RUNNING" else None
                outcomes.append({k: each[k] for k in ("instance", "state", "reason")})
                outcomes[-1]["ok"] = is_ok
                self.tell({"instance": each["instance"], "old": old, "new": each["state"]})
            done(outcomes)

        if self.slow & {r["instance"] for r in rows}:
            self.waiting.append(lambda outcomes: finish())
        else:
            self._loop.call_later(0.01, finish)

    def tell(self, event: dict[str, Any]) -> None:
        for listener in list(self.listeners):
            listener(event)

    def start(self, targets: list[str], done: Done) -> None:
        self._change(targets, "RUNNING", done)

    def stop(self, targets: list[str], done: Done) -> None:
        self._change(targets, "STOPPED", done)

    def restart(self, targets: list[str], hard: bool, done: Done) -> None:
        self._change(targets, "RUNNING", done)

    def up(
        self, targets: list[str], scale: dict[str, int], profiles: list[str], done: Done
    ) -> None:
        self._change(targets or ["all"], "RUNNING", done)

    def wait_ready(self, targets: list[str], done: Done) -> None:
        self.waiting.append(done)

    def shutdown(self, done: Done) -> None:
        self.state = "stopping"
        self._change(["all"], "STOPPED", done)

    def kill(self, done: Done) -> None:
        self.shutdown(done)

    def signal(self, target: str, signum: int) -> None:
        if signum == signal.SIGKILL:
            raise PermissionError(1, "Operation not permitted")
        self.signals += [(r["instance"], signum) for r in self._named([target])]

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)


def row(name: str, index: int, state: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "index": index,
        "instance": f"{name}:{index}",
        "state": state,
        "ready": state == "RUNNING",
        "reason": None,
        "uptime_s": 3661.5 if state == "RUNNING" else None,
        "pss_bytes": 2**40,
        "exit": None,
        **more,
    }


class Served:
    """A server at work, and everything around it."""

    def __init__(self, folder: Path) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        self.stack = FakeStack(self.loop)
        self.path = folder / "control.sock"
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.server = ControlServer(self.loop, self.path, self.stack, LogReader(self.logs))
        self.client = ControlClient(self.path)
        # Wakes the loop for what the tests tell it; nothing of the loop is thread-safe.
        self._reads, self._writes = os.pipe()
        self._told: list[Callable[[], None]] = []
        self.loop.add_reader(self._reads, self._woken)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def do(self, what: Callable[[], Any]) -> Any:
        """Do something in the loop's thread and give its result."""
        results: list[Any] = []
        self._told.append(lambda: results.append(what()))
        os.write(self._writes, b"x")
        wait_until(lambda: results)
        return results[0]

    def _woken(self) -> None:
        os.read(self._reads, 4096)
        while self._told:
            self._told.pop(0)()

    def release(self) -> None:
        """Let everything that waits come about."""
        wait_until(lambda: self.stack.waiting)
        self.do(lambda: [done([]) for done in self.stack.waiting])
        self.stack.waiting.clear()

    def close(self) -> None:
        if self.thread.is_alive():
            self.do(self.server.close)
            self.do(self.loop.stop)
            self.thread.join(5)
        self.loop.close()
        os.close(self._reads)
        os.close(self._writes)
        assert self.errors == []


@pytest.fixture
def served(run_dir: Path) -> Iterator[Served]:
    """A control server of a fake stack; no callback of its loop may have raised at the end."""
    found = Served(run_dir)
    try:
        yield found
    finally:
        found.close()
