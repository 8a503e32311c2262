"""RawSocket: framing of messages on a byte stream, without IO.

Handshake: four octets each way, the first 0x7F, then length and serializer, then two zeros.
Frames: one octet kind (0 message, 1 ping, 2 pong), three octets length, the payload.

Spec: Advanced Profile, "RawSocket Transport".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wampy.errors import LocalProtocolError, RemoteProtocolError

HANDSHAKE_SIZE = 4
SERIALIZER_JSON = 1
SERIALIZER_MSGPACK = 2
SERIALIZER_CBOR = 3

_MAGIC = 0x7F
_HEADER_SIZE = 4
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


@dataclass(frozen=True, slots=True)
class Frame:
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
    """Give the server's four octets that refuse a client: 1 serializer … 4 connection count."""
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
    return (kind.value << 24 | size).to_bytes(_HEADER_SIZE, "big") + payload


class FrameReader:
    """Cuts a byte stream into frames, wherever it was cut on its way; not thread-safe.

    Args:
        max_bytes: the longest payload that is taken.
    """

    def __init__(self, max_bytes: int = 1 << 24) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[Frame]:
        """Take bytes, give the frames that are whole now.

        Raises:
            RemoteProtocolError: a frame of a kind that is not known, or too long a one.
        """
        buffer = self._buffer
        buffer += received
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= _HEADER_SIZE:
            kind = _KINDS.get(buffer[start])
            if kind is None:
                raise RemoteProtocolError(f"RawSocket frame of kind {buffer[start]}")
            size = int.from_bytes(buffer[start + 1 : start + _HEADER_SIZE], "big")
            if size > self._max_bytes:
                raise RemoteProtocolError(
                    f"RawSocket frame of {size} bytes; {self._max_bytes} were announced"
                )
            end = start + _HEADER_SIZE + size
            if len(buffer) < end:
                break
            frames.append(Frame(kind, bytes(buffer[start + _HEADER_SIZE : end])))
            start = end
        if start:
            del buffer[:start]
        return frames
