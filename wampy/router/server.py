"""The Router's sockets around its Realm: accept, authenticate, pass messages in and out, drain.

Everything runs in the thread that calls ``run``; ``stop`` may be called from any.

Rules:

- a client gets ``join_timeout_s`` from the accept to its WELCOME;
- what a client sent that is no message ends its Session with a reason, never the Router;
- nobody waits for a slow one: see ``RouterServer.send``.
"""

from __future__ import annotations

import logging
import random
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Any

from wampy.errors import RemoteProtocolError, SerializationError
from wampy.ids import MAX_ID
from wampy.messages import Abort, Authenticate, Error, Event, Goodbye, Hello, Welcome
from wampy.router.authentication import Identity, Pending, Rejected
from wampy.router.config import RouterConfig
from wampy.router.connection import Connection
from wampy.router.listening import Listening, listen
from wampy.router.poller import READ, Poller
from wampy.router.realm import Realm
from wampy.router.sessions import RouterSession
from wampy.router.wire import Wire, unpacked
from wampy.serializers import SERIALIZERS

logger = logging.getLogger("wampy.router")

#: Seconds between two looks at who is silent.
_SWEEP_S = 0.5
#: Seconds that a connection gets to take its last bytes.
_CLOSING_S = 2.0
_ACCEPTED_AT_ONCE = 64


class Payloads:
    """How the Realm looks into the payload of a call to the Router itself."""

    @staticmethod
    def decode(message: Any) -> tuple[list[Any], dict[str, Any]]:
        """Give Arguments and ArgumentsKw."""
        args, kwargs = unpacked(message.args, message.kwargs)
        return list(args), dict(kwargs)


class RouterServer:
    """A Router: one Realm, its listeners and its connections.

    Args:
        config: everything that can be set.

    Raises:
        ListenError: a listener cannot be opened; none is then.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self.limits = config.limits
        self.poller = Poller()
        self.now = self.poller.now()
        self.unflushed: list[Connection] = []
        self.wires = {name: Wire(serializer) for name, serializer in SERIALIZERS.items()}
        self._random = random.Random(secrets.randbits(64))
        self._connections: set[Connection] = set()
        self._sessions: dict[int, Connection] = {}
        self._is_stopping = False
        self._drain_until: float | None = None
        self._started_at = self.now
        self._dropped = 0
        self.realm = Realm(
            config.realm,
            self,
            roles=config.roles,
            limits=config.realm_limits,
            random=self._random,
            payloads=Payloads(),
            wall_offset_s=time.time() - time.monotonic(),
        )
        self._listening: list[Listening] = []
        try:
            for listener in config.listeners:
                self._listening.append(listen(listener))
        except BaseException:
            self._close_listeners()
            raise
        for listening in self._listening:
            self.poller.watch(listening.sock.fileno(), READ, self._acceptor(listening))

    @property
    def urls(self) -> list[str]:
        """Where clients connect, in the order of the listeners; ports that were 0 are known now."""
        return [listening.url for listening in self._listening]

    # ------------------------------------------------------------------ life

    def run(self) -> None:
        """Serve until it has been stopped and drained; blocks."""
        swept_at = self.now
        while True:
            timeout_s = _SWEEP_S
            if not self.unflushed:
                due_at = self.realm.next_deadline()
                if due_at is not None:
                    timeout_s = min(timeout_s, max(0.0, due_at - self.poller.now()))
            else:
                timeout_s = 0.0
            self.poller.run_once(timeout_s)
            self.now = now = self.poller.now()
            due_at = self.realm.next_deadline()
            if due_at is not None and due_at <= now:
                self.realm.deadline_passed(now)
            self._flush()
            if now - swept_at >= _SWEEP_S:
                swept_at = now
                self._sweep()
            if self._is_stopping and self._is_drained():
                break
        self._close_listeners()
        for connection in list(self._connections):
            connection.abandon("the Router has stopped")
        self.poller.close()

    def stop(self) -> None:
        """Drain and end: no new sessions, no new calls; ``run`` returns soon. Thread-safe."""
        self._is_stopping = True
        self.poller.wake()

    def _is_drained(self) -> bool:
        """Go on with the end; whether everything is done."""
        if self._drain_until is None:
            self._drain_until = self.now + self.limits.drain_s
            for listening in self._listening:
                self.poller.forget(listening.sock.fileno())
            self.realm.drain(self.now)
            logger.info("draining: %d calls are pending", self.realm.pending_calls)
        if self.realm.pending_calls and self.now < self._drain_until:
            return False
        if self._sessions:
            goodbye = Goodbye(details={}, reason="wamp.close.system_shutdown")
            for connection in list(self._sessions.values()):
                self._part(connection, goodbye)
        self._flush()
        is_over = self.now > self._drain_until + _CLOSING_S
        return is_over or not any(one.queued_bytes for one in self._connections)

    def _close_listeners(self) -> None:
        for listening in self._listening:
            self.poller.forget(listening.sock.fileno())
            listening.close()
        self._listening = []

    def _flush(self) -> None:
        while self.unflushed:
            unflushed, self.unflushed = self.unflushed, []
            for connection in unflushed:
                connection.flush()

    def _sweep(self) -> None:
        """End what is too slow to join, silent, or does not close."""
        limits, now = self.limits, self.now
        for connection in list(self._connections):
            if connection.is_closing:
                if now - connection.closing_at > _CLOSING_S:
                    connection.abandon("it did not close")
            elif connection.session is None:
                if now - connection.opened_at > limits.join_timeout_s:
                    self.refuse(connection, "wamp.error.timeout", "it did not join in time")
            elif connection.pinged_at:
                if now - connection.pinged_at > limits.ping_timeout_s:
                    connection.abandon(f"no answer to a ping for {limits.ping_timeout_s:g} s")
            elif now - connection.heard_at > limits.ping_interval_s and connection.ping():
                connection.pinged_at = now

    # ------------------------------------------------------------------ connections

    def _acceptor(self, listening: Listening) -> Callable[[int], None]:
        def accept(events: int) -> None:
            for _ in range(_ACCEPTED_AT_ONCE):
                try:
                    sock, peer = listening.accept()
                except BlockingIOError:
                    return
                except (OSError, ssl.SSLError) as error:
                    # No descriptors left, or gone already: those that wait are tried again.
                    logger.warning("cannot accept: %s", error)
                    time.sleep(0.01)
                    return
                if len(self._connections) >= self.limits.sessions:
                    logger.warning("refused %s: %d sessions", peer, self.limits.sessions)
                    sock.close()
                    continue
                self._connections.add(
                    Connection(self, sock, listening.listener, peer, self.poller.now())
                )

        return accept

    def closed(self, connection: Connection, why: str) -> None:
        """Take note that a connection has ended."""
        self._connections.discard(connection)
        session, connection.session = connection.session, None
        if session is not None:
            del self._sessions[session.id]
            self.realm.leave(session, self.now)
            logger.info("session %d left: %s", session.id, why)

    def log_close(self, connection: Connection, why: str) -> None:
        """Take note of what a client says as it closes."""
        if connection.session is not None:
            logger.debug("session %d: %s", connection.session.id, why)

    def violated(self, connection: Connection, error: RemoteProtocolError) -> None:
        """End a connection on which something came that must not."""
        logger.warning("%s: protocol error: %s", self._named(connection), error)
        if connection.wire is not None:
            abort = Abort(details={"message": str(error)}, reason="wamp.error.protocol_violation")
            connection.send_message(connection.wire.encode(abort))
        connection.close_with(error, str(error))

    def _named(self, connection: Connection) -> str:
        session = connection.session
        return f"session {session.id}" if session is not None else connection.peer

    # ------------------------------------------------------------------ messages in

    def received(self, connection: Connection, message: Any) -> None:
        """Take one message."""
        session = connection.session
        if session is None:
            self._join(connection, message)
        elif message.WAMP_CODE == Goodbye.WAMP_CODE:
            self._part(connection, Goodbye(details={}, reason="wamp.close.goodbye_and_out"))
        else:
            self.realm.receive(session, message, self.now)

    def _part(self, connection: Connection, last: Goodbye | Abort) -> None:
        """Send the last message; the session is over with it, whatever the client does."""
        assert connection.wire is not None
        connection.send_message(connection.wire.encode(last))
        session, connection.session = connection.session, None
        if session is not None:
            del self._sessions[session.id]
            self.realm.leave(session, self.now)
            logger.info("session %d left: %s", session.id, last.reason)
        connection.close_with(None)

    def _join(self, connection: Connection, message: Any) -> None:
        if self._is_stopping:
            self.refuse(connection, "wamp.close.system_shutdown", "the Router is stopping")
        elif isinstance(message, Hello) and connection.pending is None:
            self._hello(connection, message)
        elif isinstance(message, Authenticate) and connection.pending is not None:
            (hello, session_id, pending), connection.pending = connection.pending, None
            self._judge(connection, hello, session_id, pending.finish(message))
        elif isinstance(message, Abort):
            connection.finish()
        else:
            name = getattr(message, "name", "?")
            self.violated(connection, RemoteProtocolError(f"{name} before WELCOME"))

    def _hello(self, connection: Connection, hello: Hello) -> None:
        if hello.realm != self.config.realm:
            text = f"no realm {hello.realm!r} here"
            self.refuse(connection, "wamp.error.no_such_realm", text)
            return
        session_id = self._new_id()
        outcome = connection.listener.authenticator.begin(
            hello.details or {},
            session_id=session_id,
            is_loopback_or_private=connection.listener.is_private,
            now_s=time.time(),
        )
        self._judge(connection, hello, session_id, outcome)

    def _judge(
        self,
        connection: Connection,
        hello: Hello,
        session_id: int,
        outcome: Identity | Pending | Rejected,
    ) -> None:
        assert connection.wire is not None
        if isinstance(outcome, Pending):
            connection.pending = (hello, session_id, outcome)
            connection.send_message(connection.wire.encode(outcome.challenge))
        elif isinstance(outcome, Rejected):
            self.refuse(connection, outcome.reason, outcome.text)
        else:
            self._welcome(connection, hello, session_id, outcome)

    def _welcome(
        self, connection: Connection, hello: Hello, session_id: int, identity: Identity
    ) -> None:
        assert connection.wire is not None
        session = RouterSession(
            id=session_id,
            authid=identity.authid,
            authrole=identity.authrole,
            authmethod=identity.authmethod,
            authprovider=identity.authprovider,
            roles=(hello.details or {}).get("roles") or {},
            transport={"type": connection.listener.kind, "peer": connection.peer},
        )
        connection.session = session
        self._sessions[session_id] = connection
        details = self.realm.join(session, self.now)
        details = {**details, **identity.welcome_details()}
        # The first message of the session, whatever its joining told others.
        connection.send_message(
            connection.wire.encode(Welcome(session_id=session_id, details=details))
        )
        logger.info(
            "session %d joined: %s as %s by %s from %s",
            session_id,
            identity.authid,
            identity.authrole,
            identity.authmethod,
            connection.peer,
        )

    def refuse(self, connection: Connection, reason: str, text: str) -> None:
        """End a connection that has not joined, with an ABORT where it can be told one."""
        logger.warning("%s refused: %s (%s)", connection.peer, reason, text)
        if connection.wire is not None:
            abort = Abort(details={"message": text}, reason=reason)
            connection.send_message(connection.wire.encode(abort))
        connection.close_with(None)

    def _new_id(self) -> int:
        while True:
            session_id = self._random.randint(1, MAX_ID)
            if session_id not in self._sessions:
                return session_id

    # ------------------------------------------------------------------ messages out

    def send(self, session: RouterSession, message: Any) -> bool:
        """Queue a message for a session; see ``wampy.router.realm.Outbox``.

        A slow consumer is sent no more EVENTs and INVOCATIONs once ``queue_bytes`` wait for it (or
        is closed, as ``slow_consumer`` says); other messages until that and one message more.
        """
        connection = self._sessions.get(session.id)
        if connection is None or connection.is_closing:
            return False
        assert connection.wire is not None
        is_extra = message.WAMP_CODE in (36, 68)
        if connection.queued_bytes > self.limits.queue_bytes:
            if is_extra and not self.limits.closes_slow:
                self._drop(connection, message)
                return False
            most = self.limits.queue_bytes + self.limits.message_bytes
            if self.limits.closes_slow or connection.queued_bytes > most:
                logger.warning("session %d closed: it takes nothing", session.id)
                connection.abandon("too slow")
                return False
        try:
            encoded = connection.wire.encode(message)
            if len(encoded) > connection.max_send_bytes:
                raise _TooLong(f"{len(encoded)} bytes; it takes {connection.max_send_bytes}")
        except SerializationError as error:
            if is_extra:
                logger.warning("session %d cannot be sent: %s", session.id, error)
                return False
            encoded = connection.wire.encode(_failed(message, error))
        connection.send_message(encoded)
        return True

    def close(self, session: RouterSession, last: Goodbye | Abort) -> None:
        """Cut a session off, after its last message."""
        connection = self._sessions.get(session.id)
        if connection is not None:
            self._part(connection, last)

    def _drop(self, connection: Connection, message: Any) -> None:
        if isinstance(message, Event):
            connection.dropped += 1
            self._dropped += 1
            if connection.dropped == 1 or connection.dropped % 10_000 == 0:
                logger.warning(
                    "session %d is slow: %d events dropped so far",
                    connection.session.id,
                    connection.dropped,
                )

    # ------------------------------------------------------------------ what it tells

    def health(self) -> dict[str, Any]:
        """Say how the Router is, for ``GET /health``."""
        return {
            "status": "stopping" if self._is_stopping else "ok",
            "realm": self.config.realm,
            "uptime_s": round(self.poller.now() - self._started_at, 3),
            "dropped_events": self._dropped,
            **self.realm.stats(),
        }


class _TooLong(SerializationError):
    """A message is longer than its receiver takes."""


def _failed(message: Any, error: SerializationError) -> Error:
    """Give what a caller gets for an answer that it cannot be sent."""
    is_long = isinstance(error, _TooLong)
    return Error(
        request_type=getattr(message, "request_type", 48),
        request_id=message.request_id,
        error="wamp.error.payload_size_exceeded" if is_long else "wamp.error.invalid_payload",
        args=[str(error)],
    )
