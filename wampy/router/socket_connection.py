"""A client's socket: found out what it speaks, cut into messages, buffered on its way out.

The first octet tells (as at Crossbar's universal transport): 0x7F is a RawSocket handshake, all
else HTTP. What goes out is collected and sent once a turn of the loop. Who does not take what it
is sent is not read from either, so it cannot make the Router hold more than ``queue_bytes`` for it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from wampy.errors import RemoteProtocolError
from wampy.protocol import rawsocket
from wampy.protocol.frames import FrameKind
from wampy.router.connection import MAX_FRAME_BYTES, Connection
from wampy.router.poller import READ, WRITE
from wampy.router.websocket import Answered, Handshake, MessageTooLong, ServerCodec
from wampy.serializers import SERIALIZERS
from wampy.transports.channel import channel_id_of
from wampy.transports.reasons import explain

if TYPE_CHECKING:
    from wampy.router.config import Listener
    from wampy.router.server import RouterServer

logger = logging.getLogger("wampy.router")

_RAWSOCKET = 0x7F
#: From 128 KiB on it is mapped by the C library, and unmapped: half as dear as all else of a call.
_RECEIVE_BYTES = 120_000
#: Queued pieces are sent together up to about this.
_SEND_BYTES = 262_144
_SERIALIZERS = {one.rawsocket_id: one for one in SERIALIZERS.values()}
#: A WELCOME is about that long.
_LEAST_BYTES = 1024


class SocketConnection(Connection):
    """One accepted socket; everything in the loop's thread, nothing blocks."""

    def __init__(
        self, server: RouterServer, sock: socket.socket, listener: Listener, peer: str, now: float
    ) -> None:
        super().__init__(server, listener, peer, now)
        self._sock = sock
        self._is_shaking = isinstance(sock, ssl.SSLSocket)
        self._out: list[bytes | memoryview] = []
        self._has_said_all = False
        self._events = READ
        self._feed: Callable[[bytes], None] = self._sniff
        self._codec: ServerCodec | None = None
        self._frames: rawsocket.FrameReader | None = None
        self._handshake: Handshake | None = None
        self._first = b""
        server.poller.watch(sock.fileno(), READ, self._ready)

    def channel_id(self) -> bytes | None:
        """Give what both ends know this TLS connection by; None where there is none."""
        return channel_id_of(self._sock)

    # ------------------------------------------------------------------ the socket

    def _ready(self, events: int) -> None:
        try:
            if self._is_shaking and not self._shake_hands():
                return
            if events & WRITE:
                self.flush()
            if events & ~WRITE and not self.is_closed:
                self._read()
        except Exception:
            # Broad: a bug that one client sets off ends its connection, never the Router.
            logger.exception("%s: a bug in the Router; its connection ends", self.peer)
            self.abandon("a bug in the Router")

    def _shake_hands(self) -> bool:
        """Go on with the TLS handshake; whether it is done."""
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(READ)
            return False
        except ssl.SSLWantWriteError:
            self._watch(READ | WRITE)
            return False
        except (OSError, ValueError) as error:
            self.abandon(f"TLS handshake: {explain(error).removeprefix('TLS: ')}")
            return False
        self._is_shaking = False
        self._watch(READ)
        return True

    def _read(self) -> None:
        try:
            # What TLS has not decrypted yet is still the kernel's, which says so again.
            data = self._sock.recv(_RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ValueError) as error:
            self.abandon(explain(error))
            return
        if not data:
            self.abandon("it hung up")
            return
        self.heard_at = self.server.now
        self.pinged_at = 0.0
        if self.is_closing:
            return  # what comes after a GOODBYE or CLOSE is nobody's
        try:
            self._feed(data)
        except RemoteProtocolError as error:
            self.server.violated(self, error)
        if self.queued_bytes > self.server.limits.queue_bytes and not self.is_closing:
            # Its answers wait behind what it has not taken: ``flush`` reads on when it has.
            self._watch(WRITE)

    def send(self, frame: bytes) -> None:
        """Queue bytes; they go out at the end of the loop's turn."""
        self._out.append(frame)
        self.queued_bytes += len(frame)
        if len(self._out) == 1:
            self.server.unflushed.append(self)

    def flush(self) -> None:
        """Send what is queued, as far as the socket takes it."""
        if self.is_closed or self._is_shaking:
            if self.is_closing:
                self.abandon("TLS handshake: it was not done in time")
            return
        out = self._out
        was_waiting = self._events != READ
        while out:
            count = len(out) if self.queued_bytes <= _SEND_BYTES else self._count_some()
            data = out[0] if count == 1 else b"".join(out[:count])
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                break
            except (OSError, ValueError) as error:
                self.abandon(explain(error))
                return
            self.queued_bytes -= sent
            if was_waiting:
                # Taking what was queued is a sign of life too: its pong may be far behind.
                self.heard_at = self.server.now
                self.pinged_at = 0.0
            if sent == len(data):
                del out[:count]
            else:
                out[:count] = (memoryview(data)[sent:],)
        if not out:
            self._watch(READ)
            if self.is_closing:
                self._say_all()
        elif self.queued_bytes > self.server.limits.queue_bytes and not self.is_closing:
            self._watch(WRITE)  # not read from until it reads
        else:
            self._watch(READ | WRITE)

    def _count_some(self) -> int:
        """How many of the queued pieces are sent at once: one at least."""
        size = 0
        for index, piece in enumerate(self._out):
            size += len(piece)
            if size >= _SEND_BYTES:
                return index + 1
        return len(self._out)

    def _say_all(self) -> None:
        """Say that nothing more comes, and wait for the same: who is still at sending reads on."""
        if self._has_said_all:
            return
        self._has_said_all = True
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                with contextlib.suppress(ssl.SSLError):
                    self._sock.unwrap()
            self._sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError) as error:
            self.abandon(explain(error))

    def _watch(self, events: int) -> None:
        if events != self._events and not self.is_closed:
            self._events = events
            self.server.poller.watch(self._sock.fileno(), events, self._ready)

    def disconnect(self) -> None:
        """Close the socket; what was queued is lost."""
        self._out.clear()
        self.server.poller.forget(self._sock.fileno())
        self._sock.close()

    # ------------------------------------------------------------------ what it speaks

    def _sniff(self, data: bytes) -> None:
        if data[0] == _RAWSOCKET:
            self._feed = self._shake_rawsocket
        else:
            self._handshake = Handshake(self.listener.path, self.server.health)
            self._feed = self._upgrade
        self._feed(data)

    def _shake_rawsocket(self, data: bytes) -> None:
        self._first += data
        if len(self._first) < rawsocket.HANDSHAKE_SIZE:
            return
        octets = self._first[: rawsocket.HANDSHAKE_SIZE]
        rest = self._first[rawsocket.HANDSHAKE_SIZE :]
        wanted = rawsocket.parse_handshake_request(octets)
        serializer = _SERIALIZERS.get(wanted.serializer_id)
        if serializer is None:
            self.send(rawsocket.refuse_handshake(1))
            self.finish("a serializer that is not known here")
            return
        if wanted.max_bytes < _LEAST_BYTES:
            self.send(rawsocket.refuse_handshake(2))
            self.finish("it takes no message as long as a WELCOME")
            return
        limit = self.server.limits.message_bytes
        exponent = max(0, min(15, limit.bit_length() - 10))
        self.send(rawsocket.handshake_reply(serializer.rawsocket_id, exponent))
        self.max_send_bytes = min(wanted.max_bytes, MAX_FRAME_BYTES)
        self.wire = self.server.wires[serializer.name]
        self._frames = rawsocket.FrameReader(min(limit, 1 << (9 + exponent)))
        self._feed = self._feed_rawsocket
        if rest:
            self._feed(rest)

    def _feed_rawsocket(self, data: bytes) -> None:
        assert self._frames is not None
        assert self.wire is not None
        for kind, payload in self._frames.feed(data):
            if kind is FrameKind.MESSAGE:
                self.server.received(self, self.wire.decode(payload))
                if self.is_closing:
                    return
            elif kind is FrameKind.PING:
                self.send(rawsocket.frame(FrameKind.PONG, payload))

    def _upgrade(self, data: bytes) -> None:
        assert self._handshake is not None
        outcome = self._handshake.feed(data)
        if outcome is None:
            return
        self.send(outcome.reply)
        self._handshake = None
        if isinstance(outcome, Answered):
            self.finish("no WebSocket")
            return
        self.wire = self.server.wires[outcome.serializer.name]
        self.max_send_bytes = 1 << 62
        self._codec = ServerCodec(
            is_binary=outcome.serializer.is_binary,
            max_receive_bytes=self.server.limits.message_bytes,
        )
        self._feed = self._feed_websocket
        if outcome.rest:
            self._feed(outcome.rest)

    def _feed_websocket(self, data: bytes) -> None:
        assert self._codec is not None
        assert self.wire is not None
        for kind, payload in self._codec.feed(data):
            if kind is FrameKind.MESSAGE:
                self.server.received(self, self.wire.decode(payload))
                if self.is_closing:
                    return
            elif kind is FrameKind.PING:
                self.send(self._codec.pong(payload))
            elif kind is FrameKind.CLOSE:
                self.send(self._codec.closing())
                code, reason = int.from_bytes(payload[:2], "big"), payload[2:]
                self.finish(f"closed by it: {code} {reason.decode('utf-8', 'replace')}".rstrip())
                return

    # ------------------------------------------------------------------ what it is sent

    def send_message(self, encoded: bytes) -> None:
        """Queue one encoded message, framed."""
        if self._codec is not None:
            self.send(self._codec.message(encoded))
        else:
            self.send(len(encoded).to_bytes(4, "big") + encoded)

    def ping(self) -> bool:
        """Send a ping; False where the transport has none that every client takes.

        autobahn's RawSocket takes a PING for a message that is too long, and hangs up; there the
        kernel's keepalive has to do.
        """
        if self._codec is None:
            return False
        self.send(self._codec.ping())
        return True

    def close_with(self, error: RemoteProtocolError | None, reason: str) -> None:
        """Say goodbye on the transport's own level, and close once that has gone out."""
        if self._codec is not None:
            code = 1009 if isinstance(error, MessageTooLong) else 1002 if error else 1000
            self.send(self._codec.closing(code, reason))
        self.finish(reason)
