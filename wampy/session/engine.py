"""The inside of a Session: requests and their replies, and who reads them.

Rules, beside those of ``connecting``:

- One thread reads at a time (``reading``). Session threads are all alike: they stand by, read, run
  quick handlers, and bring a lost connection back.
- Every wait has a deadline, or ends when the connection or the Session does.
- An exception may come out of any line in the main thread: Ctrl-C, a signal handler that raises.
  Whoever it concerns undoes what was half done, where the exception passes: ``post`` a request that
  has no id on the wire yet, or cancels it; ``_wait_for`` gives the turn back, ``_read`` gives
  a connection up of which nobody knows how many messages were dealt with. See also
  ``transports.stream``, ``link``, ``reading``.
- A signal handler runs in the middle of what it interrupted. A request of it that would have to
  wait for that is refused at once.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

from wampy.dispatch import current_to_wait
from wampy.errors import (
    ConnectionLost,
    Interrupted,
    LocalProtocolError,
    ProtocolError,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.options import CancelMode
from wampy.protocol.frames import Frame
from wampy.protocol.session import ClientProtocol
from wampy.session.connecting import Connecting, logger
from wampy.session.futures import CallFuture, FuturesLock, Waiter
from wampy.session.jobs import InvocationJob
from wampy.session.link import Link
from wampy.session.reading import HOLDERS, holds_turn
from wampy.session.receiving import take

#: What is answered waits at most so long, in seconds, for the next answer to go out with it.
_GATHER_S = 0.0001
#: How often futures that nobody waits for are looked at, in seconds.
_EXPIRY_S = 0.25
#: Between two looks at whether the handlers have been given what came, in seconds.
_DELIVERY_S = 0.001

Request = Callable[[ClientProtocol], Any]


_NESTED = (
    "the session is at work in this very thread, and this would wait for itself: from a signal "
    "handler, or a callback of a future, leave it to another thread (a handler may call end)"
)


def _refusal() -> LocalProtocolError:
    """Make the error for a request from the midst of the Session's own work."""
    return LocalProtocolError(_NESTED)


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, LocalProtocolError) and error.args == (_NESTED,)


def _is_handlers(error: BaseException) -> bool:
    """Whether a signal handler raised it, in the main thread; else it is a bug here."""
    if not isinstance(error, Exception):
        return True  # KeyboardInterrupt comes without a frame of a handler's
    import signal

    handlers: list[Any] = [signal.getsignal(number) for number in signal.valid_signals()]
    handlers = [getattr(one, "func", one) for one in handlers if callable(one)]
    handlers += [getattr(type(one), "__call__", None) for one in handlers]  # noqa: B004 - it is wanted
    codes = {getattr(one, "__code__", None) for one in handlers}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


class Engine(Connecting):
    """What a Session is made of, below its public face. Thread-safe. Arguments: as Connecting."""

    __slots__ = ("_gives_turn", "_main", "futures_changed")

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._gives_turn = False
        #: What all CallFutures guard their state by.
        self.futures_changed = FuturesLock()
        self._main = threading.main_thread().ident

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
        self.check_usable()
        if self._lock.is_owned():
            raise _refusal()
        if isinstance(pending, Waiter):
            current_to_wait()  # before anything is sent; a CallFuture need not be waited for
        try:
            while True:
                link = self._link
                if link is not None and not link.throttle(deadline):
                    raise RequestTimeout(f"the router at {self.url} takes nothing more")
                with self._lock:
                    link = self._link
                    if link is not None and link.is_open():
                        self._post_locked(link, make, pending)
                        break
                self._await_join(deadline, waits_for_join)
        except WampyError:
            raise
        except BaseException:
            if self._link is not None:
                self.flush(self._link)  # what there is to cancel
            raise
        self.flush(link)
        return link

    def _post_locked(self, link: Link, make: Request, pending: Waiter | CallFuture | None) -> None:
        last_id, posted_bytes = link.protocol.ids.last, link.posted_bytes
        try:
            message = make(link.protocol)
            link.post_locked(message)
            if pending is not None:
                pending.link = link
                pending.request_id = message.request_id
                link.pending[message.request_id] = pending
                due_at = pending.deadline
                if due_at is not None and due_at < link.tick_at:
                    link.tick_at = due_at
        except BaseException:
            link.retract_locked(pending, last_id, posted_bytes)
            raise

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
        if self._lock.is_owned():
            raise _refusal()
        with self._lock:
            if waiter.is_done or not link.is_open():
                return
            link.post_locked(link.protocol.call_part(waiter.request_id, *request))
        self.flush(link)

    def _await_join(self, deadline: float, waits_for_join: bool) -> None:
        """Wait until the Session is joined, or something has changed about that."""

        def is_answered() -> bool:
            link = self._link
            if link is not None and link.is_open():
                return True
            if self._closing.is_set():
                raise SessionClosed("the session has ended")
            if not self._is_begun:
                raise SessionClosed("the session has not begun: call begin() first")
            if not self._reconnects or not waits_for_join:
                error = self._last_failure or (link.error if link else None)
                raise ConnectionLost(f"not connected to {self.url}: {error or 'connection lost'}")
            return False

        if not self._changes.wait_for(is_answered, deadline):
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
        try:
            self.post(make, waiter, deadline)
            return self.answer_to(waiter, deadline, timeout_s, what)
        except WampyError:
            raise
        except BaseException:
            self.leave(waiter)
            raise

    def leave(self, waiter: Waiter | CallFuture) -> None:
        """Forget a request, wherever it is: an exception came out of who waits for it."""
        if waiter.link is not None:
            self.give_up(waiter.link, waiter.request_id)

    def answer_to(self, waiter: Waiter, deadline: float, timeout_s: float, what: str) -> Any:
        """Wait for the answer to a request that was posted; as ``request``."""
        link = waiter.link
        assert link is not None
        try:
            is_there = waiter.is_done or self.wait_for(link, waiter, deadline)
        except BaseException:
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
        if self._lock.is_owned():
            self.give_up_later(link, request_id)
            return
        with self._lock:
            link.give_up_locked(request_id, mode)
        self.flush(link)

    def give_up_later(self, link: Link, request_id: int) -> None:
        """Have a request given up in a moment. Takes no lock: for ``__del__``, signal handlers."""
        link.abandoned.append(request_id)
        if link.is_alive and not link.is_sweeping:
            link.is_sweeping = True
            try:
                # Not a threading.Thread, whose making takes locks of its own.
                _thread.start_new_thread(self._sweep, (link,))
            except RuntimeError:
                link.is_sweeping = False  # no more threads; there is another look at each tick

    def _sweep(self, link: Link) -> None:
        """Give up what was left behind."""
        while link.is_sweeping:
            while link.abandoned:
                self.give_up(link, link.abandoned.popleft())
            link.is_sweeping = False
            # What came after the last look, and before the line above.
            if link.abandoned:
                link.is_sweeping = True

    def ask_to_cancel(self, link: Link, request_id: int) -> bool:
        """CANCEL a call and wait on: its answer comes when the Callee has ended. Does not block.

        Returns False when it has its answer.
        """
        self.check_usable()
        if self._lock.is_owned():
            raise _refusal()
        with self._lock:
            is_asked = link.ask_to_cancel_locked(request_id)
        self.flush(link)
        return is_asked

    def _forget(self) -> None:
        super()._forget()
        self.futures_changed.forget()

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
            LocalProtocolError: this is the event loop of ``async def`` handlers.
        """
        self.check_usable()
        job = current_to_wait()
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
        if turn.owner == get_ident():
            self._refuse_nested()
        gate: threading.Lock | None = None
        try:
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
                while not waiter.is_ready and self._read(link, deadline - time.monotonic()):
                    if self.dispatcher.has_ready:
                        # Not here: a handler within a caller's wait would hold up the caller.
                        self.dispatcher.kick()
                    if time.monotonic() >= deadline:
                        break
                if not link.is_alive and self._is_ended:
                    link.close()  # who ended it, from a signal handler here, could not
                with self._lock:
                    turn.release_locked(is_urgent=not link.is_alive or self._is_on_call_locked())
        except BaseException:
            # Whatever it is, and wherever it came out: nothing of this wait stays.
            with self._lock:
                turn.leave_locked(waiter)
            raise

    def _refuse_nested(self) -> None:
        """Refuse to wait in the middle of reading; but mend a turn that is nobody's any more.

        Raises:
            LocalProtocolError: this is a signal handler, or a callback, in the thread that reads.
        """
        if get_ident() != self._main or holds_turn(sys._getframe(2)):
            raise _refusal()
        with self._lock:
            self._turn.leave_locked(None)

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
        frames: Sequence[Frame] = ()
        try:
            before = link.transport.received_bytes
            frames = link.transport.receive(max(0.0, wait_s))
            now = time.monotonic()
            if frames or link.transport.received_bytes != before:
                link.heard(now)  # a part of a long message is a sign of life, too
            if frames:
                take(self, link, frames)
            if now >= link.tick_at:
                self._tick(link, now)
        except BaseException as error:
            self._read_failed(link, frames, error)
        return link.is_alive

    def _read_failed(self, link: Link, frames: Sequence[Frame], error: BaseException) -> None:
        """Say why the connection is lost; what comes out of a signal handler is for who called.

        Raises:
            the error, if it came from a signal handler. The connection is given up then where the
            handler came in the midst of dealing with what was read: nobody knows with how much.
        """
        is_ours = isinstance(error, ConnectionLost | ProtocolError) and not _is_refusal(error)
        is_mains = get_ident() == self._main and _is_handlers(error)
        if is_ours or (isinstance(error, WampyError) and not is_mains):
            assert isinstance(error, WampyError)
            self.lose(link, link.fault or error)
        elif is_mains:
            if frames:
                link.is_delivering = False
                why = f"interrupted by {error!r} while the router's messages were dealt with"
                self.lose(link, ConnectionLost(f"connection to {self.url} given up: {why}"))
            raise error
        elif isinstance(error, Exception):  # a bug here must not end in silence
            logger.exception("reading from %s failed", self.url)
            self.lose(link, ConnectionLost(f"connection to {self.url} given up: {error!r}"))
        else:
            raise error

    def _tick(self, link: Link, now: float) -> None:
        """Do what is due: pings, futures that nobody waits for, iterators that were dropped."""
        expired = []
        with self._lock:
            link.tick_locked(now)
            futures = [item for item in link.pending.values() if isinstance(item, CallFuture)]
            if futures:
                expired = [future for future in futures if future.deadline <= now]
                link.tick_at = min(link.tick_at, now + _EXPIRY_S)
        if not link.is_sweeping:
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
        # Whoever read before is busy with a handler: what waits behind that one goes to workers,
        # and what was answered before it goes out.
        self.dispatcher.kick()
        self.flush(link)
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
                dispatcher.run_quick(self._flush_answers, _GATHER_S)
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

    def _flush_answers(self) -> None:
        """Send what quick handlers have answered."""
        if self._link is not None:
            self.flush(self._link)


HOLDERS.add(Engine._wait_for.__code__)
