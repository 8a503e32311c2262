"""RawSocket: however the bytes are cut on their way, the same frames come out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wampy.errors import RemoteProtocolError
from wampy.protocol import rawsocket
from wampy.protocol.frames import FrameKind
from wampy.protocol.rawsocket import FrameReader, frame

kinds = st.sampled_from((FrameKind.MESSAGE, FrameKind.PING, FrameKind.PONG))
frames = st.lists(st.tuples(kinds, st.binary(max_size=300)), max_size=6)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at these places, in any order and more than once."""
    ends = sorted(place % (len(octets) + 1) for place in places)
    return [octets[a:b] for a, b in zip([0, *ends], [*ends, len(octets)], strict=True)]


@given(frames, st.lists(st.integers(0, 5000), max_size=12))
def test_cut_at_any_place(expected, places):
    octets = b"".join(frame(kind, payload) for kind, payload in expected)
    reader = FrameReader(max_bytes=300)
    assert [found for part in cut(octets, places) for found in reader.feed(part)] == expected


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_any_bytes_give_frames_or_a_protocol_error(parts):
    reader = FrameReader(max_bytes=40)
    try:
        found = [part for octets in parts for part in reader.feed(octets)]
    except RemoteProtocolError:
        return
    octets = b"".join(parts)
    read = b"".join(frame(kind, payload) for kind, payload in found)
    assert octets.startswith(read)
    assert all(len(payload) <= 40 for _, payload in found)


@given(st.binary(max_size=6))
def test_any_handshake(octets):
    for parse in (rawsocket.parse_handshake_request, rawsocket.parse_handshake_reply):
        try:
            handshake = parse(octets)
        except RemoteProtocolError:
            continue
        assert 512 <= handshake.max_bytes <= 1 << 24
        assert 1 <= handshake.serializer_id <= 15


@given(st.integers(1, 15), st.integers(0, 15))
def test_each_handshake_is_read_as_it_was_written(serializer_id, exponent):
    octets = rawsocket.handshake_request(serializer_id, exponent)
    expected = rawsocket.Handshake(512 << exponent, serializer_id)
    assert rawsocket.parse_handshake_request(octets) == expected
    assert rawsocket.parse_handshake_reply(octets) == expected
