"""What the Realm sends, on its way to the connections: nobody waits for a slow one.

A slow consumer is sent no more EVENTs and INVOCATIONs once ``queue_bytes`` wait for it (or is
closed, with ``closes_slow``); other messages until that and one message more.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wampy.errors import SerializationError
from wampy.messages import Abort, Cancel, Error, Event, Goodbye, Result
from wampy.router.calls import Refusal
from wampy.router.connection import Connection
from wampy.router.sessions import RouterSession

if TYPE_CHECKING:
    from wampy.router.server import RouterServer

logger = logging.getLogger("wampy.router")

_LEAVING = Refusal("wamp.error.unavailable", "it is leaving")
_SLOW = Refusal("wamp.error.unavailable", "it is slow, and too much waits for it already")


class Delivery:
    """The Outbox of a Realm, see ``wampy.router.calls``.

    Args:
        server: whose connections these are.
        connections: by the id of the session that has joined there.

    Attributes:
        dropped: events that somebody could not be sent.
        doomed: connections that are to be cut off, at the end of the loop's turn.
    """

    def __init__(self, server: RouterServer, connections: dict[int, Connection]) -> None:
        self._server = server
        self._limits = server.limits
        self._connections = connections
        self.dropped = 0
        self.doomed: list[Connection] = []

    def take_doomed(self) -> list[Connection]:
        """Give the doomed, once."""
        doomed, self.doomed = self.doomed, []
        return doomed

    def send(self, session: RouterSession, message: Any) -> Refusal | None:
        """Queue a message for a session, or say why it will not get it."""
        connection = self._connections.get(session.id)
        if connection is None or connection.is_closing:
            return _LEAVING
        assert connection.wire is not None
        is_extra = message.WAMP_CODE in (36, 68)
        if connection.queued_bytes > self._limits.queue_bytes:
            if is_extra and not self._limits.closes_slow:
                self._drop(connection, message, _SLOW.text)
                return _SLOW
            most = self._limits.queue_bytes + self._limits.message_bytes
            if self._limits.closes_slow or connection.queued_bytes > most:
                logger.warning("session %d closed: it takes nothing", session.id)
                # Not here: what sends to a session does not expect it to be gone then.
                connection.is_closing = True
                connection.closing_at = self._server.now
                self.doomed.append(connection)
                return _SLOW
        try:
            encoded = connection.wire.encode(message)
            if len(encoded) > connection.max_send_bytes:
                raise _TooLong(f"{len(encoded)} bytes; it takes {connection.max_send_bytes}")
        except SerializationError as error:
            refusal = Refusal(_error_of(error), str(error))
            if is_extra:
                self._drop(connection, message, refusal.text)
                return refusal
            if isinstance(message, Result) and (message.details or {}).get("progress") is True:
                # An ERROR would end the call for its caller, and not for its callee.
                logger.warning("session %d: its call is canceled: %s", session.id, error)
                self._server.realm.dealer.cancel(session, Cancel(request_id=message.request_id))
                return refusal
            encoded = connection.wire.encode(_failed(message, refusal))
        connection.send_message(encoded)
        return None

    def close(self, session: RouterSession, last: Goodbye | Abort) -> None:
        """Cut a session off, after its last message."""
        connection = self._connections.get(session.id)
        if connection is not None:
            self._server.part(connection, last)

    def _drop(self, connection: Connection, message: Any, why: str) -> None:
        if isinstance(message, Event):
            connection.dropped += 1
            self.dropped += 1
            if connection.dropped == 1 or connection.dropped % 10_000 == 0:
                text = "session %d: %d events dropped so far, this one since %s"
                logger.warning(text, connection.session.id, connection.dropped, why)
        else:
            logger.info("session %d is not called: %s", connection.session.id, why)


class _TooLong(SerializationError):
    """A message is longer than its receiver takes."""


def _error_of(error: SerializationError) -> str:
    is_long = isinstance(error, _TooLong)
    return "wamp.error.payload_size_exceeded" if is_long else "wamp.error.invalid_payload"


def _failed(message: Any, refusal: Refusal) -> Error:
    """Give what a caller gets for an answer that it cannot be sent."""
    return Error(
        request_type=getattr(message, "request_type", 48),
        request_id=message.request_id,
        error=refusal.error,
        args=[refusal.text],
    )
