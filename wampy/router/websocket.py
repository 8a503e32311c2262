"""WebSocket, the server's side: the upgrade request, and frames. No IO.

h11 reads the request. Frames are cut from a buffer as at the client, see ``wampy.transports``.
Rules: a client's frames are masked, a server's never are (RFC 6455, 5.1); no extension is agreed
on, so the reserved bits are zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from wsproto.utilities import generate_accept_token

from wampy.errors import RemoteProtocolError
from wampy.protocol.frames import Frame, FrameKind
from wampy.serializers import SERIALIZERS, Serializer
from wampy.transports.frames import WebSocketCodec, masked

#: Bytes that a request's line and headers may have.
_MAX_REQUEST_BYTES = 16384
_SUBPROTOCOLS = {one.websocket_subprotocol: one for one in SERIALIZERS.values()}
_FINAL_TEXT, _FINAL_BINARY = 0x81, 0x82
_FINAL_CLOSE, _FINAL_PING, _FINAL_PONG = 0x88, 0x89, 0x8A
_MASKED = 0x80


class ServerCodec(WebSocketCodec):
    """Frames and unframes the messages of one WebSocket connection, as the server."""

    _other = "client"
    _skips = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived, give the whole frames in it, in order.

        Raises:
            RemoteProtocolError: the bytes are no frames of a client.
        """
        if self._rest_bytes:
            self._rest.append(data)
            self._rest_bytes += len(data)
            if self._rest_bytes < self._needed_bytes:
                return []
            data = b"".join(self._rest)
            self._rest = []
            self._rest_bytes = 0
        frames: list[Frame] = []
        position = 0
        available = len(data)
        self._needed_bytes = 2
        while available - position >= 2:
            length = data[position + 1]
            if not length & _MASKED:
                raise RemoteProtocolError("the client sent a WebSocket frame without a mask")
            length &= 0x7F
            start = position + 2
            if length > 125:
                width = 2 if length == 126 else 8
                if available - start < width:
                    self._needed_bytes = 2 + width
                    break
                length = int.from_bytes(data[start : start + width], "big")
                start += width
                if length > self._max_receive_bytes:
                    raise MessageTooLong(
                        f"the client sent a frame of {length} bytes, "
                        f"the limit is {self._max_receive_bytes}"
                    )
            end = start + 4 + length
            if end > available:
                self._needed_bytes = end - position
                break
            first = data[position]
            payload = masked(data[start + 4 : end], data[start : start + 4])
            position = end
            if first in (_FINAL_BINARY, _FINAL_TEXT) and self._fragments is None:
                frames.append((FrameKind.MESSAGE, payload))
            else:
                self._take_other(first, payload, frames)
        if position < available:
            self._rest = [data[position:]]
            self._rest_bytes = available - position
        return frames

    def closing(self, code: int = 1000, reason: str = "") -> bytes:
        """Give the frame that says that we close, and why."""
        octets = reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore").encode()
        return self._frame(_FINAL_CLOSE, code.to_bytes(2, "big") + octets)

    def _add_fragment(self, payload: bytes) -> None:
        try:
            super()._add_fragment(payload)
        except RemoteProtocolError as error:
            raise MessageTooLong(str(error)) from error

    def _frame(self, first: int, payload: bytes) -> bytes:
        length = len(payload)
        if length < 126:
            return bytes((first, length)) + payload
        if length < 65536:
            return bytes((first, 126)) + length.to_bytes(2, "big") + payload
        return bytes((first, 127)) + length.to_bytes(8, "big") + payload


class MessageTooLong(RemoteProtocolError):
    """A message is longer than the Router takes: close code 1009."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The answer to a request that became a WebSocket connection.

    Attributes:
        reply: bytes to send.
        serializer: what was agreed on.
        rest: bytes that came after the request.
    """

    reply: bytes
    serializer: Serializer
    rest: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to any other request; the connection is closed after it."""

    reply: bytes


class Handshake:
    """Reads one HTTP request, wherever it was cut, and answers it.

    Args:
        path: of the WebSocket, such as ``/ws``.
        health: gives what ``GET /health`` answers.
    """

    def __init__(self, path: str, health: Callable[[], Mapping[str, Any]]) -> None:
        self._path = path
        self._health = health
        self._fed_bytes = 0
        self._request: h11.Request | None = None
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_REQUEST_BYTES)

    def feed(self, data: bytes) -> Upgraded | Answered | None:
        """Take what arrived; None: more is needed."""
        self._fed_bytes += len(data)
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return self._answer(error.error_status_hint, f"{error}\n")
        if event is h11.NEED_DATA:
            return None
        if not isinstance(event, h11.Request):
            return Answered(b"")
        self._request = event
        # h11 minds the limit only while it waits for more.
        if self._fed_bytes - len(self._connection.trailing_data[0]) > _MAX_REQUEST_BYTES:
            return self._answer(431, f"{_MAX_REQUEST_BYTES} bytes are the most for a request\n")
        headers: dict[str, str] = {}
        for octets, value in event.headers:
            name, text = octets.decode("latin1"), value.decode("latin1")
            headers[name] = f"{headers[name]},{text}" if name in headers else text
        path = event.target.decode("latin1").partition("?")[0]
        if path == "/health" and event.method == b"GET":
            body = json.dumps(self._health()) + "\n"
            return self._answer(200, body, "application/json")
        if path != self._path:
            return self._answer(404, f"WebSocket is at {self._path}, health at /health\n")
        return self._upgrade(event, headers)

    def _upgrade(self, request: h11.Request, headers: Mapping[str, str]) -> Upgraded | Answered:
        key = headers.get("sec-websocket-key", "")
        wants = headers.get("upgrade", "").lower() == "websocket" and request.method == b"GET"
        if not wants or not key:
            return self._answer(426, "a WebSocket upgrade is expected here\n", upgrade=True)
        if headers.get("sec-websocket-version") != "13":
            return self._answer(426, "WebSocket version 13 is expected\n", upgrade=True)
        offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
        chosen = next((one for one in offered if one in _SUBPROTOCOLS), None)
        if chosen is None:
            expected = ", ".join(_SUBPROTOCOLS)
            return self._answer(400, f"no subprotocol that is known here; expected {expected}\n")
        reply = self._connection.send(
            h11.InformationalResponse(
                status_code=101,
                reason=b"Switching Protocols",
                headers=[
                    ("Upgrade", "websocket"),
                    ("Connection", "Upgrade"),
                    ("Sec-WebSocket-Accept", generate_accept_token(key.encode()).decode()),
                    ("Sec-WebSocket-Protocol", chosen),
                ],
            )
        )
        return Upgraded(reply or b"", _SUBPROTOCOLS[chosen], self._connection.trailing_data[0])

    def _answer(
        self, status: int, body: str, kind: str = "text/plain", *, upgrade: bool = False
    ) -> Answered:
        octets = body.encode()
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(octets))),
            ("Connection", "close"),
        ]
        if upgrade:
            headers.append(("Sec-WebSocket-Version", "13"))
        connection = self._connection
        if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return Answered(b"")
        reply = connection.send(
            h11.Response(
                status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode()
            )
        )
        reply = reply or b""
        request = self._request
        if request is None or request.method != b"HEAD":
            reply += connection.send(h11.Data(data=octets)) or b""
        reply += connection.send(h11.EndOfMessage()) or b""
        return Answered(reply)
