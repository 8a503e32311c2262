"""Any bytes to the Router: that connection ends or waits, the Router answers the others."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Iterator
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.wampy.router.clients import ROLES, UPGRADE
from tests.property.wamp import messages
from wampy.router.authentication import Authenticator, TicketPrincipal
from wampy.router.authorization import ACTIONS, Permission, Role
from wampy.router.config import Limits, Listener, RouterConfig
from wampy.router.server import RouterServer
from wampy.router.socket_connection import SocketConnection
from wampy.serializers import SERIALIZERS
from wampy.transports.frames import WebSocketCodec

EVERYTHING = (
    Permission("", "prefix", frozenset(ACTIONS)),
    Permission("wamp", "prefix", frozenset(("call", "subscribe"))),
)
PROCEDURES = ["wamp.session.count", "wamp.session.add_testament", "wamp.registration.list", "a.b"]


class Case:
    """A Router that is not run: each turn of its loop is the test's."""

    def __init__(self) -> None:
        tickets = {"joe": TicketPrincipal(role="anonymous", secret="x")}
        authenticator = Authenticator(anonymous="anonymous", ticket=tickets)
        self.listener = Listener("tcp", authenticator, port=0)
        roles = {"anonymous": Role("anonymous", EVERYTHING)}
        config = RouterConfig("realm1", (self.listener,), roles, Limits(message_bytes=2**16))
        self.server = RouterServer(config)
        self.faults: list[logging.LogRecord] = []
        self.witness = self.connect()
        self.talk(self.witness, [b"\x7f\xf2\0\0", framed(msgspec.msgpack.encode(HELLO))])

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        server = self.server
        connection = SocketConnection(server, theirs, self.listener, "test", server.poller.now())
        server._connections.add(connection)
        return ours

    def talk(self, sock: socket.socket, pieces: list[bytes]) -> tuple[bytes, bool]:
        """Send the pieces; give what came, and whether the Router has hung up."""
        came, is_over = b"", False
        for piece in [*pieces, b""]:
            if not is_over and piece:
                try:
                    sock.sendall(piece)
                except BrokenPipeError:
                    is_over = True
            assert self.server.run_once(0)
            try:
                while data := sock.recv(1 << 16):
                    came += data
                is_over = True
            except BlockingIOError:
                pass
            except ConnectionResetError:
                is_over = True
        return came, is_over

    def check(self) -> None:
        """The Router has met no bug of its own, and answers the others."""
        assert not self.faults, self.faults[0].getMessage()
        call = framed(msgspec.msgpack.encode([48, 1, {}, "wamp.session.count"]))
        came, is_over = self.talk(self.witness, [call])
        assert not is_over
        assert msgspec.msgpack.decode(came[4:]) == [50, 1, {}, [1]]
        assert len(self.server._connections) == 1


HELLO = [1, "realm1", {"roles": ROLES}]
ENCODE: dict[str, Any] = {
    "json": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "cbor": cbor2.dumps,
}


def framed(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets


class Faults(logging.Handler):
    def __init__(self, faults: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.append(record)


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    made = Case()
    handler = Faults(made.faults)
    logger = logging.getLogger("wampy.router")
    logger.addHandler(handler)
    yield made
    logger.removeHandler(handler)
    made.witness.close()
    made.server.close()


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """Cut it there, as far as it goes."""
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


places = st.lists(st.integers(0, 500), max_size=4)
upgrades = st.sampled_from(["json", "msgpack", "cbor"]).map(
    lambda name: UPGRADE.format(path="/ws", serializer=name).encode()
)
shakes = st.tuples(st.just(b"\x7f"), st.binary(min_size=3, max_size=3)).map(b"".join)
firsts = st.one_of(
    st.binary(max_size=100), upgrades, shakes, st.just(b"\x7f\xf2\0\0"), st.just(b"\x7f\xf3\0\0")
)


@st.composite
def spoiled(draw: Any, whole: st.SearchStrategy[bytes]) -> bytes:
    """Change some octets of it, or cut off its end."""
    octets = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        if octets:
            octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return bytes(octets[: draw(st.integers(0, len(octets)))] if draw(st.booleans()) else octets)


@given(first=spoiled(firsts), rest=st.binary(max_size=200), places=places)
def test_first_bytes(case, first, rest, places):
    with case.connect() as sock:
        case.talk(sock, cut(first + rest, places))
    case.server.run_once(0)
    case.check()


@st.composite
def sent(draw: Any, name: str) -> bytes:
    """Give something in the place of a message: one, a spoiled one, any value, any bytes."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1:
        codes = st.sampled_from([1, 5, 6, 8, 16, 32, 34, 48, 49, 64, 66, 70])
        uri = draw(st.sampled_from(PROCEDURES))
        options = draw(
            st.dictionaries(
                st.sampled_from(["match", "invoke", "progress", "timeout", "exclude", "retain",
                                 "eligible", "acknowledge", "mode", "get_retained", "concurrency",
                                 "receive_progress", "disclose_me", "ppt_x", "force_reregister"]),
                st.sampled_from([True, None, "prefix", "kill", "all", 1, -1, 2**60, [1], ["x"],
                                 {}, [[]], "roundrobin", 1.5]),
            )
        )  # fmt: skip
        last = draw(st.sampled_from([uri, 1, 2]))
        args = draw(st.sampled_from([[], [1], ["x"], None, ["a.b", [], {}], [{}, {}, {}, {}]]))
        return ENCODE[name]([draw(codes), draw(st.integers(1, 3)), options, last, args])
    message = draw(messages())
    try:
        octets = SERIALIZERS[name].encode(message)
    except Exception:
        return b""
    return draw(spoiled(st.just(octets))) if kind == 3 else octets


@given(
    name=st.sampled_from(list(SERIALIZERS)),
    websocket=st.booleans(),
    data=st.data(),
    places=places,
    tail=st.binary(max_size=20),
)
def test_bytes_of_who_has_joined(case, name, websocket, data, places, tail):
    with case.connect() as sock:
        codec = WebSocketCodec(is_binary=name != "json", max_receive_bytes=1 << 20)
        frame = codec.message if websocket else framed
        first = UPGRADE.format(path="/ws", serializer=name).encode()
        if not websocket:
            first = bytes((0x7F, 0xF0 | SERIALIZERS[name].rawsocket_id, 0, 0))
        came, is_over = case.talk(sock, [first, frame(ENCODE[name](HELLO))])
        assert b"registration_revocation" in came
        assert not is_over
        octets = b"".join(frame(one) for one in data.draw(st.lists(sent(name), max_size=8)))
        if data.draw(st.booleans()):
            octets = data.draw(spoiled(st.just(octets)))
        case.talk(sock, cut(octets + tail, places))
    case.server.run_once(0)
    case.check()
