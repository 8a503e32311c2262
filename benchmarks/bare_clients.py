"""Clients without a library, as cheap as they can be: what is measured with them is the Router.

As a process: ``callee URL PROCEDURE CONNECTIONS`` answers calls with their own arguments, and says
``ready``; ``caller URL PROCEDURE CONNECTIONS IN_FLIGHT SECONDS BYTES`` keeps so many calls under
way on each of its connections, looks at each answer, and says how many came a second. URLs:
``unix://`` is RawSocket and MessagePack, ``ws://`` WebSocket and JSON.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from typing import Any

import msgspec

from wampy.protocol.frames import Frame, FrameKind
from wampy.transports.frames import WebSocketCodec

REALM = "realm1"
_ROLES: dict[str, Any] = {
    "caller": {},
    "callee": {"features": {"call_canceling": True}},
    "subscriber": {},
    "publisher": {},
}
_UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
)


class Invocation(msgspec.Struct, array_like=True):
    """INVOCATION, as far as an echo knows it; or INTERRUPT, when its caller has gone."""

    code: int
    request: int
    registration: msgspec.Raw
    details: msgspec.Raw = msgspec.Raw()
    args: msgspec.Raw = msgspec.Raw()


class Answer(msgspec.Struct, array_like=True):
    """RESULT, likewise."""

    code: int
    request: int
    details: msgspec.Raw
    args: msgspec.Raw = msgspec.Raw()


class Unmasked(WebSocketCodec):
    """Puts a mask of zeros on, which costs nothing; the Router takes off what there is."""

    def message(self, payload: bytes) -> bytes:
        length = len(payload)
        if length < 126:
            head = bytes((0x81, 0x80 | length))
        elif length < 65536:
            head = b"\x81\xfe" + length.to_bytes(2, "big")
        else:
            head = b"\x81\xff" + length.to_bytes(8, "big")
        return b"".join((head, b"\0\0\0\0", payload))


def connected(url: str) -> socket.socket:
    """Connect to a ``unix://``, ``ws://`` or ``tcp://`` URL; nothing has been said yet."""
    scheme, _, address = url.partition("://")
    if scheme == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        return sock
    host, _, port = address.partition("/")[0].rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class BareClient:
    """One joined session; blocks.

    Args:
        url: where to.
        encode: of the serializer; for RawSocket only, where MessagePack is the default.
        serializer: its number in the RawSocket handshake.
    """

    def __init__(self, url: str, encode: Any = None, serializer: int = 2) -> None:
        self._websocket: WebSocketCodec | None = None
        self._rest = b""
        self._frames: list[bytes] = []
        self.sock = connected(url)
        codec: Any = msgspec.msgpack
        if url.startswith("ws://"):
            codec = msgspec.json
            self.sock.sendall(_UPGRADE.encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.sock.recv(1)
            assert head.startswith(b"HTTP/1.1 101"), head
            self._websocket = Unmasked(is_binary=False, max_receive_bytes=1 << 24)
        else:
            self.sock.sendall(bytes((0x7F, 0xF0 | serializer, 0, 0)))
            assert len(self.sock.recv(4)) == 4
        self.encode = encode or codec.Encoder().encode
        self.answer = codec.Decoder(Answer).decode
        self.invocation = codec.Decoder(Invocation).decode
        self.send(self.encode([1, REALM, {"roles": _ROLES}]))
        self.welcome = self.frame()

    def send(self, *messages: bytes) -> None:
        """Send encoded messages, all at once."""
        if self._websocket is None:
            octets = b"".join([len(one).to_bytes(4, "big") + one for one in messages])
        else:
            octets = b"".join([self._websocket.message(one) for one in messages])
        self.sock.sendall(octets)

    def read(self) -> list[bytes]:
        """Read once, what has come; give the whole messages in it."""
        data = self.sock.recv(1 << 18)
        assert data, "the Router hung up"
        if self._websocket is not None:
            return self._messages(self._websocket.feed(data))
        if self._rest:
            data = self._rest + data
        found, at, size = [], 0, len(data)
        while size - at >= 4:
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if end > size:
                break
            found.append(data[at + 4 : end])
            at = end
        self._rest = data[at:]
        return found

    def _messages(self, frames: list[Frame]) -> list[bytes]:
        assert self._websocket is not None
        for kind, payload in frames:
            if kind is FrameKind.PING:
                self.sock.sendall(self._websocket.pong(payload))
        return [payload for kind, payload in frames if kind is FrameKind.MESSAGE]

    def frame(self) -> bytes:
        """Give the next message."""
        while not self._frames:
            self._frames = self.read()
        return self._frames.pop(0)


def serve(url: str, procedure: str, connections: int) -> None:
    """Answer each call with its own arguments, until killed."""
    clients = [BareClient(url) for _ in range(connections)]
    for client in clients:
        client.send(client.encode([64, 1, {"invoke": "roundrobin"}, procedure]))
        client.frame()
    print("ready", flush=True)

    def answer(client: BareClient) -> None:
        encode, invocation = client.encode, client.invocation
        asked = [invocation(one) for one in client.read()]
        client.send(*[encode([70, one.request, {}, one.args]) for one in asked if one.code == 68])

    if connections == 1:
        while True:
            answer(clients[0])
    for client in ready(clients):
        answer(client)


def call(
    url: str, procedure: str, connections: int, in_flight: int, seconds: float, size: int
) -> float:
    """Call for so long; give the answers per second."""
    clients = [BareClient(url) for _ in range(connections)]
    encode = clients[0].encode
    args = msgspec.Raw(encode(["x" * size]))
    answers, request = 0, 0

    def ask(client: BareClient, count: int) -> None:
        nonlocal request
        request += count
        numbers = range(request - count + 1, request + 1)
        client.send(*[encode([48, number, {}, procedure, args]) for number in numbers])

    began = time.perf_counter()
    ends = began + seconds
    for client in clients:
        ask(client, in_flight)
    for client in ready(clients) if connections > 1 else iter(lambda: clients[0], None):
        found = [client.answer(one) for one in client.read()]
        for one in found:
            assert one.code == 50, one
            assert len(one.args) == len(args)
        answers += len(found)
        if time.perf_counter() > ends:
            break
        if found:
            ask(client, len(found))
    return answers / (time.perf_counter() - began)


def ready(clients: list[BareClient]) -> Any:
    """Give, without end, who has something to read."""
    poller = select.epoll()
    by_fd = {client.sock.fileno(): client for client in clients}
    for fd in by_fd:
        poller.register(fd, select.EPOLLIN)
    while True:
        for fd, _ in poller.poll():
            yield by_fd[fd]


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "callee":
        serve(given[0], given[1], int(given[2]))
    else:
        url, procedure, *numbers = given
        connections, in_flight, seconds, size = map(int, numbers)
        print(call(url, procedure, connections, in_flight, seconds, size), flush=True)
