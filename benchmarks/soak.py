"""Hours of life in minutes: a stack is called all the time while its processes are killed.

``python -m benchmarks.soak [--minutes 10]`` fails when a procedure is not callable again in time,
when anything is left after ``wampy down``, or when the supervisor has grown. The result goes into
``docs/soak.md``: date, commit, and what happened.
"""

from __future__ import annotations

import collections
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import HERE, arguments, commit, machine, say, temporary_folder, wait_for
from benchmarks.engines import wampy_program
from orchestrator.processes import is_alive
from wampy import Session, WampyError
from wampy.testing.executables import find_crossbar

DOCUMENT = HERE.parent / "docs" / "soak.md"
#: Seconds until a procedure must answer again, after the worst that is done here.
CALLABLE_AGAIN_S = 30.0
#: Seconds after which no process may be left.
LEFT_S = 2.0
#: Bytes that the supervisor may have grown by.
GROWTH_BYTES = 8 * 2**20


def wampy(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [wampy_program(), *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )


def ps(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(wampy(folder, "ps", "--json").stdout)
    return found


def configure(folder: Path) -> None:
    (folder / "soak_peer.py").write_text(
        "from wampy import Peer, rpc\n\n\nclass Echo(Peer):\n    @rpc('soak.echo')\n"
        "    def echo(self, text):\n        return text\n"
    )
    (folder / "wampy.toml").write_text(
        '[stack]\nname = "soak"\n\n[router]\ntype = "crossbar"\nport = 0\n'
        f'command = ["{find_crossbar(HERE)}"]\n\n'
        '[peers.echo]\napp = "soak_peer:Echo"\nreplicas = 4\nrestart_limit = "off"\n'
    )


class Caller(threading.Thread):
    """Calls without pause, and counts what it got."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.counts: collections.Counter[str] = collections.Counter()
        self.answered_at = time.monotonic()
        self.ends = threading.Event()
        self._url = url

    def run(self) -> None:
        with Session(self._url, realm="realm1") as session:
            while not self.ends.is_set():
                try:
                    session.call("soak.echo", "x", timeout=5.0)
                except WampyError as error:
                    self.counts[type(error).__name__] += 1
                    self.ends.wait(0.005)
                else:
                    self.counts["answered"] += 1
                    self.answered_at = time.monotonic()


def _answered_after(caller: Caller, instant: float) -> bool:
    return caller.answered_at > instant


def fault(state: dict[str, Any], rng: random.Random) -> tuple[str, int, int] | None:
    """Choose what is done next: (what, pid, signal)."""
    peers = [one["pid"] for one in state["instances"] if one["pid"]]
    kind = rng.choice(["kill a Peer"] * 6 + ["stop a Peer"] * 2 + ["kill the Router", "stop it"])
    if kind == "kill the Router" or kind == "stop it":
        pid = state["router"]["pid"]
        signum = signal.SIGKILL if kind == "kill the Router" else signal.SIGSTOP
        return (kind, pid, signum) if pid else None
    signum = signal.SIGKILL if kind == "kill a Peer" else signal.SIGSTOP
    return (kind, rng.choice(peers), signum) if peers else None


def soak(folder: Path, minutes: int, seed: int) -> dict[str, Any]:
    """Do it; give what is to be told."""
    rng, done = random.Random(seed), collections.Counter[str]()
    worst_s = 0.0
    wampy(folder, "up", "-d")
    state = ps(folder)
    caller = Caller(state["router"]["url"])
    caller.start()
    supervisor = psutil.Process(state["pid"])
    time.sleep(5)
    held, end = supervisor.memory_info().rss, time.monotonic() + minutes * 60
    while time.monotonic() < end:
        chosen = fault(ps(folder), rng)
        if chosen is not None:
            kind, pid, signum = chosen
            began = time.monotonic()
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue
            done[kind] += 1
            wait_for(
                partial(_answered_after, caller, began + 0.05),
                CALLABLE_AGAIN_S,
                f"callable again after: {kind}",
            )
            worst_s = max(worst_s, caller.answered_at - began)
        time.sleep(rng.uniform(0.5, 8.0))
    wait_for(
        lambda: all(one["ready"] for one in ps(folder)["instances"]), 60, "all ready", pause_s=0.5
    )
    caller.ends.set()
    caller.join(10)
    growth = supervisor.memory_info().rss - held
    guard = supervisor.parent()
    tree = [supervisor, *supervisor.children(recursive=True), *([guard] if guard else [])]
    tree = [one for one in tree if one.pid != 1]
    wampy(folder, "down")
    end = time.monotonic() + LEFT_S
    while (left := [one.pid for one in tree if is_alive(one.pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    return {
        "faults": dict(done),
        "calls": dict(caller.counts),
        "longest without an answer (s)": round(worst_s, 2),
        "supervisor grew by (KiB)": growth // 1024,
        "processes left": left,
    }


def main() -> int:
    options = arguments(__doc__, minutes=10, seed=1)
    with temporary_folder() as folder:
        configure(folder)
        try:
            result = soak(folder, options.minutes, options.seed)
        finally:
            subprocess.run([wampy_program(), "down"], cwd=folder, check=False, capture_output=True)
    lines = [
        f"# {options.minutes} minutes of faults",
        "",
        "The last `make soak`: Crossbar and 4 replicas are called without pause while they are",
        "killed (-9) and stopped (SIGSTOP) at random. It fails when a procedure is not callable",
        f"again within {CALLABLE_AGAIN_S:g} s, when the supervisor grows by more than",
        f"{GROWTH_BYTES >> 20} MiB, or when a process is left in the end.",
        "",
        f"{datetime.date.today().isoformat()}, {machine()}, at {commit()}, seed {options.seed}.",
        "",
        *(f"- {name}: {value}" for name, value in result.items()),
    ]
    print("\n".join(lines))
    DOCUMENT.write_text("\n".join(lines) + "\n")
    if result["processes left"] or result["supervisor grew by (KiB)"] * 1024 > GROWTH_BYTES:
        say("soak: failed, see above")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
