"""The Router's sockets around its Realm: accept, authenticate, pass messages in and out, drain.

Everything runs in the thread that calls ``run``; ``stop`` may be called from any.

Rules:

- a client gets ``join_timeout_s`` from the accept to its WELCOME;
- what a client sent that is no message ends its Session with a reason, never the Router;
- nobody waits for a slow one: see ``wampy.router.delivery``.
"""

from __future__ import annotations

import logging
import random
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Any

import msgspec

from wampy.errors import RemoteProtocolError, SerializationError
from wampy.ids import MAX_ID
from wampy.messages import Abort, Authenticate, Goodbye, Hello, Welcome
from wampy.messages.hello import CLIENT
from wampy.messages.welcome import MAX_MESSAGE_BYTES
from wampy.router.authentication import Identity, Pending, Rejected
from wampy.router.config import RouterConfig
from wampy.router.connection import Connection
from wampy.router.delivery import Delivery
from wampy.router.listening import Listening, listen
from wampy.router.poller import READ, Poller
from wampy.router.realm import Realm
from wampy.router.sessions import RouterSession
from wampy.router.socket_connection import SocketConnection
from wampy.router.wire import unpacked, wire_of
from wampy.serializers import SERIALIZERS

logger = logging.getLogger("wampy.router")

#: Seconds between two looks at who is silent.
_SWEEP_S = 0.5
#: Seconds that a connection gets to take its last bytes.
_CLOSING_S = 2.0
_SHUTDOWN = "wamp.close.system_shutdown"
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
        self.wires = {name: wire_of(serializer) for name, serializer in SERIALIZERS.items()}
        self._random = random.Random(secrets.randbits(64))
        self._connections: set[Connection] = set()
        self._sessions: dict[int, Connection] = {}
        self.delivery = Delivery(self, self._sessions)
        self._is_stopping = False
        self._is_paused = False
        self._drain_until: float | None = None
        self._parting_at: float | None = None
        self._started_at = self._swept_at = self.now
        limits = self.limits
        shortest_s = min(limits.join_timeout_s, limits.ping_interval_s, limits.ping_timeout_s)
        self._sweep_s = max(0.01, min(_SWEEP_S, shortest_s / 4))
        self.realm = Realm(
            config.realm,
            self.delivery,
            roles=config.roles,
            limits=config.realm_limits,
            random=self._random,
            payloads=Payloads(),
            wall_offset_s=time.time() - time.monotonic(),
        )
        self.realm.more_stats = self._stats
        self._listening: list[Listening] = []
        try:
            for listener in config.listeners:
                self._listening.append(listen(listener, config.limits))
        except BaseException:
            self.close()
            raise
        #: Where clients connect, in the order of the listeners; ports that were 0 are known now.
        self.urls = [listening.url for listening in self._listening]
        self._accept_again()

    # ------------------------------------------------------------------ life

    def run(self) -> None:
        """Serve until it has been stopped and drained; blocks. It is closed then."""
        try:
            while self.run_once():
                pass
        finally:
            self.close()

    def run_once(self, timeout_s: float = _SWEEP_S) -> bool:
        """Wait for something, at most ``timeout_s``, and serve it; False: all is over."""
        due_at = self.realm.next_deadline()
        if due_at is not None:
            timeout_s = min(timeout_s, due_at - self.poller.now())
        ready = self.poller.wait(max(0.0, min(timeout_s, self._sweep_s)))
        self.now = now = self.poller.now()
        if self._is_stopping and self._drain_until is None:
            self._drain_until = now + self.limits.drain_s
            self.realm.drain(now)
            logger.info("draining: %d calls are pending", self.realm.pending_calls)
        self.poller.serve(ready)
        due_at = self.realm.next_deadline()
        if due_at is not None and due_at <= now:
            self.realm.deadline_passed(now)
        if now - self._swept_at >= self._sweep_s:
            self._swept_at = now
            self._sweep()
        self._flush()
        return not (self._is_stopping and self._is_drained())

    def stop(self) -> None:
        """Drain and end: no new sessions, no new calls; ``run`` returns soon. Thread-safe."""
        self._is_stopping = True
        self.poller.wake()

    def close(self) -> None:
        """End at once, whether it ran or not; not while it runs. Idempotent."""
        self._close_listeners()
        for connection in list(self._connections):
            connection.abandon("the Router has stopped")
        self.poller.close()

    def _is_drained(self) -> bool:
        """Go on with the end; whether everything is done."""
        if self._drain_until is None:
            return False
        if self._parting_at is None:
            if self.realm.pending_calls and self.now < self._drain_until:
                return False
            self._parting_at = self.now
            self._close_listeners()
            goodbye = Goodbye(details={}, reason=_SHUTDOWN)
            for connection in list(self._sessions.values()):
                self.part(connection, goodbye)
            for connection in list(self._connections):
                if not connection.is_closing:
                    self.refuse(connection, _SHUTDOWN, "the Router is stopping")
            self._flush()
        is_over = self.now - self._parting_at > _CLOSING_S
        return is_over or not any(one.queued_bytes for one in self._connections)

    def _close_listeners(self) -> None:
        for listening in self._listening:
            self.poller.forget(listening.sock.fileno())
            listening.close()
        self._listening = []

    def _flush(self) -> None:
        while self.unflushed or self.delivery.doomed:
            for connection in self.delivery.take_doomed():
                connection.abandon("too slow")
            unflushed, self.unflushed = self.unflushed, []
            for connection in unflushed:
                connection.flush()

    def _sweep(self) -> None:
        """End what is too slow to join, silent, or does not close."""
        limits, now = self.limits, self.now
        self.realm.take_rates(now)
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
        if self._is_paused:
            self._accept_again()

    # ------------------------------------------------------------------ connections

    def _accept_again(self) -> None:
        self._is_paused = False
        for listening in self._listening:
            self.poller.watch(listening.sock.fileno(), READ, self._acceptor(listening))

    def _acceptor(self, listening: Listening) -> Callable[[int], None]:
        def accept(events: int) -> None:
            for _ in range(_ACCEPTED_AT_ONCE):
                try:
                    sock, peer = listening.accept()
                except BlockingIOError:
                    return
                except (ConnectionError, ssl.SSLError):
                    continue  # it has gone already
                except OSError as error:
                    # No descriptors left, mostly. Who waits keeps the listener ready: it is not
                    # looked at until something has been closed, or the next sweep.
                    logger.warning("cannot accept: %s", error)
                    self._is_paused = True
                    for one in self._listening:
                        self.poller.forget(one.sock.fileno())
                    return
                if len(self._connections) >= self.limits.sessions:
                    logger.warning("refused %s: %d sessions", peer, self.limits.sessions)
                    sock.close()
                    continue
                self.opened(SocketConnection(self, sock, listening.listener, peer, self.now))

        return accept

    def opened(self, connection: Connection) -> None:
        """Take in a connection that has come about."""
        self._connections.add(connection)

    def closed(self, connection: Connection, why: str) -> None:
        """Take note that a connection has ended, and its Session with it."""
        self._connections.discard(connection)
        self.parted(connection, why)
        if self._is_paused:
            self._accept_again()

    def parted(self, connection: Connection, why: str) -> None:
        """Take note that the Session of a connection, if there is one, is over."""
        session, connection.session = connection.session, None
        if session is None:
            return
        del self._sessions[session.id]
        logger.info("session %d left: %s", session.id, why)
        try:
            self.realm.leave(session, self.now)
        except Exception:
            # Broad: a bug in what one session leaves behind does not end the others.
            logger.exception("session %d: a bug in the Router as it left", session.id)

    def violated(self, connection: Connection, error: RemoteProtocolError) -> None:
        """End a connection on which something came that must not."""
        logger.warning("%s: protocol error: %s", self._named(connection), error)
        details = {"message": str(error)}
        self._say(connection, Abort(details=details, reason="wamp.error.protocol_violation"))
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
            self.part(connection, Goodbye(details={}, reason="wamp.close.goodbye_and_out"))
        else:
            self.realm.receive(session, message, self.now)

    def part(self, connection: Connection, last: Goodbye | Abort) -> None:
        """Send the last message; the session is over with it, whatever the client does."""
        self._say(connection, last)
        connection.close_with(None, last.reason)

    @staticmethod
    def _say(connection: Connection, last: Goodbye | Abort) -> None:
        """Send a last message, where there can be one; without its text, if that cannot be sent."""
        wire = connection.wire
        if wire is None:
            return
        try:
            encoded = wire.encode(last)
        except SerializationError:
            encoded = b""
        if not 0 < len(encoded) <= connection.max_send_bytes:
            encoded = wire.encode(msgspec.structs.replace(last, details={}))
        connection.send_message(encoded)

    def _join(self, connection: Connection, message: Any) -> None:
        if self._is_stopping:
            self.refuse(connection, _SHUTDOWN, "the Router is stopping")
        elif isinstance(message, Hello) and connection.pending is None:
            self._hello(connection, message)
        elif isinstance(message, Authenticate) and connection.pending is not None:
            (hello, session_id, pending), connection.pending = connection.pending, None
            self._judge(connection, hello, session_id, pending.finish(message))
        elif isinstance(message, Abort):
            connection.finish(message.reason)
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
            channel_id=connection.channel_id(),
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
            client=(hello.details or {}).get(CLIENT),
        )
        connection.session = session
        self._sessions[session_id] = connection
        details = self.realm.join(session, self.now)
        limit = {MAX_MESSAGE_BYTES: self.limits.message_bytes}
        details = {**details, **limit, **identity.welcome_details()}
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
        self._say(connection, Abort(details={"message": text}, reason=reason))
        connection.close_with(None, reason)

    def _new_id(self) -> int:
        while True:
            session_id = self._random.randint(1, MAX_ID)
            if session_id not in self._sessions:
                return session_id

    # ------------------------------------------------------------------ what it tells

    def health(self) -> dict[str, Any]:
        """Say how the Router is, for ``GET /health``."""
        return {
            "status": "stopping" if self._is_stopping else "ok",
            "realm": self.config.realm,
            "uptime_s": round(self.poller.now() - self._started_at, 3),
            **self.realm.stats(),
        }

    def _stats(self) -> dict[str, Any]:
        """Say what the Realm does not know, for ``wampy.router.stats``."""
        queued = [connection.queued_bytes for connection in self._connections]
        return {
            "connections": len(queued),
            "queued_bytes": sum(queued),
            "longest_queue_bytes": max(queued, default=0),
            "dropped_events": self.delivery.dropped,
        }
