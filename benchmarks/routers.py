"""The built-in Router beside Crossbar: the same clients, one run, in turns.

The clients are as cheap as can be (``bare_clients``), one process for all callers and one for all
callees, since two cores are to be the Router's as far as possible. ``bare_relay`` shows what is
left to win: it does the least that a Router can do.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.bare_clients import BareClient
from benchmarks.common import (
    PROCEDURE,
    REALM,
    ROOT,
    Table,
    arguments,
    end_with_me,
    open_crossbar,
    pss_bytes,
    say,
    temporary_folder,
    wait_for,
)
from wampy import Session
from wampy.errors import WampyError

OURS = "built-in"
RELAY = "bare relay, no Router"
SESSIONS = 1000
REGISTRATIONS = 10
TOPIC = "bench.topic"
WAYS = {"unix": "RawSocket, unix socket, MessagePack", "ws": "WebSocket, JSON"}


@dataclass(frozen=True)
class Load:
    """Who calls, and how many calls each caller has under way."""

    title: str
    callers: int = 1
    callees: int = 1
    in_flight: int = 1
    size_bytes: int = 8


LOADS = {
    "sequential": Load("one at a time"),
    "in_flight": Load("32 in flight", in_flight=32),
    "8x4": Load("8 callers, 4 callees", 8, 4),
    "64k": Load("64 KiB payloads, one at a time", size_bytes=65536),
    "64k_in_flight": Load("64 KiB payloads, 8 in flight", in_flight=8, size_bytes=65536),
}


@dataclass(frozen=True)
class OpenRouter:
    """A Router where everybody may do everything."""

    url: str
    unix_url: str
    pid: int


@contextlib.contextmanager
def open_builtin() -> Iterator[OpenRouter]:
    """Run the built-in Router until the block ends."""
    everything = ["call", "register", "publish", "subscribe"]
    with temporary_folder() as folder:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        path = folder / "router.sock"
        settings = {
            "realm": REALM,
            "log_level": "WARNING",
            "roles": {"anonymous": [{"uri": "", "match": "prefix", "allow": everything}]},
            "listeners": [
                {"unix": str(path), "anonymous": "anonymous"},
                {"host": "127.0.0.1", "port": port, "anonymous": "anonymous"},
            ],
        }
        (folder / "router.json").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [sys.executable, "-m", "wampy.router", str(folder / "router.json")],
            cwd=ROOT,
            preexec_fn=end_with_me(),
        )
        try:
            url = f"unix://{path}"
            first_welcome(url)
            yield OpenRouter(f"ws://127.0.0.1:{port}/ws", url, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@contextlib.contextmanager
def open_relay() -> Iterator[OpenRouter]:
    """Run the bare relay until the block ends."""
    with temporary_folder() as folder:
        path = folder / "relay.sock"
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare_relay", str(path)],
            cwd=ROOT,
            preexec_fn=end_with_me(),
        )
        try:
            wait_for(path.exists, 10.0, "the bare relay")
            yield OpenRouter("", f"unix://{path}", process.pid)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def opened(name: str) -> Iterator[OpenRouter]:
    """Run one of the two."""
    if name == OURS:
        with open_builtin() as router:
            yield router
    else:
        with open_crossbar() as crossbar:
            first_welcome(crossbar.unix_url)
            yield OpenRouter(crossbar.url, crossbar.unix_url, crossbar.pid)


def first_welcome(url: str) -> None:
    def joins() -> bool:
        try:
            with Session(url, REALM, reconnect=False):
                return True
        except WampyError:
            return False

    wait_for(joins, 60.0, f"a WELCOME at {url}", 0.002)


# ---------------------------------------------------------------------- sessions and events


def join_many(url: str) -> tuple[list[BareClient], float]:
    """Join with many sessions, each with registrations; give them, and the seconds it took."""
    began = time.perf_counter()
    clients = []
    for number in range(SESSIONS):
        client = BareClient(url)
        client.send(
            *(
                client.encode([64, i + 1, {}, f"bench.many.{number}.{i}"])
                for i in range(REGISTRATIONS)
            )
        )
        clients.append(client)
    for client in clients:
        for _ in range(REGISTRATIONS):
            client.frame()
    return clients, time.perf_counter() - began


def deliveries(url: str, subscribers: int, events: int) -> float:
    """Publish to many; give deliveries per second."""
    clients = [BareClient(url) for _ in range(subscribers)]
    for client in clients:
        client.send(client.encode([32, 1, {}, TOPIC]))
        client.frame()
    missing = subscribers * events
    by_fd = {client.sock.fileno(): client for client in clients}
    poller = select.poll()
    for fd in by_fd:
        poller.register(fd, select.POLLIN)
    with Session(url, REALM) as session:
        began = time.perf_counter()
        sent = 0
        while missing:
            # Never more under way than sockets can hold: this is about rates, not about who drops.
            while sent < events and (sent * subscribers - (subscribers * events - missing)) < 5000:
                session.publish(TOPIC, sent)
                sent += 1
            for fd, _ in poller.poll(1000):
                missing -= len(by_fd[fd].read())
        elapsed = time.perf_counter() - began
    for client in clients:
        client.sock.close()
    return subscribers * events / elapsed


# ---------------------------------------------------------------------- calls


@contextlib.contextmanager
def callees(url: str, connections: int) -> Iterator[None]:
    """Have calls answered by one process with so many connections."""
    argv = [sys.executable, "-m", "benchmarks.bare_clients", "callee", url, PROCEDURE]
    process = subprocess.Popen(
        [*argv, str(connections)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_me(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield
    finally:
        process.kill()
        process.communicate()


def rate(url: str, load: Load, seconds: int) -> float:
    """Call from another process; give the answers per second."""
    numbers = (load.callers, load.in_flight, seconds, load.size_bytes)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_clients", "caller", url, PROCEDURE]
        + [str(number) for number in numbers],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60 + seconds,
    )
    return float(done.stdout)


def p99_ms(session: Session, per_second: float, seconds: float) -> float:
    """Call at a steady rate, whether answers come or not; give the 99th percentile of latency."""
    latencies: list[float] = []
    pending: list[Any] = []
    began = time.perf_counter()
    count = int(per_second * seconds)
    for number in range(count):
        due = began + number / per_second
        while (now := time.perf_counter()) < due:
            time.sleep(max(0.0, due - now - 0.0002))

        def done(_: Any, due: float = due) -> None:
            latencies.append(time.perf_counter() - due)

        future = session.call_async(PROCEDURE, "hello")
        future.add_done_callback(done)
        pending.append(future)
    for future in pending:
        future.result(30)
    return statistics.quantiles(latencies, n=100)[98] * 1000


def table(name: str, title: str, unit: str, note: str, *, less: bool, digits: int = 0) -> Table:
    return Table(f"router_{name}", title, unit, note, OURS, less, digits)


class Tables:
    """What is measured, and how."""

    def __init__(self) -> None:
        spawned = "A Session joins over the unix socket, tried every 2 ms."
        tree = "Its whole process tree."
        raw = "Bare RawSocket clients on a unix socket."
        each = f"{REGISTRATIONS} registrations each."
        calls = "Echo of a string; bare clients, one process for callers and one for callees."
        self.start = table(
            "start", "Process start to first WELCOME", "s", spawned, less=True, digits=2
        )
        self.idle = table(
            "memory_idle", "PSS of the Router, idle", "MiB", tree, less=True, digits=1
        )
        self.full = table(
            "memory_full", f"PSS with {SESSIONS} sessions", "MiB", f"{each} {tree}", less=True
        )
        self.joining = table(
            "join", f"{SESSIONS} sessions join, {each}", "s", raw, less=True, digits=2
        )
        half = "p99 latency at half of Crossbar's rate with 32 in flight"
        self.tail = table("p99", half, "ms", "One Session calls.", less=True, digits=2)
        self.calls = {
            (way, name): table(
                f"calls_{way}_{name}", f"{WAYS[way]}: {load.title}", "calls/s", calls, less=False
            )
            for way in WAYS
            for name, load in LOADS.items()
        }
        self.events = {
            n: table(f"events_{n}", f"Events to {n} subscribers", "deliveries/s", raw, less=False)
            for n in (1, 10, 100)
        }

    def write(self) -> None:
        for one in (self.start, self.idle, self.full, self.joining, *self.calls.values()):
            one.write()
        for one in (self.tail, *self.events.values()):
            one.write()


def measure_calls(tables: Tables, name: str, router: OpenRouter, seconds: int) -> None:
    for way, url in (("unix", router.unix_url), ("ws", router.url)):
        for load_name, load in LOADS.items():
            if url:
                with callees(url, load.callees):
                    tables.calls[way, load_name].add(name, rate(url, load, seconds))


def measure(tables: Tables, name: str, seconds: int) -> None:
    """Take one sample of everything from one of the two."""
    began = time.perf_counter()
    with opened(name) as router:
        tables.start.add(name, time.perf_counter() - began)
        tables.idle.add(name, pss_bytes(router.pid) / 2**20)
        measure_calls(tables, name, router, seconds)
        # Crossbar is measured first.
        half = tables.calls["unix", "in_flight"].samples["crossbar"][0] / 2
        with callees(router.unix_url, 1), Session(router.unix_url, REALM) as session:
            tables.tail.add(name, p99_ms(session, half, seconds))
        for subscribers, one in tables.events.items():
            one.add(name, deliveries(router.unix_url, subscribers, 20_000 // subscribers))
        clients, took = join_many(router.unix_url)
        tables.joining.add(name, took)
        tables.full.add(name, pss_bytes(router.pid) / 2**20)
        for client in clients:
            client.sock.close()


def main() -> None:
    options = arguments(__doc__, seconds=2, rounds=3)
    tables = Tables()
    for _ in range(options.rounds):
        for name in ("crossbar", OURS):
            say(f"-- {name}")
            measure(tables, name, options.seconds)
        say(f"-- {RELAY}")
        with open_relay() as relay:
            measure_calls(tables, RELAY, relay, options.seconds)
    tables.write()


if __name__ == "__main__":
    main()
