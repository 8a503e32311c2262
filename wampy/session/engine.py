"""The inside of a Session: requests and their replies, reading, joining, loss and return.

Rules:

- ``_lock`` guards the Link's protocol and tables, the turn to read, and the Session's own fields.
  Nothing waits and no user code runs under it. A Dispatcher's lock is never taken under it.
- One thread reads at a time (``reading``). Session threads are all alike: they stand by, read, run
  quick handlers, and bring a lost connection back.
- Whoever finds the connection lost fails what is pending; a Session thread then reconnects.
- Every wait has a deadline, or ends when the connection or the Session does.
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
from wampy.session.receiving import Batch
from wampy.transports import connect, parse_url
from wampy.transports.frames import FrameKind, describe_close

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
#: What is answered waits at most so long, in seconds, for the next answer to go out with it.
_GATHER_S = 0.0005
#: How often futures that nobody waits for are looked at, in seconds.
_EXPIRY_S = 0.25
_LOCAL_HOSTS = ("localhost", "127.", "::1")

Request = Callable[[ClientProtocol], Any]


class Engine(Answering):
    """What a Session is made of, below its public face. Thread-safe.

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
        self._gives_turn = False
        self._flushed_at = 0.0
        self.registrations: list[Registration] = []
        self.subscriptions: list[Subscription] = []

    # ------------------------------------------------------------------ requests

    def post(
        self,
        make: Request,
        pending: Waiter | CallFuture | None,
        deadline: float,
        *,
        waits_for_join: bool = True,
    ) -> Link:
        """Send a request; wait for the connection to come back, if it is lost, until the deadline.

        Args:
            make: makes the message, under the lock.
            pending: gets the answer; gets its ``link`` and ``request_id`` here.
            deadline: monotonic seconds.
            waits_for_join: False: a lost connection is an error at once.

        Raises:
            SessionClosed: not begun, or ended.
            ConnectionLost: lost, and it does not come back, or is not waited for.
            RequestTimeout: it did not come back in time, or takes no more.
            SerializationError, MessageTooLong, LocalProtocolError: the message cannot be sent.
        """
        while True:
            link = self._link
            if link is not None and not link.throttle(deadline):
                raise RequestTimeout(f"the router at {self.url} takes nothing more")
            with self._lock:
                link = self._link
                if link is not None and link.is_joined and link.farewell is None:
                    message = make(link.protocol)
                    try:
                        link.post_locked(message)
                    except WampyError:
                        if message.request_id is not None:
                            link.protocol.withdraw(message.request_id)
                        raise
                    if pending is not None:
                        pending.link = link
                        pending.request_id = message.request_id
                        link.pending[message.request_id] = pending
                        if pending.deadline is not None:
                            link.tick_at = min(link.tick_at, pending.deadline)
                    break
                self._await_join_locked(deadline, waits_for_join)
        self.flush(link)
        return link

    def _await_join_locked(self, deadline: float, waits_for_join: bool) -> None:
        """Wait until the Session is joined; gives the lock up meanwhile."""
        if self._closing.is_set():
            raise SessionClosed("the session has ended")
        if not self._is_begun:
            raise SessionClosed("the session has not begun: call begin() first")
        if not self._reconnects or not waits_for_join:
            error = self._last_failure or (self._link.error if self._link else None)
            raise ConnectionLost(f"not connected to {self.url}: {error or 'connection lost'}")
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not self._joined.wait(remaining):
            why = f": {self._last_failure}" if self._last_failure else ""
            raise RequestTimeout(f"not connected to {self.url} in time{why}")

    def request(self, make: Request, waiter: Waiter, timeout_s: float, what: str) -> Any:
        """Send a request and wait for its answer; give the message.

        Raises:
            RequestError: what the Router answered.
            RequestTimeout: no answer in time.
            and what ``post`` raises.
        """
        deadline = time.monotonic() + timeout_s
        self.post(make, waiter, deadline)
        return self.answer_to(waiter, deadline, timeout_s, what)

    def answer_to(self, waiter: Waiter, deadline: float, timeout_s: float, what: str) -> Any:
        """Wait for the answer to a request that was posted; as ``request``."""
        link = waiter.link
        assert link is not None
        if not waiter.is_done and not self.wait_for(link, waiter, deadline):
            self.give_up(link, waiter.request_id)
            raise self.timeout_of(what, timeout_s)
        if waiter.error is not None:
            raise waiter.error
        return waiter.message

    def timeout_of(self, what: str, timeout_s: float) -> RequestTimeout:
        """Make the error that says that there was no answer."""
        return RequestTimeout(f"{what}: no answer from {self.url} within {timeout_s:g} s")

    def give_up(self, link: Link, request_id: int) -> None:
        """Forget a request; CANCEL it if it is a call. Does not block."""
        with self._lock:
            if link.pending.pop(request_id, None) is None or not link.is_joined:
                return
            message = link.protocol.give_up(request_id)
            if message is not None:
                link.post_locked(message)
        self.flush(link, may_wait=False)

    def expire(self, future: CallFuture) -> None:
        """Finish a future whose deadline has passed."""
        if future.link is not None:
            self.give_up(future.link, future.request_id)
        future.resolve(None, self.timeout_of(future.procedure, future.timeout_s))

    def flush(self, link: Link, *, may_wait: bool = True) -> None:
        """Send what waits; a connection that breaks on it is lost here."""
        try:
            link.flush(may_wait=may_wait)
        except ConnectionLost as error:
            self.lose(link, error)

    # ------------------------------------------------------------------ waiting and reading

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Wait until the waiter has something; reads, when nobody else does.

        Returns False when the deadline (monotonic seconds) passed.
        """
        turn = self._turn
        gate: threading.Lock | None = None
        while True:
            with self._lock:
                if gate is not None:
                    turn.unfollow_locked(waiter)
                    gate = None
                remaining = deadline - time.monotonic()
                if waiter.is_ready or remaining <= 0:
                    turn.pass_on_locked()
                    return waiter.is_ready
                leads = link is not None and link.is_alive and turn.take_locked()
                if not leads:
                    gate = turn.follow_locked(waiter)
                    self._gives_turn = True
            if gate is not None:
                gate.acquire(timeout=remaining)
                continue
            assert link is not None
            try:
                while not waiter.is_ready and self._read(link, deadline - time.monotonic()):
                    if self.dispatcher.has_ready:
                        # Not here: a handler within a caller's wait would hold up the caller.
                        self.dispatcher.kick()
                    if time.monotonic() >= deadline:
                        break
            finally:
                with self._lock:
                    turn.release_locked(is_urgent=not link.is_alive or self._is_on_call_locked())
            if waiter.is_ready:
                return True

    def wake(self, waiters: list[Waiter]) -> None:
        """Tell threads that wait for a future that it is done."""
        with self._lock:
            for waiter in waiters:
                waiter.is_done = True
                waiter.wake()

    def _is_on_call_locked(self) -> bool:
        """Whether the Router may send something at any time: then somebody always reads."""
        link = self._link
        return link is not None and bool(link.registrations or link.subscriptions)

    def _read(self, link: Link, timeout_s: float) -> bool:
        """Receive once, wait for it at most ``timeout_s``; deal with all of it but handlers.

        The caller has the turn. Returns False when the connection is lost.
        """
        wait_s = min(timeout_s, link.tick_at - time.monotonic())
        try:
            frames = link.transport.receive(max(0.0, wait_s))
            now = time.monotonic()
            if frames:
                link.heard(now)
                self._take(link, frames)
            if now >= link.tick_at or link.abandoned:
                self._tick(link, now)
        except WampyError as error:
            self.lose(link, error)
        except Exception as error:  # the reading thread: a bug here must not end in silence
            logger.exception("reading from %s failed", self.url)
            self.lose(link, ConnectionLost(f"connection to {self.url} given up: {error!r}"))
        return link.is_alive

    def _take(self, link: Link, frames: list[tuple[FrameKind, bytes]]) -> None:
        """Deal with what came: replies at once, handlers are submitted."""
        batch = Batch(self, link)
        decode = link.serializer.decode
        messages = [decode(data) for kind, data in frames if kind is FrameKind.MESSAGE]
        with self._lock:
            for message in messages:
                batch.take_locked(message)
            if len(messages) < len(frames):
                for kind, payload in frames:
                    if kind is FrameKind.PING:
                        link.post_frame_locked(link.transport.codec.pong(payload))
                    elif kind is FrameKind.CLOSE:
                        reason = describe_close(payload)
                        batch.refuse(f"connection to {self.url} lost: {reason}")
        batch.finish()
        if link.outbox:
            self.flush(link, may_wait=False)
        if batch.error is not None:
            raise batch.error

    def _tick(self, link: Link, now: float) -> None:
        """Do what is due: pings, futures that nobody waits for, iterators that were dropped."""
        expired = []
        with self._lock:
            link.tick_locked(now)
            futures = [item for item in link.pending.values() if isinstance(item, CallFuture)]
            if futures:
                expired = [future for future in futures if future.deadline <= now]
                link.tick_at = min(link.tick_at, now + _EXPIRY_S)
        while link.abandoned:
            self.give_up(link, link.abandoned.popleft())
        for future in expired:
            self.expire(future)
        self.flush(link, may_wait=False)

    # ------------------------------------------------------------------ the Session's threads

    def _start_thread_locked(self) -> None:
        """Start a Session thread, which stands by."""
        self._turn.has_standby = True
        thread = threading.Thread(target=self._run_thread, name="wampy session", daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _run_thread(self) -> None:
        try:
            while True:
                self._turn.stand_by()
                if not self._serve():
                    return
                with self._lock:
                    if self._turn.has_standby:
                        return  # another one stands by; one is enough
                    self._turn.has_standby = True
        except BaseException as error:  # no thread dies silently: the Session dies with it, loudly
            logger.exception("a thread of the session with %s failed", self.url)
            self._closing.set()
            if self._link is not None:
                self.lose(self._link, ConnectionLost(f"the session failed: {error!r}"))

    def _serve(self) -> bool:
        """Use the turn, which the caller has taken, and give it back. False when all is over."""
        link = self._link
        assert link is not None
        if not link.is_alive and not self._closing.is_set() and self._reconnects:
            link = self._come_back(link)
        if link is None or not link.is_alive or self._closing.is_set():
            with self._lock:
                self._turn.release_locked(is_urgent=False)
            return self._reconnects and not self._closing.is_set()
        # Whoever read before is busy with a handler: what waits behind that one goes to workers.
        self.dispatcher.kick()
        self._lead(link)
        return True

    def _lead(self, link: Link) -> None:
        """Read, and run quick handlers, until somebody else reads."""
        turn, dispatcher = self._turn, self.dispatcher
        while True:
            if not self._read(link, 3600.0):
                with self._lock:
                    turn.release_locked(is_urgent=True)
                return
            if dispatcher.has_ready:
                with self._lock:
                    if not turn.has_standby:
                        self._start_thread_locked()
                    turn.release_locked(is_urgent=False)
                dispatcher.run_quick(self._between)
                with self._lock:
                    if not turn.take_locked():
                        return
            elif self._gives_turn:
                with self._lock:
                    self._gives_turn = False
                    if not self._is_on_call_locked():
                        # Callers at work: they read for themselves. If they stop, we stand by.
                        turn.release_locked(is_urgent=False)
                        return

    def _between(self) -> None:
        """Send answers: after the last handler, or when the first answer has waited long enough."""
        now = time.perf_counter()
        if now - self._flushed_at > _GATHER_S or not self.dispatcher.has_ready:
            self._flushed_at = now
            if self._link is not None:
                self.flush(self._link)

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
        self._call_back(self._on_join)

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
        settled = []
        with self._lock:
            if not link.is_alive:
                return
            link.is_alive = False
            was_joined, link.is_joined = link.is_joined, False
            link.error = error
            is_over = self._closing.is_set()
            kind = SessionClosed if isinstance(error, SessionClosed) else ConnectionLost
            waiting = list(link.pending.values())
            link.pending.clear()
            link.invocations.clear()
            if link.farewell is not None:
                waiting.append(link.farewell)
            if link.welcome is not None and not link.welcome.is_done:
                link.welcome.settle(None, error)
            for pending in waiting:
                failure = kind(str(error))
                failure.__cause__ = error if kind is not type(error) else error.__cause__
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
            link.flush(may_wait=False)

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
            try:
                callback()
            except BaseException:  # user code; the next one is called all the same
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
            if link is not None and link.is_joined:
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
