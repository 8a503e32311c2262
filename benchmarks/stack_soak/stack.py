"""The stack of the soak: 20 Peers of 2 replicas each, and how it is looked at from outside."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import wait_for
from orchestrator import Stack
from orchestrator.processes import processes_marked
from orchestrator.rundir import RUN_MARK
from wampy import WampyError

#: ``p00`` is what ``p01`` depends on, ``p19`` is recycled; the others are all alike.
NAMES = [f"p{number:02}" for number in range(20)]
DEPENDED_ON, DEPENDANT, RECYCLED = "p00", "p01", "p19"
#: Those that faults are done to at random.
ANY = NAMES[2:19]
#: Calls after which an Instance of ``p19`` is replaced.
RECYCLED_AFTER = 200
MAX_CALL_AGE_S = 5.0

COMMON = """
import os, re, subprocess, sys, threading, time
from wampy import Peer, rpc

class Common(Peer):
    def on_start(self):
        for what in ("spin", "stuck", "deadlock", "leave", "flood", "busy", "breed"):
            self.session.register(f"soak.{what}.{os.getpid()}", getattr(self, what))

    def spin(self):
        re.match(r"(a*)*b", "a" * 60)

    def stuck(self):
        threading.Event().wait()

    def deadlock(self):
        self.session._lock.acquire()
        threading.Event().wait()

    def leave(self, code):
        os._exit(code)

    def busy(self, seconds):
        time.sleep(seconds)

    def flood(self, count):
        for number in range(count):
            text = b"half a line " if number % 3 else b"\\xff\\xfe no text\\n" * 50
            sys.stdout.buffer.write(text)
        sys.stdout.flush()

    def breed(self):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        subprocess.Popen(["setsid", "--fork", "sleep", "600"])
"""
SERVING = """
import time
from common import Common
from wampy import rpc

VERSION = "{version}"

class Serving(Common):
    @rpc("soak.{name}.echo")
    def echo(self, value):
        return value

    @rpc("soak.{name}.slow")
    def slow(self, value):
        time.sleep(1.0)
        return value
"""
CRASHING = """
from wampy import Peer

class Crashing(Peer):
    def on_start(self):
        raise RuntimeError("no such database")
"""
HEAD = f"""
[stack]
name = "soak"
[router]
port = 0
[defaults]
replicas = 2
max_call_age = "{MAX_CALL_AGE_S:g}s"
backoff = {{ reset_after = "1s" }}
[peers.crash]
app = "crash:Crashing"
replicas = 10
profiles = ["crash"]
backoff = {{ initial = "100ms" }}
"""


def write(folder: Path) -> Path:
    """Write manifest and code; gives the manifest."""
    text = HEAD
    for name in NAMES:
        text += f'[peers.{name}]\napp = "{name}:Serving"\n'
        write_code(folder, name, "0")
    text = text.replace(f"[peers.{RECYCLED}]", f"[peers.{RECYCLED}]\nmax_calls = {RECYCLED_AFTER}")
    text = text.replace(f"[peers.{DEPENDANT}]", f"[peers.{DEPENDANT}]\ndepends_on = ['p00']")
    (folder / "common.py").write_text(COMMON)
    (folder / "crash.py").write_text(CRASHING)
    (folder / "wampy.toml").write_text(text)
    return folder / "wampy.toml"


def write_code(folder: Path, name: str, version: str) -> None:
    """Write the module of one Peer."""
    (folder / f"{name}.py").write_text(SERVING.format(name=name, version=version))


@dataclass(frozen=True)
class Heard:
    """One transition, and when it was heard (monotonic)."""

    at: float
    event: dict[str, Any]


class Scene:
    """The running stack, what is heard of it, and what is asked of it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.heard: list[Heard] = []
        threading.Thread(target=self._follow, daemon=True).start()
        wait_for(lambda: bool(self.heard), 5, "the stack tells its transitions")

    def _follow(self) -> None:
        for event in self.stack.client.events():
            self.heard.append(Heard(time.monotonic(), event))

    @property
    def url(self) -> str:
        return str(self.stack.ps()["router"]["url"])

    def rows(self) -> dict[str, dict[str, Any]]:
        """Give the rows of ``wampy ps`` by Instance."""
        return {row["instance"]: row for row in self.stack.ps()["instances"]}

    def pids(self) -> dict[str, int]:
        """Give the pids of all that run, by Instance; not of those that are recycled."""
        return {
            instance: row["pid"]
            for instance, row in self.rows().items()
            if row["pid"] and row["name"] != RECYCLED
        }

    def settle(self) -> None:
        """Wait until all is ready, and has been for so long that the next fault is the first."""

        def is_well() -> bool:
            snapshot = self.stack.ps()
            ready = [row["ready"] for row in snapshot["instances"] if row["name"] in NAMES]
            return snapshot["router"]["ready"] and all(ready)

        wait_for(is_well, 60, "all is ready", 0.05)
        time.sleep(1.1)

    def first(self, since: float, accept: Callable[[dict[str, Any]], bool]) -> float | None:
        """Give when the first such transition since then was heard."""
        return next((h.at for h in list(self.heard) if h.at >= since and accept(h.event)), None)

    def ask(self, what: str, pid: int, *args: Any) -> None:
        """Have the process with this pid do something to itself; nobody waits for it."""
        self.stack.session.call_async(f"soak.{what}.{pid}", *args)

    def answers_anew(self, instance: str, pid: int) -> bool:
        """Whether another process than that with this pid answers for the Instance."""
        name, _, index = instance.partition(":")
        try:
            answer = self.stack.call(f"wampy.soak.peer.{name}.{index}.heartbeat", timeout=0.5)
        except WampyError:
            return False
        return bool(answer["pid"] != pid)

    def processes(self) -> list[int]:
        """Give all processes of the stack, the Peers' own children too."""
        run = json.loads((self.folder / ".wampy" / "state.json").read_text())["run"]
        return list(processes_marked(RUN_MARK, run))

    def own(self) -> dict[str, psutil.Process]:
        """Give what lives as long as the stack: supervisor and Router (if it is that one still)."""
        snapshot = self.stack.ps()
        return {
            "supervisor": psutil.Process(snapshot["pid"]),
            "Router": psutil.Process(snapshot["router"]["pid"]),
        }

    def children(self) -> list[int]:
        """Give the supervisor's children that are no Instance and not the Router, by age."""
        snapshot = self.stack.ps()
        known = {row["pid"] for row in snapshot["instances"]} | {snapshot["router"]["pid"]}
        children = psutil.Process(snapshot["pid"]).children()
        return [one.pid for one in children if one.pid not in known]
