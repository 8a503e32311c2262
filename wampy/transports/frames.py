"""WebSocket frames, the client's side: bytes in, frames and bytes out. No IO.

websocket-client makes the connection and the upgrade. Its frame reader asks the socket two or three
times for each frame, though, and what arrives in one read here are often dozens of messages: so the
frames are read from a buffer. Rules:

- A server's frames are never masked, a client's always are (RFC 6455, 5.1).
- No extension is offered, so the reserved bits are zero and there is nothing to unpack.
- What is not a frame raises RemoteProtocolError; the codec is not usable afterwards.
- A message that is too long is no reason to end the connection, in one piece or in many: its bytes
  are passed over, and its head is kept, which says whose answer it would have been.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from wampy.errors import RemoteProtocolError
from wampy.protocol.frames import Frame, FrameKind

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FINAL = 0x80
_MASKED = 0x80
_RANDOM_BYTES = 4096
#: From here on the mask is another library's work: 64 KiB take 1 microsecond there, 80 here.
_LONG_BYTES = 8192
#: What is kept of a message that is too long: enough for its code and its id.
_HEAD_BYTES = 64
#: A length beyond that is garbage, and not waited for.
_MOST_SKIPPED_BYTES = 2**32
#: What RFC 6455 allows a control frame to carry.
_MAX_CONTROL_BYTES = 125


class WebSocketCodec:
    """Frames and unframes the messages of one WebSocket connection, as the client.

    Not thread-safe as a whole: ``feed`` belongs to who reads, the others to who holds the lock.

    Args:
        is_binary: whether messages go out as binary frames (else as text).
        max_receive_bytes: a message longer than this is refused.
    """

    #: Who is at the other end, for the errors.
    _other = "router"
    #: Whether a message that is too long is passed over; else it is an error.
    _skips = True
    #: Whether a feed was interrupted half way, and cannot be done again.
    is_spoilt = False

    def __init__(self, *, is_binary: bool, max_receive_bytes: int) -> None:
        self._first = _FINAL | (_BINARY if is_binary else _TEXT)
        self._max_receive_bytes = max_receive_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._needed_bytes = 2
        self._fragments: list[bytes] | None = None
        self._fragments_bytes = 0
        #: Of a message that is passed over: what is still to come of this frame, how much of the
        #: message has come, whether more pieces may come, its head.
        self._skip_bytes = 0
        self._skipped_bytes = 0
        self._skips_pieces = False
        self._head = b""
        self._random = b""
        self._random_at = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived, give the whole frames in it, in order.

        Interrupted by an exception of a signal handler's, it is as if it had not been called; or,
        in the middle of a message in pieces, ``is_spoilt``.

        Raises:
            RemoteProtocolError: the bytes are no frames of a server.
        """
        rest, count = self._rest, len(self._rest)
        is_plain = self._fragments is None and not self._skip_bytes
        try:
            return self._feed(data)
        except RemoteProtocolError:
            raise
        except BaseException:
            # Interrupted: as if it had not been called, for the same bytes come again.
            del rest[count:]
            self._rest, self._rest_bytes, self._needed_bytes = rest, sum(map(len, rest)), 2
            self._fragments = None
            self._skip_bytes = self._skipped_bytes = 0
            self._skips_pieces, self._head = False, b""
            self.is_spoilt = not is_plain
            raise

    def _feed(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        if self._skip_bytes:
            data = self._skip(data, frames)
            if not data:
                return frames
        if self._rest_bytes:
            self._rest.append(data)
            self._rest_bytes += len(data)
            if self._rest_bytes < self._needed_bytes:
                return []
            data = b"".join(self._rest)
            self._rest = []
            self._rest_bytes = 0
        position = 0
        available = len(data)
        while available - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length > 125:
                if length & _MASKED:
                    raise RemoteProtocolError("the router sent a masked WebSocket frame")
                width = 2 if length == 126 else 8
                if available - start < width:
                    self._needed_bytes = 2 + width
                    break
                length = int.from_bytes(data[start : start + width], "big")
                start += width
                if length > self._max_receive_bytes:
                    if self._begin_skip(data[position], length):
                        data = self._skip(data[start:], frames)
                        position, available = 0, len(data)
                        continue
                    raise RemoteProtocolError(
                        f"the {self._other} sent a frame of {length} bytes, "
                        f"the limit is {self._max_receive_bytes}"
                    )
            end = start + length
            if end > available:
                self._needed_bytes = end - position
                break
            first = data[position]
            payload = data[start:end]
            position = end
            if first in (_FINAL | _BINARY, _FINAL | _TEXT) and self._fragments is None:
                frames.append((FrameKind.MESSAGE, payload))
            else:
                self._take_other(first, payload, frames)
        else:
            self._needed_bytes = 2
        if position < available:
            self._rest = [data[position:]]
            self._rest_bytes = available - position
        return frames

    def _begin_skip(self, first: int, length: int) -> bool:
        """Begin to pass over a frame; False where it is no message, nor a piece that may come."""
        opcode, is_within = first & 0x0F, self._fragments is not None
        expected = (_CONTINUATION,) if is_within else (_TEXT, _BINARY)
        if not self._skips or first & 0x70 or length > _MOST_SKIPPED_BYTES:
            return False
        if opcode not in expected:
            return False
        if not self._skips_pieces:
            self._pass_over(b"".join(self._fragments or ()))
        self._fragments = None if first & _FINAL else []
        self._skip_bytes = length
        self._skipped_bytes += length
        return True

    def _pass_over(self, pieces: bytes) -> None:
        """Keep of a message only its head, and how long it is; ``pieces`` are what has come."""
        self._skipped_bytes, self._head = len(pieces), pieces[:_HEAD_BYTES]
        self._skips_pieces = True

    def _skip(self, data: bytes, frames: list[Frame]) -> bytes:
        """Pass over a frame; give what comes after it."""
        skipped = min(len(data), self._skip_bytes)
        self._head += data[: max(0, min(skipped, _HEAD_BYTES - len(self._head)))]
        self._skip_bytes -= skipped
        if not self._skip_bytes and self._fragments is None:
            self._note_too_long(frames)
        return data[skipped:]

    def _note_too_long(self, frames: list[Frame]) -> None:
        frames.append((FrameKind.TOO_LONG, self._skipped_bytes.to_bytes(8, "big") + self._head))
        self._head, self._skipped_bytes, self._skips_pieces = b"", 0, False

    def _take_other(self, first: int, payload: bytes, frames: list[Frame]) -> None:
        """Take a control frame, or a piece of a message."""
        opcode = first & 0x0F
        is_final = bool(first & _FINAL)
        if first & 0x70:
            raise RemoteProtocolError(f"the {self._other} set a reserved bit of a WebSocket frame")
        if opcode in (_CLOSE, _PING, _PONG):
            if not is_final or len(payload) > _MAX_CONTROL_BYTES:
                raise RemoteProtocolError(f"the {self._other} sent too long a control frame")
            kind = {_CLOSE: FrameKind.CLOSE, _PING: FrameKind.PING, _PONG: FrameKind.PONG}[opcode]
            frames.append((kind, payload))
        elif opcode == _CONTINUATION:
            if self._fragments is None:
                raise RemoteProtocolError(f"the {self._other} continued a message that never began")
            self._add_fragment(payload)
            if is_final:
                if self._skips_pieces:
                    self._note_too_long(frames)
                else:
                    frames.append((FrameKind.MESSAGE, b"".join(self._fragments)))
                self._fragments = None
        elif opcode in (_TEXT, _BINARY):
            if self._fragments is not None:
                raise RemoteProtocolError(f"the {self._other} began a message within another")
            self._fragments = []
            self._fragments_bytes = 0
            self._add_fragment(payload)
        else:
            raise RemoteProtocolError(f"the {self._other} sent a WebSocket frame of type {opcode}")

    def _add_fragment(self, payload: bytes) -> None:
        assert self._fragments is not None
        if self._skips_pieces:
            self._skipped_bytes += len(payload)
            return
        self._fragments.append(payload)
        # The one more is for a flood of empty pieces.
        self._fragments_bytes += len(payload) + 1
        if self._fragments_bytes > self._max_receive_bytes:
            if self._skips:
                self._pass_over(b"".join(self._fragments))
                self._fragments = []
                return
            raise RemoteProtocolError(
                f"the {self._other} sent a message longer than {self._max_receive_bytes} bytes"
            )

    def message(self, payload: bytes) -> bytes:
        """Give the frame that carries one message."""
        return self._frame(self._first, payload)

    def ping(self) -> bytes:
        """Give a ping."""
        return self._frame(_FINAL | _PING, b"wampy")

    def pong(self, payload: bytes) -> bytes:
        """Give the answer to a ping."""
        return self._frame(_FINAL | _PONG, payload)

    def closing(self) -> bytes:
        """Give the frame that says that we close: code 1000, normal."""
        return self._frame(_FINAL | _CLOSE, b"\x03\xe8")

    def _frame(self, first: int, payload: bytes) -> bytes:
        length = len(payload)
        mask = self._mask()
        if length < 126:
            head = bytes((first, _MASKED | length))
        elif length < 65536:
            head = bytes((first, _MASKED | 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((first, _MASKED | 127)) + length.to_bytes(8, "big")
        return head + mask + masked(payload, mask)

    def _mask(self) -> bytes:
        """Give four unpredictable bytes; drawn by the page, since a system call is dear."""
        at = self._random_at
        mask = self._random[at : at + 4]
        if len(mask) < 4:
            self._random = os.urandom(_RANDOM_BYTES)
            mask, at = self._random[:4], 0
        self._random_at = at + 4
        return mask


def masked(payload: bytes, mask: bytes) -> bytes:
    """Put four bytes' mask on a payload, or take it off (RFC 6455, 5.3)."""
    length = len(payload)
    if length >= _LONG_BYTES:
        return _apply_mask()(payload, mask)
    repeated = (mask * (length // 4 + 1))[:length]
    result = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return result.to_bytes(length, "little")


@cache
def _apply_mask() -> Callable[[bytes, bytes], bytes]:
    """Give the function for long payloads; imported when there is one, since that takes 30 ms."""
    # In C wherever websockets has a wheel, and in Python elsewhere.
    from websockets.frames import apply_mask  # type: ignore[attr-defined]

    return apply_mask


def describe_close(payload: bytes) -> str:
    """Say what a CLOSE frame says: its code and its reason."""
    if len(payload) < 2:
        return "the router closed the connection"
    code = int.from_bytes(payload[:2], "big")
    reason = payload[2:].decode("utf-8", "replace")
    return f"the router closed the connection: {code}" + (f" {reason}" if reason else "")
