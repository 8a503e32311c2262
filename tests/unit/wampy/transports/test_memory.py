"""The client's end of a connection in memory, with a Router that the test plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from wampy.errors import ConnectFailed, ConnectionLost
from wampy.protocol.frames import FrameKind
from wampy.transports import connect, parse_url
from wampy.transports.memory import End, MemoryTransport, offer, withdraw

URL = "memory://test"


class Line:
    """A Router's side: remembers what it was told."""

    serializer_name = "json"

    def __init__(self, end: End) -> None:
        self.end = end
        self.sent = b""
        self.turns = 0
        self.has_hung_up = False
        self.due_at: float | None = None

    def send(self, data: bytes) -> None:
        self.sent += data

    def turn(self) -> float | None:
        self.turns += 1
        return self.due_at

    def hang_up(self) -> None:
        self.has_hung_up = True


lines: list[Line] = []


def opened(end: End, serializers: Sequence[str]) -> Line | None:
    if "json" not in serializers:
        return None
    lines.append(Line(end))
    return lines[-1]


@pytest.fixture(autouse=True)
def router() -> Iterator[None]:
    offer("test", opened)
    yield
    withdraw("test")
    lines.clear()


def connected() -> tuple[MemoryTransport, Line]:
    transport = connect(parse_url(URL), ("msgpack", "json"), 0.0)
    assert isinstance(transport, MemoryTransport)
    return transport, lines[-1]


def test_what_is_sent_is_the_routers_at_once() -> None:
    transport, line = connected()
    assert transport.serializer_name == "json"
    assert transport.send(transport.codec.message(b"[1]"), 0.0) == 7
    assert line.sent == b"\0\0\0\3[1]"
    assert transport.is_private
    assert transport.channel_id() is None


def test_what_is_delivered_is_received_and_counted_until_then() -> None:
    transport, line = connected()
    line.end.deliver(b"\0\0\0\3[2]\0\0")
    assert transport.waiting_bytes == 9
    assert transport.receive(10.0) == [(FrameKind.MESSAGE, b"[2]")]
    assert transport.waiting_bytes == 0
    line.end.deliver(b"\0\1x")
    assert transport.receive(10.0) == [(FrameKind.MESSAGE, b"x")]


def test_nothing_comes_in_time() -> None:
    transport, line = connected()
    assert transport.receive(0.0) == []
    assert line.turns == 1


def test_what_is_due_ends_the_wait() -> None:
    transport, line = connected()
    line.due_at = 0.0  # long ago
    assert transport.receive(3600.0) == []
    line.due_at = None
    line.end.stir()
    assert transport.receive(3600.0) == []


def test_the_end_comes_behind_what_was_delivered() -> None:
    transport, line = connected()
    line.end.deliver(b"\0\0\0\1x")
    line.end.hung_up()
    assert transport.receive(3600.0) == [(FrameKind.MESSAGE, b"x")]
    with pytest.raises(ConnectionLost, match="memory://test lost: the router closed it"):
        transport.receive(3600.0)
    with pytest.raises(ConnectionLost, match="memory://test lost: the router closed it"):
        transport.send(b"", 0.0)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_our_own_end(how: str) -> None:
    transport, line = connected()
    getattr(transport, how)()
    getattr(transport, how)()
    assert line.has_hung_up
    with pytest.raises(ConnectionLost):
        transport.receive(3600.0)


def test_who_is_not_there() -> None:
    with pytest.raises(ConnectFailed, match="memory://nobody: no router of that name runs"):
        connect(parse_url("memory://nobody"), ("json",), 0.0)
    with pytest.raises(ConnectFailed, match="it takes none of msgpack"):
        connect(parse_url(URL), ("msgpack",), 0.0)
    with pytest.raises(ValueError, match="memory://test in this process already"):
        offer("test", lambda end, serializers: None)
    withdraw("test")
    withdraw("test")
    with pytest.raises(ConnectFailed, match="no router of that name"):
        connected()
