"""The inside of a Session: requests and their replies, and who reads them.

Rules, beside those of ``connecting``:

- One thread reads at a time (``reading``). Session threads are all alike: they stand by, read, run
  quick handlers, and bring a lost connection back.
- Every wait has a deadline, or ends when the connection or the Session does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from wampy.dispatch import CURRENT
from wampy.errors import ConnectionLost, Interrupted, RequestTimeout, SessionClosed, WampyError
from wampy.options import CancelMode
from wampy.protocol.session import ClientProtocol
from wampy.session.connecting import Connecting, logger
from wampy.session.futures import CallFuture, Waiter
from wampy.session.jobs import InvocationJob
from wampy.session.link import Link
from wampy.session.receiving import take

#: What is answered waits at most so long, in seconds, for the next answer to go out with it.
_GATHER_S = 0.0005
#: How often futures that nobody waits for are looked at, in seconds.
_EXPIRY_S = 0.25
#: Between two looks at whether the handlers have been given what came, in seconds.
_DELIVERY_S = 0.001

Request = Callable[[ClientProtocol], Any]


class Engine(Connecting):
    """What a Session is made of, below its public face. Thread-safe. Arguments: as Connecting."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._gives_turn = False
        self._flushed_at = 0.0
        #: What all CallFutures tell their changes by.
        self.futures_changed = threading.Condition()

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
        self.check_fork()
        while True:
            link = self._link
            if link is not None and not link.throttle(deadline):
                raise RequestTimeout(f"the router at {self.url} takes nothing more")
            with self._lock:
                link = self._link
                if link is not None and link.is_open:
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
                        due_at = pending.deadline
                        if due_at is not None and due_at < link.tick_at:
                            link.tick_at = due_at
                    break
                self._await_join_locked(deadline, waits_for_join)
        self.flush(link)
        return link

    def post_part(
        self, link: Link, waiter: Waiter, request: tuple[Any, ...], deadline: float
    ) -> None:
        """Send a further part of a call; nothing where it has its answer, or the link is lost.

        ``request`` is what ``ClientProtocol.call_parts`` takes.

        Raises:
            RequestTimeout: the Router takes no more.
            SerializationError, MessageTooLong, LocalProtocolError: the part cannot be sent.
        """
        if not link.throttle(deadline):
            raise RequestTimeout(f"the router at {self.url} takes nothing more")
        with self._lock:
            if waiter.is_done or not link.is_open:
                return
            link.post_locked(link.protocol.call_part(waiter.request_id, *request))
        self.flush(link)

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
        try:
            is_there = waiter.is_done or self.wait_for(link, waiter, deadline)
        except Interrupted:
            self.give_up(link, waiter.request_id)
            raise
        if not is_there:
            self.give_up(link, waiter.request_id)
            raise self.timeout_of(what, timeout_s)
        if waiter.error is not None:
            raise waiter.take_error()
        return waiter.message

    def give_up(self, link: Link, request_id: int, mode: CancelMode = "killnowait") -> None:
        """Forget a request; CANCEL it if it is a call. Does not block."""
        with self._lock:
            if link.pending.pop(request_id, None) is None or not link.is_joined:
                return
            message = link.protocol.give_up(request_id, mode)
            if message is not None:
                link.post_locked(message)
        self.flush(link)

    def ask_to_cancel(self, link: Link, request_id: int) -> bool:
        """CANCEL a call and wait on: its answer comes when the Callee has ended. Does not block.

        Returns False when it has its answer.
        """
        with self._lock:
            if request_id not in link.pending or not link.is_joined:
                return False
            link.post_locked(link.protocol.ask_to_cancel(request_id))
        self.flush(link)
        return True

    def expire(self, future: CallFuture) -> None:
        """Finish a future whose deadline has passed."""
        if future.link is not None:
            self.give_up(future.link, future.request_id)
        future.resolve(None, self.timeout_of(future.procedure, future.timeout_s))

    # ------------------------------------------------------------------ waiting and reading

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Wait until the waiter has something; reads, when nobody else does.

        Returns False when the deadline (monotonic seconds) passed.

        Raises:
            Interrupted: this is a handler's thread, and its caller has canceled the call; once.
        """
        self.check_fork()
        job = CURRENT.get()
        if type(job) is not InvocationJob or job.is_told:
            return self._wait_for(link, waiter, deadline)
        job.wait = (self, waiter)
        try:
            # Looked at after the line above, as the other side looks after it has set this.
            if job.is_interrupted:
                self.interrupt(waiter)
            is_there = self._wait_for(link, waiter, deadline)
        finally:
            job.wait = None
        if type(waiter.error) is Interrupted:
            job.is_told = True
            raise waiter.error
        return is_there

    def interrupt(self, waiter: Waiter) -> None:
        """Let a thread that waits go on, with Interrupted."""
        with self._lock:
            if not waiter.is_done:
                waiter.settle(None, Interrupted())

    def _wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
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

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no handler runs or waits to run; False when that took longer.

        What came in one read with the confirmation that no more will come is in no queue yet when
        that confirmation wakes who waits for it.
        """
        deadline = time.monotonic() + timeout_s
        while self._link is not None and self._link.is_delivering:
            if time.monotonic() > deadline:
                return False
            time.sleep(_DELIVERY_S)
        return self.dispatcher.wait_idle(max(0.0, deadline - time.monotonic()))

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
            before = link.transport.received_bytes
            frames = link.transport.receive(max(0.0, wait_s))
            now = time.monotonic()
            if frames or link.transport.received_bytes != before:
                link.heard(now)  # a part of a long message is a sign of life, too
            if frames:
                take(self, link, frames)
            if now >= link.tick_at or link.abandoned:
                self._tick(link, now)
        except WampyError as error:
            self.lose(link, link.fault or error)
        except Exception as error:  # the reading thread: a bug here must not end in silence
            logger.exception("reading from %s failed", self.url)
            self.lose(link, ConnectionLost(f"connection to {self.url} given up: {error!r}"))
        return link.is_alive

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
        self.flush(link)

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
        # One that is being ended reads on: the last answers and the farewell pass first.
        if link is None or not link.is_alive:
            if self._closing.is_set() and self._link is not None:
                # Who ended the Session may have done so in the middle of reading, and could not.
                self._link.close()
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
