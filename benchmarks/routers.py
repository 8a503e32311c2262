"""The built-in Router beside Crossbar: the same clients, one run, in turns."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    HERE,
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
from wampy.messages import Hello, Message, Register, Subscribe
from wampy.serializers import MSGPACK

OURS = "built-in"
SESSIONS = 1000
REGISTRATIONS = 10
TOPIC = "bench.topic"
PAYLOAD = "x" * 65536


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


# ---------------------------------------------------------------------- clients without a library


class RawClient:
    """A socket that speaks RawSocket and MessagePack, as cheaply as it can."""

    def __init__(self, url: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(url.removeprefix("unix://"))
        self.sock.sendall(b"\x7f\xf2\0\0")
        self.buffer = b""
        self._exactly(4)
        features: dict[str, Any] = {"caller": {}, "callee": {}, "subscriber": {}}
        self.send(Hello(realm=REALM, details={"roles": features}))
        self.frame()

    def send(self, *messages: Message) -> None:
        frames = [MSGPACK.encode(one) for one in messages]
        self.sock.sendall(b"".join(len(one).to_bytes(4, "big") + one for one in frames))

    def frame(self) -> bytes:
        return self._exactly(int.from_bytes(self._exactly(4), "big"))

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            chunk = self.sock.recv(65536)
            assert chunk, "the Router hung up"
            self.buffer += chunk
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def count(self) -> int:
        """Read what is there; give how many whole frames that were."""
        self.buffer += self.sock.recv(1 << 20)
        found, at = 0, 0
        while len(self.buffer) - at >= 4:
            end = at + 4 + int.from_bytes(self.buffer[at : at + 4], "big")
            if end > len(self.buffer):
                break
            found, at = found + 1, end
        self.buffer = self.buffer[at:]
        return found


def join_many(url: str) -> tuple[list[RawClient], float]:
    """Join with many sessions, each with registrations; give them, and the seconds it took."""
    began = time.perf_counter()
    clients = []
    for number in range(SESSIONS):
        client = RawClient(url)
        client.send(
            *(
                Register(request_id=i + 1, procedure=f"bench.many.{number}.{i}")
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
    clients = [RawClient(url) for _ in range(subscribers)]
    for client in clients:
        client.send(Subscribe(request_id=1, topic=TOPIC))
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
                missing -= by_fd[fd].count()
        elapsed = time.perf_counter() - began
    for client in clients:
        client.sock.close()
    return subscribers * events / elapsed


# ---------------------------------------------------------------------- calls


@contextlib.contextmanager
def callees(url: str, count: int, log: Path, serializer: str) -> Iterator[None]:
    started = []
    try:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, str(HERE / "wampy_calls.py"), "callee", url, PROCEDURE],
                cwd=ROOT,
                env={**os.environ, "SERIALIZER": serializer},
                stdout=subprocess.PIPE,
                stderr=log.open("a"),
                text=True,
            )
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def rates(url: str, callers: int, seconds: int, log: Path, serializer: str) -> dict[str, float]:
    """Call from many processes at once; give the sums of their rates."""
    running = [
        subprocess.Popen(
            [sys.executable, str(HERE / "wampy_calls.py"), "caller", url, PROCEDURE, str(seconds)],
            cwd=ROOT,
            env={**os.environ, "SERIALIZER": serializer},
            stdout=subprocess.PIPE,
            stderr=log.open("a"),
            text=True,
        )
        for _ in range(callers)
    ]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    return {key: sum(one[key] for one in told) for key in told[0]}


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


def main() -> None:
    options = arguments(__doc__, seconds=2, rounds=3)
    calls = "Echo of one short string; callers and callees are processes of their own."
    spawned = "A Session joins over the unix socket, tried every 2 ms."
    start = table("start", "Process start to first WELCOME", "s", spawned, less=True, digits=2)
    tree = "Its whole process tree."
    idle = table("memory_idle", "PSS of the Router, idle", "MiB", tree, less=True, digits=1)
    full = table(
        "memory_full",
        f"PSS with {SESSIONS} sessions",
        "MiB",
        f"10 registrations each. {tree}",
        less=True,
    )
    raw = "Bare RawSocket clients on a unix socket."
    joining = table(
        "join", f"{SESSIONS} sessions join, 10 registrations each", "s", raw, less=True, digits=2
    )
    big = table("64k", "64 KiB payloads, one call at a time", "calls/s", calls, less=False)
    many = table("8x4", "8 callers, 4 callees, unix", "calls/s", calls, less=False)
    tail = table(
        "p99",
        "p99 latency at half of Crossbar's rate with 32 in flight",
        "ms",
        calls,
        less=True,
        digits=2,
    )
    ways = {"unix": "RawSocket, unix socket, MessagePack", "ws": "WebSocket, JSON"}
    loads = {"sequential": "one at a time", "in_flight": "32 in flight"}
    calling = {
        (way, load): table(
            f"calls_{way}_{load}", f"{ways[way]}: {loads[load]}", "calls/s", calls, less=False
        )
        for way in ways
        for load in loads
    }
    events = {
        n: table(f"events_{n}", f"Events to {n} subscribers", "deliveries/s", raw, less=False)
        for n in (1, 10, 100)
    }
    half = 0.0
    for _ in range(options.rounds):
        for name in ("crossbar", OURS):
            say(f"-- {name}")
            began = time.perf_counter()
            with opened(name) as router, temporary_folder() as folder:
                start.add(name, time.perf_counter() - began)
                idle.add(name, pss_bytes(router.pid) / 2**20)
                log = folder / "log"
                for way, url in (("unix", router.unix_url), ("ws", router.url)):
                    serializer = "json" if way == "ws" else "msgpack"
                    with callees(url, 1, log, serializer):
                        found = rates(url, 1, options.seconds, log, serializer)
                        for load in loads:
                            calling[way, load].add(name, found[load])
                        if way == "unix":
                            half = half or found["in_flight"] / 2
                            with Session(url, REALM) as session:
                                tail.add(name, p99_ms(session, half, options.seconds))
                                ends = time.perf_counter() + options.seconds
                                count = 0
                                while time.perf_counter() < ends:
                                    session.call(PROCEDURE, PAYLOAD)
                                    count += 1
                                big.add(name, count / options.seconds)
                with callees(router.unix_url, 4, log, "msgpack"):
                    found = rates(router.unix_url, 8, options.seconds, log, "msgpack")
                    many.add(name, found["sequential"])
                for subscribers, one in events.items():
                    per = deliveries(router.unix_url, subscribers, 20_000 // subscribers)
                    one.add(name, per)
                clients, took = join_many(router.unix_url)
                joining.add(name, took)
                full.add(name, pss_bytes(router.pid) / 2**20)
                for client in clients:
                    client.sock.close()
    all_tables = [start, idle, full, joining, *calling.values(), many, big, tail, *events.values()]
    for one in all_tables:
        one.write(keep=True)


if __name__ == "__main__":
    main()
