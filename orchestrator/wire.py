"""A non-blocking connection to the Router for the supervisor's loop: bytes to payloads and back.

RawSocket framing is the library's own sans-IO code; WebSocket framing is wsproto's, since the
library's WebSocket transport blocks. TLS is verified, always.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from orchestrator.loop import Loop
from wampy.errors import WampyError
from wampy.protocol import rawsocket
from wampy.protocol.frames import FrameKind

#: What the Router may send us in one message.
MAX_MESSAGE_BYTES = 1 << 24
_READ_SIZE = 1 << 16


class Framing(Protocol):
    """Turns a byte stream into payloads and payloads into bytes; knows of no socket."""

    def opening(self) -> bytes:
        """Give what must be sent first."""
        ...

    def feed(self, received: bytes) -> tuple[list[bytes], bytes, bool]:
        """Take bytes; give whole payloads, bytes to send back, and whether it is open now.

        Raises:
            WampyError: the other side breaks the rules or refuses.
        """
        ...

    def frame(self, payload: bytes) -> bytes:
        """Give the bytes that carry one payload."""
        ...


class RawSocketFraming:
    """WAMP RawSocket with MessagePack."""

    def __init__(self) -> None:
        self._is_open = False
        self._greeting = b""
        self._reader = rawsocket.FrameReader(MAX_MESSAGE_BYTES)

    def opening(self) -> bytes:
        """Give the four octets of the handshake."""
        return rawsocket.handshake_request(rawsocket.SERIALIZER_MSGPACK, 15)

    def feed(self, received: bytes) -> tuple[list[bytes], bytes, bool]:
        """See ``Framing.feed``."""
        if not self._is_open:
            self._greeting += received
            if len(self._greeting) < rawsocket.HANDSHAKE_SIZE:
                return [], b"", False
            rawsocket.parse_handshake_reply(self._greeting[: rawsocket.HANDSHAKE_SIZE])
            received = self._greeting[rawsocket.HANDSHAKE_SIZE :]
            self._is_open = True
        payloads: list[bytes] = []
        replies = b""
        for kind, payload in self._reader.feed(received):
            if kind is FrameKind.MESSAGE:
                payloads.append(payload)
            elif kind is FrameKind.PING:
                replies += rawsocket.frame(FrameKind.PONG, payload)
        return payloads, replies, True

    def frame(self, payload: bytes) -> bytes:
        """See ``Framing.frame``."""
        return rawsocket.frame(FrameKind.MESSAGE, payload)


class WebSocketFraming:
    """WebSocket with the subprotocol ``wamp.2.msgpack``."""

    def __init__(self, host: str, target: str) -> None:
        import wsproto
        from wsproto.events import Request

        self._connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._request = Request(host=host, target=target, subprotocols=["wamp.2.msgpack"])
        self._is_open = False
        self._partial = b""

    def opening(self) -> bytes:
        """Give the upgrade request, whole: Crossbar wants it in one segment."""
        return self._connection.send(self._request)

    def feed(self, received: bytes) -> tuple[list[bytes], bytes, bool]:
        """See ``Framing.feed``."""
        from wsproto import events
        from wsproto.utilities import RemoteProtocolError

        payloads: list[bytes] = []
        replies = b""
        try:
            self._connection.receive_data(received)
            for event in self._connection.events():
                if isinstance(event, events.AcceptConnection):
                    self._is_open = True
                elif isinstance(event, events.RejectConnection):
                    raise WampyError(f"the WebSocket upgrade was refused: {event.status_code}")
                elif isinstance(event, events.BytesMessage):
                    self._partial += bytes(event.data)
                    if event.message_finished:
                        payloads.append(self._partial)
                        self._partial = b""
                elif isinstance(event, events.Ping):
                    replies += self._connection.send(event.response())
                elif isinstance(event, events.CloseConnection):
                    raise WampyError(f"closed by the router: {event.code} {event.reason or ''}")
        except RemoteProtocolError as error:
            raise WampyError(f"not a WebSocket: {error}") from error
        return payloads, replies, self._is_open

    def frame(self, payload: bytes) -> bytes:
        """See ``Framing.frame``."""
        from wsproto.events import BytesMessage

        return self._connection.send(BytesMessage(data=payload))


class Wire:
    """One connection; all methods in the loop's thread, none blocks but name resolution.

    ``on_open()`` once payloads can be sent, ``on_payloads(list)`` for what came in one read,
    ``on_closed(reason)`` exactly once, at the end, also when it never opened.
    """

    def __init__(
        self,
        loop: Loop,
        url: str,
        *,
        on_open: Callable[[], None],
        on_payloads: Callable[[list[bytes]], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._url = url
        self._on_open = on_open
        self._on_payloads = on_payloads
        self._on_closed = on_closed
        self._outgoing = bytearray()
        self._is_open = False
        self._plain_waiting = b""
        self._tls: ssl.SSLObject | None = None
        parts = urlsplit(url)
        address: str | tuple[str, int]
        if parts.scheme == "unix":
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address = parts.path
        else:
            address = (parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._framing: Framing
        if parts.scheme in ("ws", "wss"):
            target = parts.path or "/"
            if parts.query:
                target += f"?{parts.query}"
            self._framing = WebSocketFraming(parts.netloc.rpartition("@")[2], target)
        else:
            self._framing = RawSocketFraming()
        if parts.scheme == "wss":
            self._incoming_tls, self._outgoing_tls = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = ssl.create_default_context().wrap_bio(
                self._incoming_tls, self._outgoing_tls, server_hostname=parts.hostname
            )
        self._socket.setblocking(False)
        self._loop.call_later(0, lambda: self._connect(address))

    def send(self, payloads: list[bytes]) -> None:
        """Send payloads, in order, in as few writes as the kernel takes."""
        self._write(b"".join(self._framing.frame(payload) for payload in payloads))

    def close(self, reason: str = "closed") -> None:
        """Close the connection; ``on_closed`` is called unless it already was."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._on_closed(reason)

    def _connect(self, address: str | tuple[str, int]) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            self._socket.connect(address)
        except BlockingIOError as error:
            if error.errno == errno.EAGAIN:  # a unix socket whose backlog is full
                self._loop.call_later(0.01, lambda: self._connect(address))
                return
            self._loop.add_writer(self._socket.fileno(), self._connected)
        except OSError as error:
            self.close(f"cannot connect to {self._url}: {error.strerror or error}")
        else:
            self._connected()

    def _connected(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.close(f"cannot connect to {self._url}: {os.strerror(error)}")
            return
        self._loop.remove_writer(self._socket.fileno())
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._write(self._framing.opening())

    def _readable(self) -> None:
        try:
            received = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"connection lost: {error.strerror}")
            return
        if not received:
            self.close("connection closed by the router")
            return
        try:
            plain = received if self._tls is None else self._decrypt(received)
            payloads, replies, is_open = self._framing.feed(plain)
        except (WampyError, ssl.SSLError) as error:
            self.close(f"{self._url}: {error}")
            return
        if replies:
            self._write(replies)
        if is_open and not self._is_open:
            self._is_open = True
            self._on_open()
        if payloads:
            self._on_payloads(payloads)

    def _decrypt(self, received: bytes) -> bytes:
        assert self._tls is not None
        self._incoming_tls.write(received)
        plain = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while chunk := self._tls.read(_READ_SIZE):
                plain += chunk
        self._write(b"")  # the handshake may have something to say, and what waited for it
        return plain

    def _write(self, plain: bytes) -> None:
        if self._tls is None:
            self._outgoing += plain
        else:
            self._plain_waiting += plain
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                if self._plain_waiting:
                    self._tls.write(self._plain_waiting)
                    self._plain_waiting = b""
            self._outgoing += self._outgoing_tls.read()
        self._flush()

    def _flush(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self._flush)
        except OSError as error:
            self.close(f"connection lost: {error.strerror}")
        else:
            self._loop.remove_writer(self._socket.fileno())


_DEFAULT_PORTS = {"ws": 80, "wss": 443, "tcp": 8080}
