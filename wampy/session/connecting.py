"""A Session's connections: opened, joined, lost, made again, closed.

Rules:

- ``_lock`` guards the Link's protocol and tables, the turn to read, and the Session's own fields.
  Nothing waits and no user code runs under it. A Dispatcher's lock is never taken under it.
- Whoever finds the connection lost fails what is pending; a Session thread, which then has the turn
  to read, makes it again.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from wampy.errors import (
    ConnectFailed,
    ConnectionLost,
    RemoteProtocolError,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import Abort
from wampy.protocol.session import ClientProtocol
from wampy.session.answering import Answering
from wampy.session.futures import CallFuture, Waiter
from wampy.session.link import Link
from wampy.session.reading import Turn
from wampy.transports import connect, parse_url

if TYPE_CHECKING:
    from wampy.session.handles import Registration, Subscription

#: The name is part of the contract: shells and log configurations know it.
logger = logging.getLogger("wampy.wamp.session")

#: Seconds until the first retry of a reconnect, and the longest, on this machine and elsewhere.
BACKOFF_S = 0.05
BACKOFF_FACTOR = 1.6
MAX_BACKOFF_LOCAL_S = 0.5
MAX_BACKOFF_S = 5.0
#: Seconds that one attempt to reconnect and join may take.
ATTEMPT_S = 5.0
#: Seconds that a GOODBYE may take to be answered.
FAREWELL_S = 1.0
_LOCAL_HOSTS = ("localhost", "127.", "::1")


class Connecting(Answering):
    """The connections of a Session, one at a time. Thread-safe.

    Args:
        url: of the Router.
        protocol: makes the protocol for each connection.
        serializers: names, the preferred one first.
        has_secret: whether joining sends a ticket: never in the clear beyond this machine.
        reconnects: whether a lost connection is made again.
        timeout_s: how long requests wait when nobody says how long.
        ping: the interval and the timeout of keepalives, in seconds; an interval of 0.0 for none.
        ca: a file of certificates to trust instead of the system's, or None.
        on_join, on_leave: called in a thread of their own, in order.
    """

    def __init__(
        self,
        url: str,
        *,
        protocol: Callable[[], ClientProtocol],
        serializers: Sequence[str],
        has_secret: bool,
        reconnects: bool,
        timeout_s: float,
        ping: tuple[float, float],
        ca: str | None,
        on_join: Callable[[], Any] | None,
        on_leave: Callable[[], Any] | None,
    ) -> None:
        super().__init__()
        self.url = url
        self._address = parse_url(url)
        self._new_protocol = protocol
        self._serializers = tuple(serializers)
        self._has_secret = has_secret
        self._reconnects = reconnects
        self._timeout_s = timeout_s
        self._ping = ping
        self._ca = ca
        self._on_join = on_join
        self._on_leave = on_leave
        self._turn = Turn(self._lock)
        self._joined = threading.Condition(self._lock)
        self._link: Link | None = None
        self._is_begun = False
        self._closing = threading.Event()
        self._last_failure: WampyError | None = None
        self._threads: list[threading.Thread] = []
        self._callbacks: deque[Callable[[], Any]] = deque()
        self._is_calling_back = False
        self.registrations: list[Registration] = []
        self.subscriptions: list[Subscription] = []

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Wait until the waiter has something, or the deadline."""
        raise NotImplementedError

    def _read(self, link: Link, timeout_s: float) -> bool:
        """Receive once; False when the connection is lost."""
        raise NotImplementedError

    def flush(self, link: Link) -> None:
        """Send what waits; a connection that breaks on it is lost here."""
        try:
            link.flush()
        except ConnectionLost as error:
            self.lose(link, error)

    # ------------------------------------------------------------------ joining, loss and return

    def _open(self, deadline: float) -> Link:
        """Connect. Raises ConnectFailed."""
        transport = connect(self._address, self._serializers, deadline, self._ca)
        if self._has_secret and not transport.is_private:
            transport.close()
            raise ConnectFailed(
                self.url, "a ticket is never sent in the clear beyond this machine; use wss://"
            )
        interval_s, timeout_s = self._ping
        return Link(
            transport,
            self._new_protocol(),
            ping_interval_s=interval_s,
            ping_timeout_s=timeout_s,
        )

    def _join(self, link: Link, deadline: float) -> None:
        """Say HELLO and wait for WELCOME. The caller has the turn.

        Raises:
            JoinRejected, ConnectionLost, RequestTimeout, RemoteProtocolError.
        """
        welcome = Waiter()
        timeout_s = deadline - time.monotonic()
        with self._lock:
            link.welcome = welcome
            logger.info('sending "%s" message', "HELLO")
            link.post_locked(link.protocol.hello())
        self.flush(link)
        while not welcome.is_done:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RequestTimeout(f"no answer to HELLO from {self.url} within {timeout_s:.3g} s")
            if not self._read(link, remaining) and not welcome.is_done:
                raise link.error or ConnectionLost(f"connection to {self.url} lost")
        if welcome.error is not None:
            raise welcome.error
        logger.info('received "%s" message', "WELCOME")
        logger.info("session started with ID: %s", link.protocol.session_id)

    def welcomed_locked(self, link: Link) -> None:
        """Take note that a Link is joined: who waited for that goes on."""
        if link.welcome is not None:
            link.welcome.settle(None, None)
        self._joined.notify_all()

    def keep_locked(self, message: Any) -> None:
        """Keep a message for who asked for messages by hand."""
        raise NotImplementedError

    def lose(self, link: Link, error: WampyError) -> None:
        """Take note that a connection is lost: fail what is pending. Idempotent; does not block."""
        if isinstance(error, RemoteProtocolError):
            self._complain(link, error)
        settled: list[tuple[Waiter | CallFuture, WampyError]] = []
        failure: WampyError
        with self._lock:
            if not link.is_alive:
                return
            link.is_alive = False
            was_joined, link.is_joined = link.is_joined, False
            link.error = error
            is_over = self._closing.is_set()
            text = "the session has ended" if is_over else str(error)
            waiting = list(link.pending.values())
            link.pending.clear()
            link.invocations.clear()
            if link.farewell is not None:
                waiting.append(link.farewell)
            if link.welcome is not None and not link.welcome.is_done:
                link.welcome.settle(None, error)
            for pending in waiting:
                # One for each: a traceback grows on an exception wherever it is raised.
                failure = SessionClosed(text) if is_over else ConnectionLost(text)
                failure.__cause__ = error.__cause__ if type(error) is ConnectionLost else error
                if pending.settle(None, failure):
                    settled.append((pending, failure))
            for handle in (*self.registrations, *self.subscriptions):
                handle.is_active = False
                handle.id = None
            self._joined.notify_all()
            self._turn.wake_standby_locked()
        link.transport.abort()
        for pending, failure in settled:
            pending.resolve(None, failure)
        if was_joined:
            if not is_over:
                logger.warning("%s", error)
            self._call_back(self._on_leave)

    def _complain(self, link: Link, error: RemoteProtocolError) -> None:
        """Tell the Router that it broke the protocol, as the spec wants it, if it still listens."""
        with contextlib.suppress(WampyError):
            with self._lock:
                link.post_locked(
                    Abort(details={"message": str(error)}, reason="wamp.error.protocol_violation")
                )
            link.flush()

    def _come_back(self, lost: Link) -> Link | None:
        """Reconnect and join, until it works or the Session ends. The caller has the turn."""
        lost.close()
        host = self._address.host or "localhost"
        longest_s = MAX_BACKOFF_LOCAL_S if host.startswith(_LOCAL_HOSTS) else MAX_BACKOFF_S
        delay_s = BACKOFF_S
        while not self._closing.is_set():
            link = None
            try:
                deadline = time.monotonic() + min(ATTEMPT_S, self._timeout_s)
                link = self._open(deadline)
                with self._lock:
                    self._link = link
                self._join(link, deadline)
            except WampyError as error:
                if link is not None:
                    self.lose(link, error)
                    link.close()
                if self._last_failure is None or str(self._last_failure) != str(error):
                    logger.warning("reconnecting to %s failed: %s", self.url, error)
                self._last_failure = error
            else:
                self._last_failure = None
                self._call_back(self._on_join)
                self._restore_in_background()
                return link
            # Jitter, so that a hundred Peers do not knock at the same moment.
            self._closing.wait(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * BACKOFF_FACTOR, longest_s)
        return None

    def _restore_in_background(self) -> None:
        """Register and subscribe again; overridden by who knows how."""
        raise NotImplementedError

    def _call_back(self, callback: Callable[[], Any] | None) -> None:
        """Call on_join or on_leave, in a thread of its own: this one may have to read."""
        if callback is None:
            return
        with self._lock:
            self._callbacks.append(callback)
            if self._is_calling_back:
                return
            self._is_calling_back = True
        threading.Thread(target=self._run_callbacks, name="wampy callbacks", daemon=True).start()

    def _run_callbacks(self) -> None:
        while True:
            with self._lock:
                if not self._callbacks:
                    self._is_calling_back = False
                    return
                callback = self._callbacks.popleft()
            self._guarded(callback)

    def _guarded(self, callback: Callable[[], Any]) -> None:
        try:
            callback()
        except Exception:  # user code; the Session goes on all the same
            logger.exception("%r failed", callback)

    def _close(self) -> None:
        """End for good: GOODBYE, then threads and socket. Idempotent, bounded to a few seconds."""
        with self._lock:
            if self._closing.is_set():
                return
            # From here on the Session's threads end; who reads is the one that waits below.
            self._closing.set()
            link = self._link
            farewell = None
            if link is not None and link.is_open:
                link.farewell = farewell = Waiter()
                link.post_locked(link.protocol.goodbye())
        if link is not None and farewell is not None:
            self.flush(link)
            self.wait_for(link, farewell, time.monotonic() + FAREWELL_S)
        self.dispatcher.stop()
        if link is not None:
            self.lose(link, SessionClosed("the session has ended"))
        with self._lock:
            self._joined.notify_all()
            self._turn.wake_standby_locked()
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(FAREWELL_S)
        with self._lock:
            is_free = self._turn.take_locked()
            link = self._link
        if link is not None and is_free:
            link.close()
