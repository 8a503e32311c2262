from __future__ import annotations

import pytest

from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.protocol import rawsocket
from wampy.protocol.frames import FrameKind
from wampy.protocol.rawsocket import FrameReader, Handshake, frame

MESSAGE, PING, PONG = FrameKind.MESSAGE, FrameKind.PING, FrameKind.PONG


def test_the_clients_octets():
    """Spec: Advanced Profile, "RawSocket Transport": 0x7F, LLLLSSSS, 0, 0."""
    assert rawsocket.handshake_request(rawsocket.SERIALIZER_JSON, 15) == b"\x7f\xf1\0\0"
    assert rawsocket.handshake_request(rawsocket.SERIALIZER_MSGPACK, 0) == b"\x7f\x02\0\0"
    assert rawsocket.handshake_request(rawsocket.SERIALIZER_CBOR) == b"\x7f\xf3\0\0"


@pytest.mark.parametrize(("serializer", "exponent"), [(0, 15), (16, 15), (1, -1), (1, 16)])
def test_four_bits_for_each_number(serializer, exponent):
    with pytest.raises(LocalProtocolError, match="four bits"):
        rawsocket.handshake_request(serializer, exponent)


def test_both_sides_read_what_the_other_wrote():
    request = rawsocket.handshake_request(2, 15)
    assert rawsocket.parse_handshake_request(request) == Handshake(1 << 24, 2)
    reply = rawsocket.handshake_reply(2, 0)
    assert rawsocket.parse_handshake_reply(reply) == Handshake(512, 2)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (1, "serializer unsupported"),
        (2, "maximum message length unacceptable"),
        (3, "use of reserved bits"),
        (4, "maximum connection count reached"),
        (9, "error 9"),
    ],
)
def test_a_refusal_says_why(reason, words):
    octets = rawsocket.refuse_handshake(reason)
    with pytest.raises(RemoteProtocolError, match=f"the router refuses .*: {words}"):
        rawsocket.parse_handshake_reply(octets)


@pytest.mark.parametrize("reason", [0, 16])
def test_a_refusal_has_a_reason(reason):
    with pytest.raises(LocalProtocolError):
        rawsocket.refuse_handshake(reason)


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "not a RawSocket handshake"),
        (b"\x7f\xf1\0", "not a RawSocket handshake"),
        (b"\x7f\xf1\0\0\0", "not a RawSocket handshake"),
        (b"HTTP", "not a RawSocket handshake"),
        (b"\x7f\xf1\0\1", "reserved octets"),
    ],
)
def test_what_is_no_handshake(octets, what):
    for parse in (rawsocket.parse_handshake_request, rawsocket.parse_handshake_reply):
        with pytest.raises(RemoteProtocolError, match=what):
            parse(octets)


def test_a_client_has_to_name_a_serializer():
    with pytest.raises(RemoteProtocolError, match="names no serializer"):
        rawsocket.parse_handshake_request(b"\x7f\xf0\0\0")


def test_the_octets_of_a_frame():
    assert frame(MESSAGE, b"abc") == b"\0\0\0\3abc"
    assert frame(PING, b"") == b"\1\0\0\0"
    assert frame(PONG, b"x" * 256) == b"\2\0\1\0" + b"x" * 256


def test_the_longest_frame():
    longest = bytes((1 << 24) - 1)
    assert FrameReader().feed(frame(MESSAGE, longest)) == [(MESSAGE, longest)]
    with pytest.raises(LocalProtocolError, match="16777216 bytes are more"):
        frame(MESSAGE, bytes(1 << 24))


def test_whole_frames():
    reader = FrameReader()
    octets = frame(MESSAGE, b"one") + frame(PING, b"") + frame(PONG, b"two")
    assert reader.feed(octets) == [(MESSAGE, b"one"), (PING, b""), (PONG, b"two")]
    assert reader.feed(b"") == []


def test_byte_by_byte():
    octets = frame(MESSAGE, b"one") + frame(PING, b"") + frame(MESSAGE, b"two")
    reader = FrameReader()
    frames = [found for octet in octets for found in reader.feed(bytes((octet,)))]
    assert frames == [(MESSAGE, b"one"), (PING, b""), (MESSAGE, b"two")]


def test_a_whole_one_and_the_beginning_of_the_next():
    octets = frame(MESSAGE, b"one") + frame(MESSAGE, b"two")
    reader = FrameReader()
    assert reader.feed(octets[:-1]) == [(MESSAGE, b"one")]
    assert reader.feed(octets[-1:]) == [(MESSAGE, b"two")]


def test_what_is_fed_may_change_afterwards():
    """Transports read into one buffer again and again."""
    buffer = bytearray(frame(MESSAGE, b"one") + b"\0\0")
    reader = FrameReader()
    (found,) = reader.feed(buffer)
    buffer[:] = b"\xff" * len(buffer)
    assert found == (MESSAGE, b"one")
    assert type(found[1]) is bytes
    assert reader.feed(b"\0\1x") == [(MESSAGE, b"x")]


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"\3\0\0\0", "RawSocket frame of kind 3"),
        (b"\x80\0\0\0", "RawSocket frame of kind 128"),
        (b"HTTP/1.1", "RawSocket frame of kind 72"),
        (b"\0\0\0\5", "RawSocket frame of 5 bytes; 4 were announced"),
        (b"\1\xff\xff\xff", "RawSocket frame of 16777215 bytes; 4 were announced"),
    ],
)
def test_what_is_no_frame(octets, what):
    """It is refused by its header, not when all of it has come; and for good."""
    reader = FrameReader(max_bytes=4)
    assert reader.feed(frame(MESSAGE, b"fits") + octets[:1]) == [(MESSAGE, b"fits")]
    with pytest.raises(RemoteProtocolError, match=what):
        reader.feed(octets[1:])
    with pytest.raises(RemoteProtocolError, match=what):
        reader.feed(frame(MESSAGE, b"fits"))
    with pytest.raises(RemoteProtocolError, match=what):
        FrameReader(max_bytes=4).feed(frame(MESSAGE, b"fits") + octets)


def test_an_interrupted_feed_has_done_nothing(monkeypatch):
    """Ctrl-C may come anywhere: the same bytes are fed again, and nothing is there twice."""
    octets = frame(MESSAGE, b"one") + frame(MESSAGE, b"two")
    reader = FrameReader()
    assert reader.feed(octets[:3]) == []
    held = []

    def interrupted(source, frames):
        held.append(source[4:7])
        frames.append((MESSAGE, b"one"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_cut", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reader.feed(octets[3:])
    assert reader.feed(octets[3:]) == [(MESSAGE, b"one"), (MESSAGE, b"two")]
