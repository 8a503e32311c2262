"""RawSocket: framing of messages on a byte stream, without IO.

Handshake: four octets each way, the first 0x7F, then length and serializer, then two zeros.
Frames: one octet kind (0 message, 1 ping, 2 pong), three octets length, the payload.

Spec: Advanced Profile, "RawSocket Transport".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from struct import Struct

import msgspec

from wampy.errors import LocalProtocolError, RemoteProtocolError

HANDSHAKE_SIZE = 4
SERIALIZER_JSON = 1
SERIALIZER_MSGPACK = 2
SERIALIZER_CBOR = 3

_MAGIC = 0x7F
#: Kind and length in one number.
_HEADER = Struct(">I")
_HEADER_SIZE = _HEADER.size
_REFUSALS = {
    1: "serializer unsupported",
    2: "maximum message length unacceptable",
    3: "use of reserved bits",
    4: "maximum connection count reached",
}


class FrameKind(Enum):
    """What a frame carries."""

    MESSAGE = 0
    PING = 1
    PONG = 2


_KINDS = {kind.value: kind for kind in FrameKind}


class Frame(msgspec.Struct, frozen=True):
    """One frame: its kind and its payload."""

    kind: FrameKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Handshake:
    """What one side says: the longest message it takes (bytes), and the serializer's number."""

    max_bytes: int
    serializer_id: int


def handshake_request(serializer_id: int, max_length_exponent: int = 15) -> bytes:
    """Give the client's four octets.

    Args:
        serializer_id: 1 JSON, 2 MessagePack, 3 CBOR.
        max_length_exponent: 0 to 15: we take messages of 2**(9 + that) bytes.

    Raises:
        LocalProtocolError: an argument is out of its range.
    """
    if not 0 <= max_length_exponent <= 15 or not 1 <= serializer_id <= 15:
        raise LocalProtocolError("the RawSocket handshake has four bits for each number")
    return bytes((_MAGIC, max_length_exponent << 4 | serializer_id, 0, 0))


#: The server's answer has the same form.
handshake_reply = handshake_request


def refuse_handshake(reason: int) -> bytes:
    """Give the server's four octets that refuse a client: 1 serializer … 4 connection count.

    Raises:
        LocalProtocolError: the reason is not from 1 to 15.
    """
    if not 1 <= reason <= 15:
        raise LocalProtocolError("the RawSocket handshake has four bits for the reason, and not 0")
    return bytes((_MAGIC, reason << 4, 0, 0))


def parse_handshake_request(octets: bytes) -> Handshake:
    """Read the client's four octets.

    Raises:
        RemoteProtocolError: it is no RawSocket handshake.
    """
    if len(octets) != HANDSHAKE_SIZE or octets[0] != _MAGIC:
        raise RemoteProtocolError("not a RawSocket handshake")
    if octets[2:] != b"\0\0":
        raise RemoteProtocolError("the RawSocket handshake uses reserved octets")
    if octets[1] & 0x0F == 0:
        raise RemoteProtocolError("the RawSocket handshake names no serializer")
    return Handshake(1 << (9 + (octets[1] >> 4)), octets[1] & 0x0F)


def parse_handshake_reply(octets: bytes) -> Handshake:
    """Read the server's four octets.

    Raises:
        RemoteProtocolError: the server refuses, or is no RawSocket server.
    """
    if len(octets) == HANDSHAKE_SIZE and octets[0] == _MAGIC and octets[1] & 0x0F == 0:
        reason = octets[1] >> 4
        said = _REFUSALS.get(reason, f"error {reason}")
        raise RemoteProtocolError(f"the router refuses the RawSocket handshake: {said}")
    return parse_handshake_request(octets)


def frame(kind: FrameKind, payload: bytes) -> bytes:
    """Give the bytes of one frame.

    Raises:
        LocalProtocolError: the payload has more than 2**24 - 1 bytes.
    """
    size = len(payload)
    if size >> 24:
        raise LocalProtocolError(f"{size} bytes are more than a RawSocket frame can carry")
    return _HEADER.pack(kind.value << 24 | size) + payload


class FrameReader:
    """Cuts a byte stream into frames, wherever it was cut on its way; not thread-safe.

    Args:
        max_bytes: the longest payload that is taken.
    """

    def __init__(self, max_bytes: int = 1 << 24) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, received: bytes | bytearray) -> list[Frame]:
        """Take bytes, give the frames that are whole now.

        Raises:
            RemoteProtocolError: a frame of a kind that is not known, or too long a one. What came
                with it is lost, and so is the connection: every later call raises the same.
        """
        buffer = self._buffer
        # Mostly whole frames come and none waits: they are cut out without a copy of them all.
        source = received
        if buffer:
            buffer += received
            source = buffer
        frames: list[Frame] = []
        start, available = 0, len(source)
        while available - start >= _HEADER_SIZE:
            (header,) = _HEADER.unpack_from(source, start)
            kind = _KINDS.get(header >> 24)
            size = header & 0xFFFFFF
            if kind is None or size > self._max_bytes:
                self._buffer = bytearray(source[start : start + _HEADER_SIZE])
                if kind is None:
                    raise RemoteProtocolError(f"RawSocket frame of kind {header >> 24}")
                raise RemoteProtocolError(
                    f"RawSocket frame of {size} bytes; {self._max_bytes} were announced"
                )
            end = start + _HEADER_SIZE + size
            if available < end:
                break
            if source is buffer:
                # By a view, since a slice of a bytearray is one copy more.
                payload = bytes(memoryview(buffer)[start + _HEADER_SIZE : end])
            else:
                payload = bytes(source[start + _HEADER_SIZE : end])
            frames.append(Frame(kind, payload))
            start = end
        if source is buffer:
            del buffer[:start]
        elif start < available:
            buffer += source[start:]
        return frames
