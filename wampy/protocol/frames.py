"""What a transport's framing gives, whichever it is: kinds of frames and their payloads."""

from __future__ import annotations

from enum import IntEnum


class FrameKind(IntEnum):
    """What a frame carries; the first three are RawSocket's own numbers."""

    MESSAGE = 0
    PING = 1
    PONG = 2
    CLOSE = 3
    #: A message that was passed over: eight octets say its size, the rest is its head.
    TOO_LONG = 4


#: The kind, and the payload.
Frame = tuple[FrameKind, bytes]
