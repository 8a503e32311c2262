"""WebSocket frames as RFC 6455 wants them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampy.errors import RemoteProtocolError
from wampy.protocol.frames import FrameKind
from wampy.transports.frames import WebSocketCodec, describe_close, masked

LIMIT = 100_000


def codec(*, is_binary: bool = True) -> WebSocketCodec:
    return WebSocketCodec(is_binary=is_binary, max_receive_bytes=LIMIT)


def served(payload: bytes, first: int = 0x82) -> bytes:
    """Give a frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def unmasked(frame: bytes) -> tuple[int, bytes]:
    """Read a client's frame: its first octet and its payload."""
    assert frame[1] & 0x80, "a client masks"
    length, at = frame[1] & 0x7F, 2
    if length > 125:
        width = 2 if length == 126 else 8
        length, at = int.from_bytes(frame[at : at + width], "big"), at + width
    mask, payload = frame[at : at + 4], frame[at + 4 :]
    assert len(payload) == length
    return frame[0], bytes(octet ^ mask[place % 4] for place, octet in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_what_goes_out_is_masked_and_as_long_as_it_says(size: int) -> None:
    payload = bytes(place % 251 for place in range(size))
    assert unmasked(codec().message(payload)) == (0x82, payload)
    assert unmasked(codec(is_binary=False).message(payload)) == (0x81, payload)


def test_masks_differ_however_many_are_drawn() -> None:
    out = codec()
    masks = {out.message(b"")[2:] for _ in range(3000)}
    assert len(masks) > 2990


def test_control_frames() -> None:
    out = codec()
    assert unmasked(out.ping()) == (0x89, b"wampy")
    assert unmasked(out.pong(b"x")) == (0x8A, b"x")
    assert unmasked(out.closing()) == (0x88, b"\x03\xe8")
    frames = out.feed(served(b"a", 0x89) + served(b"b", 0x8A) + served(b"\x03\xe9bye", 0x88))
    assert frames == [
        (FrameKind.PING, b"a"),
        (FrameKind.PONG, b"b"),
        (FrameKind.CLOSE, b"\x03\xe9bye"),
    ]


@given(
    st.lists(st.binary(max_size=300) | st.sampled_from([b"x" * 126, b"y" * 70000]), max_size=8),
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_cut_anywhere_the_same_messages_come_out(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(served, messages))
    reader = codec()
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    got = []
    for start, end in itertools.pairwise(places):
        got += reader.feed(stream[start:end])
    assert got == [(FrameKind.MESSAGE, message) for message in messages]


def test_byte_by_byte() -> None:
    reader = codec()
    stream = served(b"one") + served(b"z" * 200) + served(b"", 0x89) + served(b"t" * 66000)
    got = [frame for octet in stream for frame in reader.feed(bytes((octet,)))]
    assert [payload[:3] for _, payload in got] == [b"one", b"zzz", b"", b"ttt"]


def test_a_message_in_pieces_with_a_ping_between() -> None:
    frames = codec().feed(
        served(b"ab", 0x02) + served(b"p", 0x89) + served(b"cd", 0x00) + served(b"e", 0x80)
    )
    assert frames == [(FrameKind.PING, b"p"), (FrameKind.MESSAGE, b"abcde")]


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"\x82\x81mask", "masked"),
        (served(b"x", 0xC2), "reserved bit"),
        (served(b"x", 0x83), "type 3"),
        (served(b"x", 0x80), "never began"),
        (served(b"x", 0x02) + served(b"y", 0x82), "within another"),
        (served(b"x", 0x02) + served(b"y", 0x02), "within another"),
        (served(b"x", 0x09), "control frame"),
        (served(b"x" * 126, 0x89), "control frame"),
        (served(b"x" * (LIMIT + 1), 0x00), "the limit is"),
        (served(b"x" * (LIMIT + 1), 0x09), "the limit is"),
        (served(b"x" * (LIMIT + 1), 0xC2), "the limit is"),
        (served(b"x", 0x02) + served(b"x" * (LIMIT + 1), 0x82), "the limit is"),
        (b"\x82\x7f" + b"\x7f" * 8, "the limit is"),
    ],
)
def test_what_no_server_sends_is_refused(stream: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        codec().feed(stream)


PIECES = [served(b"y" * 60_000, 0x02), served(b"z" * 60_000, 0x00), served(b"", 0x80)]
LONG = b"x" * (LIMIT + 1)


@pytest.mark.parametrize(
    ("stream", "size", "head"),
    [
        (served(b"head" + b"x" * LIMIT), LIMIT + 4, b"head" + b"x" * 60),
        (b"".join(PIECES), 120_000, b"y" * 64),
        # One piece is longer than the whole may be: the first, a later one, the last, each.
        (served(b"h" + LONG, 0x02) + served(b"z", 0x80), LIMIT + 3, b"h" + b"x" * 63),
        (served(b"h", 0x02) + served(LONG, 0x00) + served(b"z", 0x80), LIMIT + 3, b"h" + b"x" * 63),
        (served(b"h", 0x02) + served(LONG, 0x80), LIMIT + 2, b"h" + b"x" * 63),
        (
            served(LONG, 0x02) + served(LONG, 0x00) + served(LONG, 0x80),
            3 * LIMIT + 3,
            b"x" * 64,
        ),
        (b"".join(PIECES[:2]) + served(LONG, 0x80), 120_001 + LIMIT, b"y" * 64),
        (served(b"", 0x02) + served(b"", 0x00) * (LIMIT + 1) + served(b"end", 0x80), 3, b""),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 7, 100, 60_007, 10**9])
def test_what_is_too_long_is_passed_over(stream: bytes, size: int, head: bytes, cut: int) -> None:
    """Wherever it is cut, and what follows is whole; nothing of it is kept but its head."""
    reader = codec()
    data = served(b"before") + stream + served(b"p", 0x89) + served(b"after")
    frames = []
    for at in range(0, len(data), cut):
        frames += reader.feed(data[at : at + cut])
    assert frames == [
        (FrameKind.MESSAGE, b"before"),
        (FrameKind.TOO_LONG, size.to_bytes(8, "big") + head),
        (FrameKind.PING, b"p"),
        (FrameKind.MESSAGE, b"after"),
    ]


def test_a_ping_between_pieces_that_are_passed_over() -> None:
    frames = codec().feed(served(LONG, 0x02) + served(b"p", 0x89) + served(b"z", 0x80))
    assert [kind for kind, _ in frames] == [FrameKind.PING, FrameKind.TOO_LONG]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_give_frames_or_a_protocol_error(pieces: list[bytes]) -> None:
    reader = codec()
    try:
        for piece in pieces:
            reader.feed(piece)
    except RemoteProtocolError:
        pass


def test_what_a_close_frame_says() -> None:
    assert describe_close(b"") == "the router closed the connection"
    assert describe_close(b"\x03\xeatoo bad \xff").endswith("1002 too bad \ufffd")


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8191, 8192, 8193, 100_001])
def test_a_mask_is_put_on_and_taken_off(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    payload, mask = payload[:size], b"\x01\x80\xff\x00"
    result = masked(payload, mask)
    assert result == bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
    assert masked(result, mask) == payload
