"""Peers that hang, 20 of each kind at once: how many are found, and callable again, and when.

The rivals get theirs stopped in the same run: they watch for exits, which a hung process has not.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.common import (
    PROCEDURE,
    arguments,
    chosen,
    open_crossbar,
    pair_ms,
    say,
    temporary_folder,
    wait_for,
    write_rows,
)
from benchmarks.engines import RESTARTING, running, wait_for_callees
from orchestrator import Stack
from wampy import Session, WampyError

PEER = """
import os, re, threading
from wampy import Peer, rpc

class Hanging(Peer):
    def on_start(self):
        for what in ("spin", "deadlock", "stuck"):
            self.session.register(f"hung.{what}.{os.getpid()}", getattr(self, what))

    def spin(self):
        re.match(r"(a*)*b", "a" * 60)

    def deadlock(self):
        self.session._lock.acquire()
        threading.Event().wait()

    def stuck(self):
        threading.Event().wait()
"""
MAX_CALL_AGE_S = 3.0
MANIFEST = """
[stack]
name = "hung"
[router]
port = 0
[peers.hanging]
app = "hung_peer:Hanging"
replicas = {count}
max_call_age = "{age:g}s"
concurrency = 2
"""
#: Of the default heartbeat: interval x failures + timeout + 0.5 s.
BOUND_S = 8.5


def hang_all(stack: Stack, act: Callable[[int], None], bound_s: float) -> tuple[int, list[float]]:
    """Let every Instance hang at once; gives how many answer again in time, and after how long."""
    wait_for(lambda: all(row["ready"] for row in stack.ps()["instances"]), 60, "all ready", 0.05)
    left = {row["index"]: row["pid"] for row in stack.ps()["instances"]}
    count = len(left)
    began = time.monotonic()
    for pid in left.values():
        act(pid)
    asked_s = time.monotonic() - began
    seconds: list[float] = []
    # To ask those that hang again and again costs the machine what those that come back need.
    while left and time.monotonic() - began < 3 * bound_s:
        for row in stack.ps()["instances"]:
            index = row["index"]
            if index in left and row["ready"] and row["pid"] != left[index]:
                answer = stack.call(f"wampy.hung.peer.hanging.{index}.heartbeat", timeout=2.0)
                assert answer["pid"] == row["pid"]
                del left[index]
                seconds.append(time.monotonic() - began)
        time.sleep(0.02)
    in_time = sum(one - asked_s <= bound_s for one in seconds)
    say(f"   {in_time} of {count} in time; {pair_ms(seconds)}")
    return in_time, seconds


def ours(folder: Path, count: int) -> tuple[list[list[str]], bool]:
    """Measure every kind of ours; gives the rows, and whether all were found in time."""
    (folder / "hung_peer.py").write_text(PEER)
    (folder / "wampy.toml").write_text(MANIFEST.format(count=count, age=MAX_CALL_AGE_S))
    rows, is_good = [], True
    with Stack.from_manifest(folder / "wampy.toml") as stack:

        def ask(what: str) -> Callable[[int], None]:
            def act(pid: int) -> None:
                try:
                    stack.session.call_async(f"hung.{what}.{pid}")
                except WampyError as error:
                    raise SystemExit(f"{what}: {error}") from error

            return act

        old_s = MAX_CALL_AGE_S + 2.0 + 0.5
        for title, act, bound_s in (
            ("stopped (SIGSTOP)", lambda pid: os.kill(pid, signal.SIGSTOP), BOUND_S),
            ("spinning with the GIL held", ask("spin"), BOUND_S),
            ("its Session's threads deadlocked", ask("deadlock"), BOUND_S),
            (f"a handler stuck, max_call_age {MAX_CALL_AGE_S:g} s", ask("stuck"), old_s),
        ):
            say(f"== {title}")
            in_time, seconds = hang_all(stack, act, bound_s)
            is_good = is_good and in_time == count
            found = f"{in_time} of {count}"
            rows.append(["wampy", title, f"{bound_s:g} s", found, pair_ms(seconds)])
            time.sleep(2.0)
    return rows, is_good


def theirs(names: list[str], count: int, wait_s: float) -> list[list[str]]:
    """Stop the Peers of the rivals, wait, and count how many were replaced."""
    rows = []
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for name in names:
            with (
                temporary_folder() as folder,
                running(name, router, folder, count, PROCEDURE) as engine,
            ):
                engine.start()
                wait_for_callees(session, PROCEDURE, count)
                tree = psutil.Process(engine.root()).children(recursive=True)
                peers = [one for one in tree if any("autobahn_peer" in a for a in one.cmdline())]
                for one in peers:
                    one.suspend()
                time.sleep(wait_s)
                replaced = sum(not one.is_running() for one in peers)
                for one in peers:
                    one.resume()
                say(f"   {name}: {replaced} of {len(peers)} after {wait_s:g} s")
                found = f"{replaced} of {len(peers)}"
                rows.append([name, f"stopped, for {wait_s:g} s", "–", found, "–"])
    return rows


def main() -> int:
    options = arguments(__doc__, count=20)
    with temporary_folder() as folder:
        rows, is_good = ours(folder, options.count)
    rivals = [name for name in chosen(RESTARTING, options.only) if name != "wampy"]
    rows += theirs(rivals, options.count, 3 * BOUND_S)
    write_rows(
        "hung",
        "Peers that hang, all at once",
        f"{options.count} Instances of one stack, default heartbeats, until each answers again.",
        ["", "what they do", "promised", "found in time", "callable again, median / worst"],
        rows,
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
