"""WebSocket at the Router: the upgrade request, and the frames of a client."""

from __future__ import annotations

import json

import pytest

from tests.integration.wampy.router.clients import UPGRADE
from wampy.errors import RemoteProtocolError
from wampy.protocol.frames import FrameKind
from wampy.router.websocket import Answered, Handshake, MessageTooLong, ServerCodec, Upgraded
from wampy.transports.frames import WebSocketCodec

REQUEST = UPGRADE.format(path="/ws", serializer="json").encode()
#: RFC 6455, 1.3: what the key of UPGRADE is answered with.
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def made():
    return Handshake("/ws", lambda: {"status": "ok"})


def answer(request):
    outcome = made().feed(request)
    assert outcome is not None
    return outcome


def test_an_upgrade_cut_anywhere_is_the_same():
    whole = made().feed(REQUEST + b"rest")
    assert isinstance(whole, Upgraded)
    assert whole.serializer.name == "json"
    assert whole.rest == b"rest"
    head = whole.reply.lower()
    assert head.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-accept: " + ACCEPT.lower() in head
    assert b"sec-websocket-protocol: wamp.2.json\r\n" in head
    for cut in range(1, len(REQUEST)):
        handshake = made()
        assert handshake.feed(REQUEST[:cut]) is None
        assert handshake.feed(REQUEST[cut:] + b"rest") == whole
    handshake = made()
    for octet in REQUEST[:-1]:
        assert handshake.feed(bytes((octet,))) is None
    assert isinstance(handshake.feed(REQUEST[-1:]), Upgraded)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("wamp.2.cbor.batched, wamp.2.msgpack, wamp.2.json", "msgpack"),
        ("wamp.2.json\r\nSec-WebSocket-Protocol: wamp.2.msgpack", "json"),
        ("chat\r\nSec-WebSocket-Protocol: wamp.2.msgpack", "msgpack"),
    ],
)
def test_the_first_subprotocol_that_is_known_is_taken(offered, chosen):
    outcome = answer(REQUEST.replace(b"wamp.2.json", offered.encode()))
    assert isinstance(outcome, Upgraded)
    assert outcome.serializer.name == chosen


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"/ws", b"/elsewhere", 404),
        (b"/ws", b"/", 404),
        (b"Upgrade: websocket\r\n", b"", 426),
        (b"GET", b"PUT", 426),
        (b"Version: 13", b"Version: 12", 426),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", 426),
        (b"wamp.2.json", b"chat", 400),
        (b"Sec-WebSocket-Protocol: wamp.2.json\r\n", b"", 400),
        (b"Host: 127.0.0.1\r\n", b"", 400),
        (b"HTTP/1.1", b"HTTP/x", 400),
        (b"GET", b"\0\xff", 400),
        (b"13\r\n", b"13\r\nX: " + b"x" * 20_000 + b"\r\n", 431),
        (b"/ws", b"/" + b"x" * 20_000, 431),
        (b"GET /ws", b"HEAD /elsewhere", 404),
    ],
)
def test_what_is_no_upgrade_is_answered(old, new, status):
    assert old in REQUEST
    outcome = answer(REQUEST.replace(old, new, 1))
    assert isinstance(outcome, Answered)
    assert outcome.reply.startswith(b"HTTP/1.1 %d " % status), outcome.reply
    assert b"connection: close" in outcome.reply.lower()
    head, _, body = outcome.reply.partition(b"\r\n\r\n")
    assert bool(body) is not new.startswith(b"HEAD")
    assert (b"sec-websocket-version: 13" in head.lower()) is (status == 426)


def test_headers_without_end_are_refused():
    handshake = made()
    outcome = handshake.feed(b"GET /ws HTTP/1.1\r\nX: ")
    for _ in range(100):
        if outcome is not None:
            break
        outcome = handshake.feed(b"x" * 1000)
    assert isinstance(outcome, Answered)
    assert outcome.reply.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("path", [b"/health", b"/health?verbose=1"])
def test_health(path):
    outcome = answer(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = outcome.reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body) == {"status": "ok"}


def test_a_query_is_no_part_of_the_path():
    assert isinstance(answer(REQUEST.replace(b"/ws", b"/ws?token=1")), Upgraded)


# ---------------------------------------------------------------------- frames


def codec(limit=1000):
    return ServerCodec(is_binary=False, max_receive_bytes=limit)


def frame(first, payload=b"", mask=b"\1\2\3\4"):
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return head + mask + bytes(one ^ mask[i % 4] for i, one in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536])
def test_messages_of_each_size_arrive(size):
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert codec(100_000).feed(frame(0x82, payload)) == [(FrameKind.MESSAGE, payload)]
    ours = WebSocketCodec(is_binary=True, max_receive_bytes=100_000)
    assert codec(100_000).feed(ours.message(payload)) == [(FrameKind.MESSAGE, payload)]
    assert ours.feed(codec().message(payload)) == [(FrameKind.MESSAGE, payload)]


def test_frames_cut_anywhere_are_the_same():
    sent = frame(0x81, b"one") + frame(0x01, b"tw") + frame(0x89, b"ping") + frame(0x80, b"o")
    sent += frame(0x81, b"x" * 200) + frame(0x88, b"\x03\xe8bye")
    expected = [
        (FrameKind.MESSAGE, b"one"),
        (FrameKind.PING, b"ping"),
        (FrameKind.MESSAGE, b"two"),
        (FrameKind.MESSAGE, b"x" * 200),
        (FrameKind.CLOSE, b"\x03\xe8bye"),
    ]
    for cut in range(len(sent) + 1):
        one = codec()
        assert one.feed(sent[:cut]) + one.feed(sent[cut:]) == expected
    one = codec()
    assert [frame for octet in sent for frame in one.feed(bytes((octet,)))] == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"\x81\x03abc",
        frame(0xC1, b"x"),
        frame(0xA1, b"x"),
        frame(0x91, b"x"),
        frame(0x83, b"x"),
        frame(0x8B, b"x"),
        frame(0x80, b"x"),
        frame(0x01, b"x") + frame(0x81, b"x"),
        frame(0x09, b"x"),
        frame(0x89, b"x" * 126),
    ],
)
def test_what_is_no_frame_of_a_client_is_refused(sent):
    with pytest.raises(RemoteProtocolError, match="client") as raised:
        codec().feed(sent)
    assert not isinstance(raised.value, MessageTooLong)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x82\xfe\x03\xe9",
        b"\x82\xff" + b"\xff" * 8,
        frame(0x01, b"x" * 999) + frame(0x00, b"x"),
        b"".join([frame(0x01), *[frame(0x00)] * 1000]),
    ],
)
def test_what_is_too_long_is_refused_as_that(sent):
    with pytest.raises(MessageTooLong):
        codec().feed(sent)


def test_a_close_frame_says_why():
    assert codec().closing(1002, "why") == b"\x88\x05\x03\xeawhy"
    long = codec().closing(1009, "ä" * 100)
    assert len(long) <= 2 + 125
    assert long[4:].decode() == "ä" * 61
    assert codec().pong(b"hi") == b"\x8a\x02hi"
    assert codec().ping()[0] == 0x89
