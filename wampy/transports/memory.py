"""Memory in place of a socket: Session and Router in one process, for tests.

Rules:

- the bytes are RawSocket's, so that everything but the kernel's part of a connection is at work;
- the Router has no thread: it deals with what is sent in the thread that sends it, and with what
  is due while somebody waits for it;
- a Router here delivers under its own lock and calls nothing of the client's but ``End``'s methods,
  which only take note.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from wampy.errors import ConnectFailed, ConnectionLost
from wampy.protocol.frames import Frame
from wampy.transports.address import Address
from wampy.transports.rawsocket import MAX_RECEIVE_BYTES, MAX_SEND_BYTES, RawSocketCodec
from wampy.transports.stream import Codec


class End(Protocol):
    """The client's end of a connection; thread-safe, nothing blocks."""

    @property
    def waiting_bytes(self) -> int:
        """How much was delivered and is not taken yet."""

    def deliver(self, data: bytes) -> None:
        """Take what the Router sends."""

    def hung_up(self) -> None:
        """Take note that the Router sends no more."""

    def stir(self) -> None:
        """Call ``Line.turn`` soon: when something is due has changed."""


class Line(Protocol):
    """A connection, as the Router gives it to a client; thread-safe."""

    @property
    def serializer_name(self) -> str:
        """What the Router chose."""

    def send(self, data: bytes) -> None:
        """Have the Router deal with bytes."""

    def turn(self) -> float | None:
        """Have the Router do what is due; give when it has to be next, in monotonic seconds."""

    def hang_up(self) -> None:
        """End the connection. Idempotent."""


#: Makes a connection for a client that offers serializers, the preferred one first; None: the
#: Router has none of them.
Open = Callable[[End, Sequence[str]], Line | None]
_routers: dict[str, Open] = {}


def offer(name: str, opener: Open) -> None:
    """Let clients of this process connect to ``memory://NAME``.

    Raises:
        ValueError: another Router has that name.
    """
    if _routers.setdefault(name, opener) is not opener:
        raise ValueError(f"there is a router memory://{name} in this process already")


def withdraw(name: str) -> None:
    """Let no more clients connect there. Idempotent."""
    _routers.pop(name, None)


def open_line(address: Address, serializers: Sequence[str], end: End) -> Line:
    """Connect a client's end.

    Raises:
        ConnectFailed: there is no such Router in this process, or it has none of the serializers.
    """
    opener = _routers.get(address.path)
    if opener is None:
        raise ConnectFailed(address.url, "no router of that name runs in this process")
    line = opener(end, serializers)
    if line is None:
        raise ConnectFailed(address.url, f"it takes none of {', '.join(serializers)}")
    return line


class MemoryTransport:
    """A Session's connection to a Router of its own process; as ``StreamTransport``.

    Raises:
        ConnectFailed: as ``open_line``.
    """

    max_send_bytes = MAX_SEND_BYTES
    max_receive_bytes = MAX_RECEIVE_BYTES
    is_private = True
    is_tls = False

    def __init__(self, address: Address, serializers: Sequence[str]) -> None:
        self.url = address.url
        self.codec: Codec = RawSocketCodec()
        #: Guards what follows; the Router's lock may be held when it is taken, never the reverse.
        self._changed = threading.Condition(threading.Lock())
        self._came = bytearray()
        self.received_bytes = self.sent_bytes = 0
        self._is_over = False
        self._is_stirred = False
        self._line = open_line(address, serializers, self)
        self.serializer_name = self._line.serializer_name

    @staticmethod
    def channel_id() -> bytes | None:
        """Give None: there is no TLS."""
        return None

    # ------------------------------------------------------------------ what the Router calls

    @property
    def waiting_bytes(self) -> int:
        """How much was delivered and is not taken yet."""
        return len(self._came)

    def deliver(self, data: bytes) -> None:
        """See ``End.deliver``."""
        with self._changed:
            self._came += data
            self._changed.notify()

    def hung_up(self) -> None:
        """See ``End.hung_up``."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def stir(self) -> None:
        """See ``End.stir``."""
        with self._changed:
            self._is_stirred = True
            self._changed.notify()

    # ------------------------------------------------------------------ what a Link calls

    def receive(self, timeout_s: float) -> list[Frame]:
        """Wait for data, at most ``timeout_s``; as ``StreamTransport.receive``."""
        due_at = self._line.turn()
        if due_at is not None:
            timeout_s = min(timeout_s, due_at - time.monotonic())
        with self._changed:
            if not (self._came or self._is_over or self._is_stirred):
                self._changed.wait(max(0.0, timeout_s))
            self._is_stirred = False
            data = bytes(self._came)
            self._came.clear()
            is_over = self._is_over
        if data:
            self.received_bytes += len(data)
            return self.codec.feed(data)
        if is_over:
            raise ConnectionLost(f"connection to {self.url} lost: the router closed it")
        return []

    def send(self, data: bytes, stall_s: float) -> int:
        """Send; the Router takes all of it at once. As ``StreamTransport.send``."""
        if self._is_over:
            raise ConnectionLost(f"connection to {self.url} lost: the router closed it")
        self._line.send(data)
        self.sent_bytes += len(data)
        return len(data)

    @staticmethod
    def under_way_bytes() -> int:
        """Give 0: the Router takes all of it at once."""
        return 0

    def abort(self) -> None:
        """End the connection at once; who waits in it gets ConnectionLost. Idempotent."""
        self.hung_up()
        self._line.hang_up()

    close = abort
