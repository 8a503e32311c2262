"""One HTTP connection on the supervisor's loop; parsing is h11's.

Nothing blocks: what cannot be sent at once waits in a bounded buffer, and a client that reads too
slowly is cut off. A handler answers once, now or later, or opens a stream and sends parts of it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from http import HTTPStatus

import h11

from orchestrator.loop import Loop

#: Bytes of a request's body that are taken.
MAX_BODY = 1 << 20
#: Bytes that may wait for a client that does not read.
MAX_WAITING = 8 << 20
#: Bytes of further requests that may come while one is being answered.
MAX_AHEAD = 1 << 20
_READ_SIZE = 1 << 16

Handler = Callable[["Exchange"], None]


class Exchange:
    """One request and its answer. ``on_gone`` is called if the client leaves before its end."""

    def __init__(self, connection: Connection, request: h11.Request, body: bytes) -> None:
        self._connection = connection
        self._is_streaming = False
        self.method = request.method.decode("ascii", "replace")
        self.target = request.target.decode("ascii", "replace")
        self.body = body
        self.on_gone: Callable[[], None] = lambda: None
        self.is_over = False

    @property
    def waiting_bytes(self) -> int:
        """How much of what was sent the client has not taken yet."""
        return self._connection.waiting_bytes

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Send the whole answer; nothing happens if the client has gone."""
        if self.is_over:
            return
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        self._connection.send(_response(status, headers))
        if self.method != "HEAD":
            self._connection.send(h11.Data(data=body))
        self._end()

    def fail(self) -> None:
        """Answer after a bug of ours: status 500, or the end of the stream there is."""
        if self._is_streaming:
            self.end_stream()
        else:
            self.answer(500, "application/json", b'{"error": "the stack failed at this request"}')

    def begin_stream(self, content_type: str) -> None:
        """Begin an answer that comes in parts."""
        self._is_streaming = True
        headers = [("Content-Type", content_type), ("Transfer-Encoding", "chunked")]
        self._connection.send(_response(200, headers))

    def send_part(self, part: bytes) -> None:
        """Send a part of a stream; nothing happens if the client has gone."""
        if not self.is_over and part:
            self._connection.send(h11.Data(data=part))

    def end_stream(self) -> None:
        """End a stream."""
        if not self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._connection.send(h11.EndOfMessage())
        self._connection.next_request()

    def gone(self) -> None:
        """The client has left."""
        if not self.is_over:
            self.is_over = True
            self.on_gone()


class Connection:
    """One client."""

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        handler: Handler,
        on_closed: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._socket = client
        self._handler = handler
        self._on_closed = on_closed
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._ahead_bytes = 0
        self._exchange: Exchange | None = None
        self._waiting = bytearray()
        self._is_closing = False
        client.setblocking(False)
        loop.add_reader(client.fileno(), self._readable)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, and nothing of an answer waits."""
        return self._exchange is None and not self._waiting

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the client has not taken yet."""
        return len(self._waiting)

    def send(self, event: h11.Event) -> None:
        """Send an h11 event, or keep it until the client takes it."""
        if self._socket.fileno() < 0:
            return
        data = self._http.send(event)
        if data:
            self._waiting += data
            self._flush()
        if len(self._waiting) > MAX_WAITING:
            self.close()

    def next_request(self) -> None:
        """The answer is complete: go on with the next request, or close."""
        self._exchange = None
        self._ahead_bytes = 0
        if self._http.our_state is h11.MUST_CLOSE:
            self._is_closing = True
            self._flush()
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            # It may have come already; not from within the handler of the one before.
            self._loop.call_later(0, self._parse)

    def close(self) -> None:
        """Close at once; idempotent."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.gone()
        self._on_closed(self)

    def flush_and_close(self) -> None:
        """Send what waits, as far as the client takes it now, and close."""
        self._flush()
        self.close()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not data:
            # Also one that only closed its writing side: no client of ours does that.
            self.close()
            return
        if self._exchange is not None:
            self._ahead_bytes += len(data)
            if self._ahead_bytes > MAX_AHEAD:
                self.close()
                return
        with contextlib.suppress(h11.RemoteProtocolError):
            self._http.receive_data(data)
        self._parse()

    def _parse(self) -> None:
        if self._socket.fileno() < 0 or self._exchange is not None:
            return
        try:
            while True:
                event = self._http.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    if self._http.they_are_waiting_for_100_continue:
                        self.send(h11.InformationalResponse(status_code=100, headers=[]))
                    return
                if isinstance(event, h11.Request):
                    self._request, self._body = event, bytearray()
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > MAX_BODY:
                        self._refuse(413, "the request is too long")
                        return
                elif isinstance(event, h11.EndOfMessage):
                    assert self._request is not None
                    exchange = Exchange(self, self._request, bytes(self._body))
                    self._exchange, self._body = exchange, bytearray()
                    self._handle(exchange)
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    self.close()
                    return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def _handle(self, exchange: Exchange) -> None:
        is_handled = False
        try:
            self._handler(exchange)
            is_handled = True
        finally:
            # The loop tells of the exception; the client must not wait for ever.
            if not is_handled:
                exchange.fail()

    def _refuse(self, status: int, text: str) -> None:
        body = text.encode()
        headers = [("Content-Length", str(len(body))), ("Connection", "close")]
        with contextlib.suppress(h11.LocalProtocolError):
            self.send(_response(status, headers))
            self.send(h11.Data(data=body))
            self.send(h11.EndOfMessage())
        self._is_closing = True
        self._flush()

    def _flush(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            while self._waiting:
                del self._waiting[: self._socket.send(self._waiting)]
        except BlockingIOError:
            self._loop.add_writer(self._socket.fileno(), self._flush)
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self._socket.fileno())
        if self._is_closing:
            self.close()


def _response(status: int, headers: list[tuple[str, str]]) -> h11.Response:
    """Give a response with its phrase: supervisorctl cannot read one without."""
    return h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase)
