"""A client that does what it is told, and nothing by itself: for what a Session would never do."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from pathlib import Path
from typing import Any, Self

import cbor2
import msgspec

from tests.support import TIME_SCALE
from wampy.protocol.frames import FrameKind
from wampy.protocol.rawsocket import FrameReader
from wampy.serializers import SERIALIZERS
from wampy.transports.frames import WebSocketCodec

_CODECS: dict[str, Any] = {
    "json": (msgspec.json.encode, msgspec.json.decode),
    "msgpack": (msgspec.msgpack.encode, msgspec.msgpack.decode),
    "cbor": (cbor2.dumps, cbor2.loads),
}
ROLES: dict[str, Any] = {role: {} for role in ("caller", "callee", "publisher", "subscriber")}
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp.2.{serializer}\r\n\r\n"
)


def connect(address: Path | int, receive_bytes: int = 0) -> socket.socket:
    """Connect to a unix socket's path, or a port of this machine."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(10 * TIME_SCALE)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        sock.connect(str(address) if isinstance(address, Path) else ("127.0.0.1", address))
    except OSError:
        sock.close()
        raise
    return sock


class Client:
    """RawSocket or WebSocket, message by message.

    Args:
        address: a unix socket's path, or a port of this machine.
        max_exponent: of the RawSocket handshake: it takes messages of 2**(9 + that) bytes.
        receive_bytes: of the kernel's buffer; 0: the default.
    """

    def __init__(
        self,
        address: Path | int,
        *,
        websocket: bool = False,
        serializer: str = "msgpack",
        max_exponent: int = 15,
        receive_bytes: int = 0,
        path: str = "/ws",
    ) -> None:
        self.sock = connect(address, receive_bytes)
        self.close_code = 0
        self.pings = 0
        self._encode, self._decode = _CODECS[serializer]
        self._messages: deque[Any] = deque()
        self._requests = 0
        self._websocket: WebSocketCodec | None = None
        self._rawsocket = FrameReader()
        if websocket:
            self.sock.sendall(UPGRADE.format(path=path, serializer=serializer).encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.sock.recv(1)
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._websocket = WebSocketCodec(
                is_binary=serializer != "json", max_receive_bytes=1 << 30
            )
        else:
            number = SERIALIZERS[serializer].rawsocket_id
            self.sock.sendall(bytes((0x7F, max_exponent << 4 | number, 0, 0)))
            assert self.sock.recv(4)[1] & 0x0F == number

    def encode(self, *fields: Any) -> bytes:
        """Give the bytes of a message, framed."""
        octets = self._encode(fields)
        if self._websocket is not None:
            return self._websocket.message(octets)
        return len(octets).to_bytes(4, "big") + octets

    def send(self, *fields: Any) -> None:
        self.sock.sendall(self.encode(*fields))

    def recv(self) -> Any:
        """Give the next message; None when the Router has closed the connection."""
        while not self._messages:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            if self._websocket is None:
                frames = self._rawsocket.feed(data)
            else:
                frames = self._websocket.feed(data)
            for kind, payload in frames:
                if kind is FrameKind.MESSAGE:
                    self._messages.append(self._decode(payload))
                elif kind is FrameKind.PING:
                    self.pings += 1
                elif kind is FrameKind.CLOSE:
                    self.close_code = int.from_bytes(payload[:2], "big")
        return self._messages.popleft()

    def recv_until(self, code: int) -> Any:
        """Give the next message with that code; what comes before it is passed over."""
        while (message := self.recv()) is not None:
            if message[0] == code:
                return message
        raise AssertionError(f"the connection ended before a message {code}")

    def join(self, realm: str = "realm1", **details: Any) -> Self:
        self.send(1, realm, {"roles": ROLES, **details})
        welcome = self.recv()
        assert welcome[0] == 2, welcome
        self.id = welcome[1]
        return self

    def request(self, code: int, *fields: Any) -> Any:
        """Send a request, with an id of its own; give its answer."""
        self._requests += 1
        self.send(code, self._requests, *fields)
        return self.recv()

    def widen(self) -> None:
        """Take as much as others do from now on.

        A buffer shorter than a segment leaves TCP to its probes: some bytes five times a second.
        """
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()
