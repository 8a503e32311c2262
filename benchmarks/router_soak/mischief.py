"""Who misbehaves, as a process: ``mischief UNIX WS TCP SEED``; until its standard input ends.

One misdeed after the other, chosen at random, so many a second at most. Where a misdeed has a right
answer (an error, a cancellation, a timeout), that is looked at. Says what it did as one line of
JSON.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.bare_clients import connected
from benchmarks.common import end_with_me
from benchmarks.router_soak.clients import ANSWER_S, WAYS, Client, Where

PER_SECOND = 40.0
#: Seconds that who hangs is kept: longer than the Router waits for a HELLO or a pong.
_LINGER_S = 6.0
_MOST_LINGERING = 60
_MOST_FAULTS = 20
_RST = struct.pack("ii", 1, 0)
_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
)
#: A process that joins, registers, subscribes, calls what never answers, and does nothing more.
_CHILD = """
import sys
from benchmarks.router_soak.clients import Client, Where
client = Client(Where(*sys.argv[1:4]), sys.argv[4])
client.ask(64, {}, f"soak.child.{client.id}")
client.ask(32, {}, "soak.topic")
client.send(*[[48, client.number(), {}, f"soak.child.{client.id}"] for _ in range(50)])
print("ready", flush=True)
sys.stdin.read()
"""


class Mischief:
    """The misdeeds, each a method; ``faults`` is what the Router did wrong."""

    def __init__(self, where: Where, seed: int) -> None:
        self.where = where
        self.random = random.Random(seed)
        self.faults: list[str] = []
        self.done: collections.Counter[str] = collections.Counter()
        self._lingering: list[tuple[float, Callable[[], None]]] = []
        self._names = 0
        self._misdeeds: list[tuple[Callable[[], None], int]] = [
            (self.come_and_go, 10), (self.vanish, 10), (self.half_a_handshake, 5),
            (self.garbage, 10), (self.garbage_when_joined, 10), (self.too_long, 4),
            (self.too_deep, 4), (self.slow_consumer, 4), (self.hanging_callee, 6),
            (self.cancel_storm, 6), (self.register_storm, 6), (self.meta, 6),
            (self.kill_by_meta, 3), (self.testament, 4), (self.killed_process, 1),
            (self.stopped_process, 1), (self.join_storm, 1),
        ]  # fmt: skip

    def run(self) -> None:
        """Until standard input ends; then nobody of it is left."""
        misdeeds, weights = zip(*self._misdeeds, strict=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            began = time.monotonic()
            misdeed = self.random.choices(misdeeds, weights)[0]
            try:
                misdeed()
            except Exception as error:
                # Broad: whatever comes of a misdeed is told with its name.
                self.fault(f"{misdeed.__name__}: {type(error).__name__}: {error}")
            self.done[misdeed.__name__] += 1
            self._let_go(began)
            time.sleep(max(0.0, began + 1 / PER_SECOND - time.monotonic()))
        self._let_go(float("inf"))

    def fault(self, text: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)

    def expect(self, message: list[Any], error: str) -> None:
        if message[0] != 8 or message[4] != error:
            self.fault(f"expected {error}, got {str(message)[:200]}")

    def linger(self, end: Callable[[], None]) -> None:
        """Have it ended after a while."""
        self._lingering.append((time.monotonic() + _LINGER_S, end))

    def _let_go(self, now: float) -> None:
        while self._lingering and (
            self._lingering[0][0] <= now or len(self._lingering) > _MOST_LINGERING
        ):
            with contextlib.suppress(OSError):
                self._lingering.pop(0)[1]()

    def join(self) -> Client:
        return Client(self.where, self.random.choice(WAYS))

    def name(self) -> str:
        self._names += 1
        return f"soak.mischief.{self._names}"

    def connect(self) -> socket.socket:
        sock = connected(self.random.choice([self.where.unix, self.where.ws, self.where.tcp]))
        sock.settimeout(30.0)
        return sock

    # ------------------------------------------------------------------ coming and going

    def come_and_go(self) -> None:
        client = self.join()
        client.send([6, {}, "wamp.close.normal"])
        if client.next()[0] != 6:
            self.fault("no GOODBYE for a GOODBYE")
        client.close()

    def vanish(self) -> None:
        """With a registration, a subscription and calls of its own that nobody answers."""
        client, name = self.join(), self.name()
        client.ask(64, {}, name)
        client.ask(32, {}, "soak.topic")
        client.send(*[[48, client.number(), {}, name] for _ in range(20)])
        if self.random.random() < 0.5:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        client.close()

    def join_storm(self) -> None:
        clients = [self.join() for _ in range(50)]
        for client in clients:
            client.close()

    def killed_process(self) -> None:
        self._child().kill()

    def stopped_process(self) -> None:
        self._child().send_signal(signal.SIGSTOP)

    def _child(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, self.where.unix, self.where.ws, self.where.tcp,
             self.random.choice(WAYS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_me(signal.SIGKILL),
        )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            self.fault("a client that was to be killed did not join")

        def end() -> None:
            process.kill()
            process.communicate()

        self.linger(end)
        return process

    # ------------------------------------------------------------------ garbage

    def half_a_handshake(self) -> None:
        sock = self.connect()
        whole = self.random.choice([b"\x7f\xf2\0\0", _UPGRADE])
        sock.sendall(whole[: self.random.randrange(len(whole))])
        self.linger(sock.close)

    def garbage(self) -> None:
        with self.connect() as sock, contextlib.suppress(ConnectionError, BrokenPipeError):
            first = self.random.choice([b"", b"\x7f\xf2\0\0", b"\x7f\xf3\0\0", _UPGRADE])
            sock.sendall(first + self.random.randbytes(self.random.randrange(1, 2000)))
            sock.shutdown(socket.SHUT_WR)
            self._until_closed(sock)

    def garbage_when_joined(self) -> None:
        client = self.join()
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            client.sock.sendall(self.random.randbytes(self.random.randrange(1, 500)))
            client.sock.shutdown(socket.SHUT_WR)
            self._until_closed(client.sock)
        client.close()

    def too_long(self) -> None:
        client = self.join()
        with contextlib.suppress(ConnectionError):
            client.send([48, client.number(), {}, "soak.echo", ["x" * 2_000_000]])
            self._until_closed(client.sock)
        client.close()

    def too_deep(self) -> None:
        client = self.join()
        value: Any = 1
        for _ in range(230):
            value = [value]
        client.send([48, client.number(), {}, "soak.echo", [value]])
        with contextlib.suppress(ConnectionError):
            self._until_closed(client.sock)
        client.close()

    def _until_closed(self, sock: socket.socket) -> None:
        """Read on until the Router has hung up; TimeoutError when it does not."""
        while sock.recv(65536):
            pass

    # ------------------------------------------------------------------ slow and silent

    def slow_consumer(self) -> None:
        """Subscribes and registers, and reads nothing."""
        client = self.join()
        client.ask(32, {}, "soak.topic")
        client.ask(64, {}, self.name())
        self.linger(client.close)

    def hanging_callee(self) -> None:
        callee, caller, name = self.join(), self.join(), self.name()
        callee.ask(64, {"concurrency": 1}, name)
        self.expect(caller.ask(48, {"timeout": 30}, name), "wamp.error.timeout")
        self.expect(caller.ask(48, {}, name), "wamp.error.unavailable")
        # The place is free again when the callee has answered, also what nobody waits for.
        invocation = callee.next()
        callee.send([70, invocation[1], {}])
        caller.send([48, caller.number(), {}, name])
        while True:
            found = select.select([callee.sock, caller.sock], [], [], ANSWER_S)[0]
            if not found:
                raise TimeoutError("neither an invocation nor an answer")
            if caller.sock in found:
                self.expect(caller.next(), "wamp.error.unavailable")
                caller.send([48, caller.number(), {}, name])
            elif any(message[0] == 68 for message in callee.read()):
                break
        callee.close()
        self.expect(caller.next(), "wamp.error.canceled")
        caller.close()

    def cancel_storm(self) -> None:
        callee, caller, name = self.join(), self.join(), self.name()
        callee.ask(64, {}, name)
        numbers = [caller.number() for _ in range(50)]
        caller.send(*[[48, number, {}, name] for number in numbers])
        modes = {number: self.random.choice(["skip", "killnowait"]) for number in numbers}
        caller.send(*[[49, number, {"mode": modes[number]}] for number in numbers])
        answers = [caller.next() for _ in numbers]
        for answer in answers:
            self.expect(answer, "wamp.error.canceled")
        if sorted(answer[2] for answer in answers) != numbers:
            self.fault("a canceled call was answered twice, another one never")
        callee.close()
        caller.close()

    # ------------------------------------------------------------------ busy

    def register_storm(self) -> None:
        client = self.join()
        for _ in range(20):
            registered = client.ask(
                64, {"match": self.random.choice(["exact", "prefix"])}, self.name()
            )
            client.ask(66, registered[2])
            subscribed = client.ask(32, {"match": "wildcard"}, "soak..storm")
            client.ask(34, subscribed[2])
        client.close()

    def meta(self) -> None:
        client = self.join()
        for procedure in (
            "session.count",
            "session.list",
            "registration.list",
            "subscription.list",
        ):
            answer = client.ask(48, {}, f"wamp.{procedure}")
            if answer[0] != 50:
                self.fault(f"{procedure}: {answer}")
        client.close()

    def kill_by_meta(self) -> None:
        client, victim = self.join(), self.join()
        victim.ask(64, {}, self.name())
        answer = client.ask(48, {}, "wamp.session.kill", [victim.id], {"reason": "soak.killed"})
        if answer[0] != 50 or victim.next()[0] != 6:
            self.fault(f"wamp.session.kill: {answer}")
        client.close()
        victim.close()

    def testament(self) -> None:
        client, heir, topic = self.join(), self.join(), self.name()
        heir.ask(32, {}, topic)
        client.ask(48, {}, "wamp.session.add_testament", [topic, ["gone"], {}])
        client.close()
        if heir.next()[4] != ["gone"]:
            self.fault("a testament was not published")
        heir.close()


def main() -> None:
    *urls, seed = sys.argv[1:]
    mischief = Mischief(Where(*urls), int(seed))
    print("ready", flush=True)
    mischief.run()
    print(json.dumps({"done": dict(mischief.done), "faults": mischief.faults}), flush=True)


if __name__ == "__main__":
    main()
