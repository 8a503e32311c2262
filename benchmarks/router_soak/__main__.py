"""The built-in Router at full load, among clients that come, go, hang and send garbage.

``python -m benchmarks.router_soak [--seconds 600] [--seed N]`` fails when a call is lost or
answered wrongly, an event is missing, the Router keeps memory or descriptors, anything is left of
those who went, its log tells of a bug, or it does not end well. The result of ten minutes goes into
``docs/router-soak.md``.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import (
    HERE,
    REALM,
    ROOT,
    arguments,
    commit,
    end_with_me,
    machine,
    say,
    temporary_folder,
    wait_for,
)
from benchmarks.router_soak.clients import Where
from wampy import Session
from wampy.errors import WampyError

DOCUMENT = HERE.parent / "docs" / "router-soak.md"
#: Bytes that the Router may have more in the last third than in the first, both after a warm-up. A
#: leak of 100 bytes a call would be 20 MiB in 20 s. On a machine that has other work to do the heap
#: has not had its largest load by the end of the warm-up (measured: 7 MiB more then).
GROWTH_BYTES = 10 * 2**20
#: Seconds until its heap is as large as such a load makes it (measured: 30).
WARM_UP_S = 35
#: Seconds until nothing may be left of who went: longer than it waits for a silent one.
LEFT_S = 20.0
#: So small that they are reached.
LIMITS = {
    "message_bytes": 2**20,
    "sessions": 500,
    "join_timeout_s": 2.0,
    "ping_interval_s": 2.0,
    "ping_timeout_s": 2.0,
    "queue_bytes": 2**20,
}
#: What is to be as before when all have gone.
COUNTED = ("sessions", "registrations", "subscriptions", "pending_calls", "connections")


@dataclass
class Router:
    """The process, and what is seen of it from outside."""

    process: subprocess.Popen[str]
    where: Where
    log: Path
    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def sample(self) -> None:
        seen = psutil.Process(self.process.pid)
        self.memory.append(seen.memory_full_info().pss)
        self.descriptors.append(seen.num_fds())


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Router]:
    """Run the Router on a unix socket and a TCP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    path, log = folder / "router.sock", folder / "router.log"
    everything = ["call", "register", "publish", "subscribe"]
    permissions = [{"uri": uri, "match": "prefix", "allow": everything} for uri in ("", "wamp")]
    settings = {
        "realm": REALM,
        "log_level": "ERROR",
        "roles": {"anonymous": permissions},
        "listeners": [
            {"unix": str(path), "anonymous": "anonymous"},
            {"host": "127.0.0.1", "port": port, "anonymous": "anonymous"},
        ],
        "limits": LIMITS,
    }
    (folder / "router.json").write_text(json.dumps(settings))
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "wampy.router", folder / "router.json"],
            cwd=ROOT,
            stderr=file,
            text=True,
            preexec_fn=end_with_me(),
        )
    try:
        where = Where(f"unix://{path}", f"ws://127.0.0.1:{port}/ws", f"tcp://127.0.0.1:{port}")
        wait_for(lambda: joins(where.unix), 30.0, "the Router")
        yield Router(process, where, log)
    finally:
        process.kill()
        process.wait()


def joins(url: str) -> bool:
    try:
        with Session(url, REALM, reconnect=False):
            return True
    except WampyError:
        return False


class Helper:
    """A process of ``load`` or ``mischief``; it ends with its standard input."""

    def __init__(self, name: str, *given: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.router_soak.{name}", *given],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_me(),
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} {given[0]} did not start")

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> dict[str, Any]:
        """End it; give what it says."""
        try:
            said, _ = self._process.communicate("", timeout=120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return {"done": 0, "faults": [f"{self.name} does not end"]}
        found: dict[str, Any] = (
            json.loads(said) if said else {"done": 0, "faults": [f"{self.name} died"]}
        )
        return found

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def soak(router: Router, seconds: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Do it; give what is to be told, and what went wrong."""
    urls = (router.where.unix, router.where.ws, router.where.tcp)
    with Session(router.where.unix, REALM, reconnect=False) as control:
        before = control.call("wampy.router.stats")
        router.sample()
        helpers: dict[str, Helper] = {}
        try:
            helpers["calls"] = Helper("load", "calls", *urls)
            helpers["events"] = Helper("load", "events", *urls)
            helpers["misdeeds"] = Helper("mischief", *urls, str(seed))
            cpu_s = _cpu_s(router)
            watch(router, helpers, seconds)
            cpu_s = _cpu_s(router) - cpu_s
            # Who misbehaves goes first, so that who behaves sees that out as well.
            told = {name: helpers[name].finish() for name in ("misdeeds", "calls", "events")}
        finally:
            for helper in helpers.values():
                helper.kill()
        growth = growth_bytes(router.memory)
        faults = [f"{name}: {fault}" for name, one in told.items() for fault in one["faults"]]
        faults += left_over(router, control, before)
        after = control.call("wampy.router.stats")
    faults += ended(router)
    if growth > GROWTH_BYTES:
        faults.append(f"memory grew by {growth >> 10} KiB")
    mib = 2**20
    return {
        "calls answered": told["calls"]["done"],
        "events delivered": told["events"]["done"],
        "events dropped for slow consumers": after["dropped_events"],
        "misdeeds": told["misdeeds"]["done"],
        "Router's share of a core (%)": round(100 * cpu_s / seconds),
        "memory, PSS (MiB): idle, median, most, at the end": [
            round(one / mib, 1)
            for one in (
                router.memory[0],
                statistics.median(router.memory),
                max(router.memory),
                router.memory[-1],
            )
        ],
        "growth from the first third to the last (KiB)": growth // 1024,
        "descriptors: idle, most, at the end": [
            router.descriptors[0],
            max(router.descriptors),
            router.descriptors[-1],
        ],
    }, faults


def _cpu_s(router: Router) -> float:
    times = psutil.Process(router.process.pid).cpu_times()
    return float(times.user + times.system)


def watch(router: Router, helpers: dict[str, Helper], seconds: int) -> None:
    """Take a sample each second, as long as everybody lives."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(1.0)
        if router.process.poll() is not None:
            raise SystemExit(f"the Router has ended:\n{router.log.read_text()}")
        for name, helper in helpers.items():
            if not helper.is_alive:
                raise SystemExit(f"{name} has died, see above:\n{router.log.read_text()}")
        router.sample()


def growth_bytes(memory: list[int]) -> int:
    """Compare the median of the last third with that of the first, without the warm-up."""
    counted = memory[WARM_UP_S:]
    third = len(counted) // 3
    if third < 3:
        return 0  # so short a run tells nothing of it
    return round(statistics.median(counted[-third:]) - statistics.median(counted[:third]))


def left_over(router: Router, control: Session, before: dict[str, Any]) -> list[str]:
    """Say what is still there of who has gone."""
    expected = {name: before[name] for name in COUNTED}
    ends = time.monotonic() + LEFT_S
    while True:
        stats = control.call("wampy.router.stats")
        counted = {name: stats[name] for name in COUNTED}
        router.sample()
        descriptors = router.descriptors[-1] - router.descriptors[0]
        if counted == expected and not descriptors:
            return []
        if time.monotonic() > ends:
            return [f"left over: {counted}, was {expected}; {descriptors} descriptors more"]
        time.sleep(0.2)


def ended(router: Router) -> list[str]:
    """End the Router; say what it did wrong in that, and what it has logged."""
    faults = []
    router.process.send_signal(signal.SIGTERM)
    try:
        code = router.process.wait(20)
        if code != 0:
            faults.append(f"the Router ended with {code}")
    except subprocess.TimeoutExpired:
        faults.append("the Router does not end")
    logged = router.log.read_text()
    if logged:
        faults.append(f"the Router logged errors:\n{logged[:2000]}")
    return faults


def document(result: dict[str, Any], seconds: int, seed: int, at: str) -> str:
    lines = [
        f"# {seconds / 60:g} minutes of the built-in Router at full load",
        "",
        "The last `make soak` of it. 3 callers with 16 calls under way each, of 3 callees; a",
        "publisher and 6 subscribers; on RawSocket with MessagePack, WebSocket with JSON,",
        "RawSocket with CBOR. Among them, some 40 times a second, clients that vanish, hang, stop,",
        "read nothing, send garbage or too much, are killed or kill. It fails when a call is not",
        "answered once and rightly, an event is missing or out of order, anything is left of those",
        "who went, the Router's log tells of a bug, or its memory grows by more than",
        f"{GROWTH_BYTES >> 20} MiB.",
        "",
        f"{datetime.date.today().isoformat()}, {machine()}, at {at}, seed {seed}.",
        "",
        *(f"- {name}: {value}" for name, value in result.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    options = arguments(__doc__, seconds=600, seed=1)
    at = commit()
    say(f"router soak: {options.seconds} s, seed {options.seed}")
    with temporary_folder() as folder, running(folder) as router:
        result, faults = soak(router, options.seconds, options.seed)
    text = document(result, options.seconds, options.seed, at)
    print(text)
    for fault in faults:
        say(f"router soak: {fault}")
    if faults:
        say(f"router soak: failed, with seed {options.seed}")
        return 1
    if options.seconds >= 600:
        DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
