"""The built-in Router without a socket or a thread: for Sessions of this process."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from wampy.errors import RemoteProtocolError
from wampy.protocol.frames import FrameKind
from wampy.protocol.rawsocket import FrameReader
from wampy.router.config import Listener
from wampy.router.connection import Connection
from wampy.router.server import RouterServer
from wampy.router.settings import open_to_everybody
from wampy.transports.memory import End, offer, withdraw

logger = logging.getLogger("wampy.router")

#: What a client may have waiting before more waits at the Router: as a socket's buffer.
_BUFFER_BYTES = 2**18
#: Seconds between two looks of ``stop`` at what is still pending.
_LOOK_S = 0.02
_numbers = itertools.count(1)


class MemoryRouter:
    """A Router for tests, all in memory: everybody may do everything, the meta API included.

    The Realm, the limits, the bytes and what is made of them are the built-in Router's. It deals
    with what is sent in the thread that sends it; what is due, such as a call's timeout at the
    Router, happens while a Session waits. Use it in a ``with`` statement; ``Session`` and
    ``AsyncSession`` take it as it is. Thread-safe.

    Args:
        name: of its URL; default: one that no other has.
        realm: its one Realm.

    Attributes:
        url: ``memory://NAME``.
    """

    name = "router"
    role = "DEALER"

    def __init__(self, name: str | None = None, realm: str = "realm1") -> None:
        self.realm = realm
        self._name = name or f"router{next(_numbers)}"
        self.url = f"memory://{self._name}"
        #: One client's bytes at a time; notified after each turn.
        self._turned = threading.Condition(threading.Lock())
        self._server: RouterServer | None = None
        self._connections: set[_MemoryConnection] = set()
        self._due_at: float | None = None

    def start(self) -> None:
        """Take clients. Idempotent.

        Raises:
            ValueError: a Router of that name runs in this process already.
        """
        if self._server is not None:
            return
        config = open_to_everybody(self.realm, "127.0.0.1", 0, "/ws")
        listener = replace(config.listeners[0], kind="memory")
        offer(self._name, lambda end, names: self._open(listener, end, names))
        self._server = RouterServer(replace(config, listeners=()))

    def stop(self) -> None:
        """Let pending calls end, say GOODBYE to all, and take no more clients. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        withdraw(self._name)
        server.stop()
        with self._turned:
            while server.run_once(0.0):
                self._turned.wait(_LOOK_S)
            server.close()

    def _open(
        self, listener: Listener, end: End, serializers: Sequence[str]
    ) -> _MemoryConnection | None:
        with self._turned:
            server = self._server
            if server is None:
                return None
            for name in serializers:
                if name in server.wires:
                    connection = _MemoryConnection(self, server, listener, end, name)
                    self._connections.add(connection)
                    server.opened(connection)
                    return connection
        return None

    def turn(
        self, connection: _MemoryConnection, step: Callable[[], None] | None = None
    ) -> float | None:
        """Take a step for a connection, and do what is due; give when something is next."""
        with self._turned:
            if connection.is_closed:
                return None
            server = connection.server
            server.now = server.poller.now()
            try:
                if step is not None:
                    step()
            except Exception:
                # Broad: a bug that one client sets off ends its connection, never the others'.
                logger.exception("a bug in the Router; a connection in memory ends")
                connection.abandon("a bug in the Router")
            server.run_once(0.0)
            due_at = server.realm.next_deadline()
            if due_at != self._due_at:
                self._due_at = due_at
                for other in self._connections:
                    other.end.stir()
            self._turned.notify_all()
            return due_at

    def forget(self, connection: _MemoryConnection) -> None:
        """Take note that a connection has ended. Caller holds the lock."""
        self._connections.discard(connection)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def __repr__(self) -> str:
        """Say where it is."""
        return f"<MemoryRouter {self.url}{'' if self._server else ' stopped'}>"


class _MemoryConnection(Connection):
    """A connection: the Router's side, and the Line that its client has. See ``Line``."""

    def __init__(
        self, router: MemoryRouter, server: RouterServer, listener: Listener, end: End, name: str
    ) -> None:
        super().__init__(server, listener, "memory", server.poller.now())
        self.serializer_name = name
        self.wire = server.wires[name]
        self.end = end
        self._router = router
        self._frames = FrameReader()
        self._out: list[bytes] = []

    # ------------------------------------------------------------------ what the client calls

    def send(self, data: bytes) -> None:
        """See ``Line.send``."""
        self._router.turn(self, lambda: self._take(data))

    def turn(self) -> float | None:
        """See ``Line.turn``."""
        return self._router.turn(self, self.flush if self._out else None)

    def hang_up(self) -> None:
        """See ``Line.hang_up``."""
        self._router.turn(self, lambda: self.abandon("it hung up"))

    # ------------------------------------------------------------------ the Router's side

    def _take(self, data: bytes) -> None:
        self.heard_at = self.server.now
        assert self.wire is not None
        try:
            for kind, payload in self._frames.feed(data):
                if self.is_closing:
                    return  # what comes after a GOODBYE is nobody's
                if kind is FrameKind.MESSAGE:
                    self.server.received(self, self.wire.decode(payload))
        except RemoteProtocolError as error:
            self.server.violated(self, error)

    def send_message(self, encoded: bytes) -> None:
        """Queue one encoded message, framed."""
        frame = len(encoded).to_bytes(4, "big") + encoded
        self._out.append(frame)
        self.queued_bytes += len(frame)
        if len(self._out) == 1:
            self.server.unflushed.append(self)

    def flush(self) -> None:
        """Deliver what is queued, as long as the client takes it."""
        while self._out and self.end.waiting_bytes < _BUFFER_BYTES:
            frame = self._out.pop(0)
            self.queued_bytes -= len(frame)
            self.end.deliver(frame)
        if self.is_closing and not self._out:
            self.end.hung_up()

    def disconnect(self) -> None:
        """Deliver nothing more."""
        self._out.clear()
        self._router.forget(self)
        self.end.hung_up()
