"""A Session's connections: opened, joined, lost, made again, closed.

Rules:

- ``_lock`` guards the Link's protocol and tables, the turn to read, and the Session's own fields.
  Nothing waits and no user code runs under it. A Dispatcher's lock is never taken under it.
- The lock knows who holds it: a signal handler runs in the middle of what it interrupted, and must
  neither wait for that nor go in there.
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
from threading import get_ident
from typing import Any

from wampy.errors import (
    ConnectionLost,
    RemoteProtocolError,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import Abort
from wampy.protocol.session import ClientProtocol
from wampy.session.answering import Answering
from wampy.session.backoff import pauses_s
from wampy.session.futures import Changes, Waiter
from wampy.session.link import Link, link_over
from wampy.session.reading import Turn
from wampy.transports import ConnectOptions, connect, parse_url

#: The name is part of the contract: shells and log configurations know it.
logger = logging.getLogger("wampy.wamp.session")

#: Seconds that one attempt to reconnect and join may take.
ATTEMPT_S = 5.0
#: Seconds that a GOODBYE may take to be answered.
FAREWELL_S = 1.0
#: How long ``end`` waits for all of it, in seconds.
END_S = 5.0
#: So many ids of former Sessions are remembered.
FORMER_IDS = 10


class Connecting(Answering):
    """The connections of a Session, one at a time. Thread-safe.

    Args:
        url: of the Router.
        protocol: makes the protocol for each connection.
        serializers: names, the preferred one first.
        has_secret: whether joining may send one: never in the clear beyond this machine.
        reconnects: whether a lost connection is made again.
        timeout_s: how long requests wait when nobody says how long.
        ping: the interval and the timeout of keepalives, in seconds; an interval of 0.0 for none.
        options: certificates and proxy.
        on_join, on_leave, on_reconnect: called in a thread of their own, in order.
    """

    __slots__ = (
        "_address",
        "_callbacks",
        "_changes",
        "_closing",
        "_ender",
        "_former_ids",
        "_has_secret",
        "_is_begun",
        "_is_calling_back",
        "_is_ended",
        "_is_over",
        "_last_failure",
        "_new_protocol",
        "_on_join",
        "_on_leave",
        "_on_reconnect",
        "_options",
        "_ping",
        "_reconnects",
        "_serializers",
        "_threads",
        "_timeout_s",
        "_turn",
    )

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
        options: ConnectOptions,
        on_join: Callable[[], Any] | None,
        on_leave: Callable[[], Any] | None,
        on_reconnect: Callable[[], Any] | None,
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
        self._options = options
        options.check(self._address)
        self._on_join = on_join
        self._on_leave = on_leave
        self._on_reconnect = on_reconnect
        self._turn = Turn(self._lock)
        #: For who waits until the Session is joined, lost, or over.
        self._changes = Changes(self._lock)
        self._is_begun = False
        self._closing = threading.Event()
        #: Whether there will be no connection any more; and whether all of ``end`` is done.
        self._is_over = False
        self._is_ended = False
        #: Ends the Session for the main thread, which may be interrupted.
        self._ender: threading.Thread | None = None
        #: Our ids of before: of Sessions that the Router may not have missed yet.
        self._former_ids: deque[int] = deque(maxlen=FORMER_IDS)
        self._last_failure: WampyError | None = None
        self._threads: list[threading.Thread] = []
        self._callbacks: deque[Callable[[], Any]] = deque()
        self._is_calling_back = False

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
        transport = connect(self._address, self._serializers, deadline, self._options)
        return link_over(
            transport, self._new_protocol(), has_secret=self._has_secret, ping=self._ping
        )

    def _join(self, link: Link, deadline: float) -> None:
        """Say HELLO and wait for WELCOME. The caller has the turn.

        Raises:
            JoinRejected, ConnectionLost, RequestTimeout, RemoteProtocolError.
        """
        welcome = Waiter()
        timeout_s = max(0.0, deadline - time.monotonic())
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

    @property
    def timeout_s(self) -> float:
        """How long a request waits when nobody says how long, in seconds."""
        return self._timeout_s

    def welcomed_locked(self, link: Link) -> None:
        """Take note that a Link is joined: who waited for that goes on."""
        if link.welcome is not None:
            link.welcome.settle(None, None)
        self._changes.tell_locked()

    def lose(self, link: Link, error: WampyError) -> None:
        """Take note that a connection is lost: fail what is pending. Idempotent.

        Blocks for a moment at most, and only where the Router is told that it broke the protocol.
        """
        if isinstance(error, RemoteProtocolError):
            self._complain(link, error)
        with self._lock:
            if not link.is_alive:
                return
            was_joined, is_over = link.is_joined, self._closing.is_set()
            settled = link.lose_locked(error, is_over=is_over)
            if link.protocol.session_id is not None:
                self._former_ids.append(link.protocol.session_id)
            for handle in (*self.registrations, *self.subscriptions):
                handle.is_active = False
                handle.id = None
            self._changes.tell_locked()
            for receiver in self._receivers:
                receiver.wake()
            self._turn.wake_standby_locked()
        link.transport.abort()
        for pending, failure in settled:
            pending.resolve(None, failure)
        if was_joined:
            if not is_over:
                logger.warning("%s", error)
            self._call_back(self._on_leave)
        if not self._reconnects:
            with self._lock:
                self._is_over = True
                self._changes.tell_locked()

    def _complain(self, link: Link, error: RemoteProtocolError) -> None:
        """Tell the Router that it broke the protocol, as the spec wants it, if it still listens."""
        with contextlib.suppress(WampyError):
            with self._lock:
                link.post_locked(
                    Abort(details={"message": str(error)}, reason="wamp.error.protocol_violation")
                )
            link.flush_last()

    def _come_back(self, lost: Link) -> Link | None:
        """Reconnect and join, until it works or the Session ends. The caller has the turn."""
        lost.close()
        pauses = pauses_s(self._address, random.random)
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
                self._restore_in_background()  # calls on_reconnect
                return link
            self._closing.wait(next(pauses))
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
        """End for good: GOODBYE, then threads and socket. Idempotent, bounded to a few seconds.

        All of it is done when this returns, whoever began with it; but not in a signal handler, or
        a callback, that runs in the middle of what it would have to wait for: then it is done in
        the background, as soon as that goes on.
        """
        if self.is_unusable:
            # Of a fork: the connection is the other process's, which goes on with it. At the end
            # of the interpreter: threads have stopped where they were, with locks in their hands.
            return
        me = get_ident()
        if me != threading.main_thread().ident:
            self._end_here(me)
            return
        # An exception may come out of any line here, and would leave the rest undone. So another
        # thread does it; who is interrupted and calls again waits for that one.
        if self._ender is None:
            self._ender = threading.Thread(target=self._end_here, args=(me,), name="wampy end")
        if self._ender.ident is None:
            try:
                self._ender.start()
            except RuntimeError:  # started meanwhile, by a signal handler; or no more threads
                if self._ender.ident is None:
                    self._end_here(me)
        if self._lock.is_owned():
            return
        wait_s = FAREWELL_S if self._turn.owner == me else END_S
        self._changes.wait_for(lambda: self._is_ended, time.monotonic() + wait_s)

    def _end_here(self, caller: int) -> None:
        """End in this thread, for the thread that called ``end``."""
        readers = get_ident(), caller
        with self._lock:
            is_first = not self._closing.is_set()
            # From here on the Session's threads end; who reads is the one that waits below.
            self._closing.set()
            link = self._link
            farewell = None
            if is_first and link is not None and link.is_open():
                link.farewell = farewell = Waiter()
                link.post_locked(link.protocol.goodbye())
        if not is_first:
            if self._turn.owner not in readers and threading.current_thread() not in self._threads:
                self._changes.wait_for(lambda: self._is_ended, time.monotonic() + END_S)
            return
        if link is not None and farewell is not None:
            self.flush(link)
            if self._turn.owner not in readers:
                self.wait_for(link, farewell, time.monotonic() + FAREWELL_S)
        self.dispatcher.stop()
        if link is not None:
            self.lose(link, SessionClosed("the session has ended"))
        with self._lock:
            self._changes.tell_locked()
            self._turn.wake_standby_locked()
            threads = list(self._threads)
        for thread in threads:
            if thread.ident not in readers and thread.ident is not None:
                thread.join(FAREWELL_S)
        with self._lock:
            is_free = self._turn.take_locked()
            link = self._link
        if link is not None and is_free:
            link.close()
        with self._lock:
            self._is_over = self._is_ended = True
            self._changes.tell_locked()
