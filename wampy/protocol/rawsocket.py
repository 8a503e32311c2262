"""RawSocket: framing of messages on a byte stream, without IO.

Handshake: four octets each way, the first 0x7F, then length and serializer, then two zeros.
Frames: one octet kind (0 message, 1 ping, 2 pong), three octets length, the payload.

Spec: Advanced Profile, "RawSocket Transport".
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.protocol.frames import Frame, FrameKind

HANDSHAKE_SIZE = 4
SERIALIZER_JSON = 1
SERIALIZER_MSGPACK = 2
SERIALIZER_CBOR = 3

_MAGIC = 0x7F
#: Kind and length in one number.
_HEADER = Struct(">I")
_HEADER_SIZE = _HEADER.size
#: The octets of the header that are the length.
_LENGTH = 0xFFFFFF
_REFUSALS = {
    1: "serializer unsupported",
    2: "maximum message length unacceptable",
    3: "use of reserved bits",
    4: "maximum connection count reached",
}


_KINDS = {kind.value: kind for kind in (FrameKind.MESSAGE, FrameKind.PING, FrameKind.PONG)}


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

    ``feed`` that is interrupted (Ctrl-C) has done nothing, and may be called again with the same.

    Args:
        max_bytes: the longest payload that is taken.
    """

    def __init__(self, max_bytes: int = 1 << 24) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._fault: str | None = None

    def feed(self, received: bytes | bytearray) -> list[Frame]:
        """Take bytes, give the frames that are whole now.

        Raises:
            RemoteProtocolError: a frame of a kind that is not known, or too long a one. What came
                with it is lost, and so is the connection: every later call raises the same.
        """
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        buffer = self._buffer
        if buffer or type(received) is not bytes:
            kept = len(buffer)
            buffer += received
            frames: list[Frame] = []
            try:
                with memoryview(buffer) as view:
                    start = self._cut(view, frames)
            except RemoteProtocolError:
                raise
            except BaseException:
                # Interrupted: as if it had not come, for it comes again. A new one, since pieces of
                # the old may still be looked at by the frames of the exception.
                self._buffer = buffer[:kept]
                raise
            del buffer[:start]
            return frames
        # Mostly whole frames come and none waits: no byte is copied more than once.
        frames = []
        start = self._cut(received, frames)
        if start < len(received):
            buffer += received[start:]
        return frames

    def _cut(self, source: bytes | memoryview, frames: list[Frame]) -> int:
        """Add the frames that are whole; give where the first that is not begins."""
        start, available = 0, len(source)
        longest = min(self._max_bytes, _LENGTH)
        unpack, message = _HEADER.unpack_from, FrameKind.MESSAGE
        while (body := start + _HEADER_SIZE) <= available:
            (size,) = unpack(source, start)
            kind = message
            if size > longest:
                # Too long, or the octet before the length says that it is no message.
                kind, size = self._kind_and_size(size)
            end = body + size
            if end > available:
                break
            payload = source[body:end]
            frames.append((kind, payload if type(payload) is bytes else bytes(payload)))
            start = end
        return start

    def _kind_and_size(self, number: int) -> tuple[FrameKind, int]:
        kind, size = _KINDS.get(number >> 24), number & _LENGTH
        if kind is None:
            self._fault = f"RawSocket frame of kind {number >> 24}"
        elif size > self._max_bytes:
            self._fault = f"RawSocket frame of {size} bytes; {self._max_bytes} were announced"
        else:
            return kind, size
        raise RemoteProtocolError(self._fault)
