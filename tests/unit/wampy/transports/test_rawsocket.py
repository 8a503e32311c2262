from __future__ import annotations

from wampy.protocol.frames import FrameKind
from wampy.transports.rawsocket import RawSocketCodec


def test_frames_both_ways() -> None:
    codec = RawSocketCodec()
    assert codec.message(b"abc") == b"\0\0\0\3abc"
    assert codec.pong(b"p") == b"\2\0\0\1p"
    assert codec.closing() == b""
    assert codec.ping() is None
    assert codec.feed(b"\0\0\0\3abc\1\0\0\1p\2\0\0\0") == [
        (FrameKind.MESSAGE, b"abc"),
        (FrameKind.PING, b"p"),
        (FrameKind.PONG, b""),
    ]
