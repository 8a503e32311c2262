"""What waits for a reply: a blocked thread (Waiter), a CallFuture, an iterator of progress."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, PENDING
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wampy.errors import WampyError, as_declared
from wampy.options import CancelMode, check_cancel_mode
from wampy.protocol.passthru import Arguments, is_packed, unpack
from wampy.session.locking import SessionLock

if TYPE_CHECKING:
    from wampy.session.engine import Engine
    from wampy.session.link import Link


@dataclass(slots=True)
class CallResult:
    """A result that is more than one value: what the Callee gave by position and by name.

    A handler that returns, or yields, one gives its caller several values, or values by name.

    Attributes:
        args, kwargs: the values.
        details: RESULT.Details: what the Router, or the Callee through it, says of the result. Of
            what a handler gives here, only ``ppt_*`` is sent: how its result is packed.
    """

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict, compare=False)


def payload_of(value: Any) -> tuple[list[Any], dict[str, Any] | None]:
    """Give what a value is sent as: one argument, or what a CallResult says."""
    if type(value) is CallResult:
        return value.args, value.kwargs
    return [value], None


def value_of(message: Any) -> Any:
    """Give what a RESULT carries: nothing is None, one value is itself, else a CallResult."""
    args = message.args
    if message.kwargs or (message.details and is_packed(message.details)):
        return _value_in(whole_of(message))
    if not args:
        return None
    if len(args) == 1:
        return args[0]
    return whole_of(message)


def whole_of(message: Any) -> CallResult:
    """Give all that a RESULT carries.

    Raises:
        RemoteProtocolError: a packed payload that cannot be unpacked.
    """
    args, kwargs = arguments_of(message)
    return CallResult(list(args or ()), dict(kwargs or {}), dict(message.details or {}))


def arguments_of(message: Any) -> Arguments:
    """Give the arguments of a RESULT, an INVOCATION or an EVENT, unpacked where they are packed.

    Raises:
        RemoteProtocolError: they cannot be unpacked.
    """
    if message.details and is_packed(message.details):
        return unpack(message.details, message.args, message.kwargs)
    return message.args, message.kwargs


def _value_in(result: CallResult) -> Any:
    if result.kwargs or len(result.args) > 1:
        return result
    return result.args[0] if result.args else None


class Waiter:
    """A thread that waits for one reply. Fields are written under the Session's lock."""

    __slots__ = ("error", "gate", "is_done", "is_woken", "link", "message", "request_id")
    #: Monotonic seconds when the reading thread gives the request up; None: who waits minds it.
    deadline: float | None = None
    #: Whether parts of a result are wanted; else they are passed over, for the whole comes last.
    takes_progress = False

    def __init__(self) -> None:
        self.message: Any = None
        self.error: WampyError | None = None
        self.is_done = False
        self.is_woken = False
        #: Where and as what the request was sent.
        self.link: Link | None = None
        self.request_id = 0
        #: Taken while the thread waits; made when it has to, since most never do.
        self.gate: threading.Lock | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the thread has something to go on with."""
        return self.is_done

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Take the answer. Caller holds the lock.

        Returns whether ``resolve`` must be called, without the lock.
        """
        self.message = message
        self.error = error
        self.is_done = True
        self.wake()
        return False

    def resolve(self, message: Any, error: WampyError | None) -> None:
        """Do what needs no lock; nothing here."""

    def heir(self) -> Waiter | None:
        """Give what takes the answer if this one is given up; None: it is dropped."""
        return None

    def take_error(self) -> WampyError:
        """Give the error, once: left here, it and the frames it is raised in hold each other."""
        error, self.error = self.error, None
        assert error is not None
        return error

    def wake(self) -> None:
        """Wake the thread, to take its answer or the turn to read. Caller holds the lock."""
        if self.gate is not None and not self.is_woken:
            self.is_woken = True
            self.gate.release()

    def prepare(self) -> threading.Lock:
        """Give the gate to wait at, closed. Caller holds the lock."""
        if self.gate is None:
            self.gate = threading.Lock()
            self.gate.acquire()
        elif self.is_woken:
            # Woken, and perhaps not at the gate at that moment: close it again.
            self.gate.acquire(blocking=False)
            self.is_woken = False
        return self.gate


class Changes:
    """Threads that wait until something has changed; what a Condition is, and interruptible.

    A Condition's own code is Python: an exception that comes out of the midst of it, such as
    KeyboardInterrupt, leaves its lock taken, or given back twice.
    """

    def __init__(self, lock: SessionLock) -> None:
        self._lock = lock
        self._waiters: list[Waiter] = []

    def tell_locked(self) -> None:
        """Make them look again."""
        for waiter in self._waiters:
            waiter.wake()

    def wait_for(self, is_due: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until ``is_due`` gives True; False at the deadline (monotonic seconds; None: none).

        Args:
            is_due: called under the lock; what it raises is passed on.
            deadline: None waits as long as it takes.
        """
        waiter = Waiter()
        try:
            while True:
                with self._lock:
                    if is_due():
                        return True
                    if waiter not in self._waiters:
                        self._waiters.append(waiter)
                    gate = waiter.prepare()
                timeout = -1.0
                if deadline is not None:
                    timeout = deadline - time.monotonic()
                    if timeout <= 0:
                        return False
                gate.acquire(timeout=timeout)
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)


class ProgressWaiter(Waiter):
    """A thread that takes progressive results as they come."""

    __slots__ = ("parts",)
    takes_progress = True

    def __init__(self) -> None:
        super().__init__()
        self.parts: deque[Any] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether there is a part to take, or the end."""
        return self.is_done or bool(self.parts)

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Take a part, or the end."""
        if error is None and (message.details or {}).get("progress"):
            self.parts.append(message)
            self.wake()
            return False
        return super().settle(message, error)


class FuturesLock(SessionLock):  # type: ignore[misc]  # as SessionLock
    """What futures of a Session use for a Condition: they are waited for in another way.

    It is held for moments only, and is re-entrant, as ``concurrent.futures.wait`` needs it, which
    takes those of all its futures at once. A Condition's ``with`` is Python code, and can be
    interrupted between taking the lock and saying so.
    """

    __slots__ = ()

    def notify_all(self) -> None:
        """Nobody waits here."""

    def wait(self, timeout: float | None = None) -> bool:
        """Do not wait: ``CallFuture.result`` has done so."""
        return False


class CallFuture(Future[Any]):
    """The result of a call made by ``Session.call_async``; ``concurrent.futures`` knows it.

    ``result`` and ``exception`` wait until the call's own deadline when no timeout is given, and
    may be called from any thread. Callbacks run in the thread that received the reply and must not
    wait.
    """

    takes_progress = False

    def __init__(self, engine: Engine, procedure: str, timeout_s: float) -> None:
        # In place of Future's own: a Condition for each call would cost more than all the rest of
        # it. Those of a Session share a lock.
        self._condition = engine.futures_changed  # type: ignore[assignment]
        self._state = PENDING
        self._result = None
        self._exception = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []
        self._engine = engine
        self.timeout_s = timeout_s
        self._followers: list[Waiter] = []
        self.procedure = procedure
        #: Monotonic seconds.
        self.deadline: float = time.monotonic() + timeout_s
        #: Set once it was sent.
        self.link: Link | None = None
        self.request_id = 0

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Take the answer: it runs callbacks, so that is left for ``resolve``."""
        return True

    def heir(self) -> None:
        """Give None: the answer to a call that was given up is dropped."""

    def resolve(self, message: Any, error: WampyError | None) -> None:
        """Set the result or the error, run callbacks, wake who waits. Without any lock."""
        try:
            if error is not None:
                self.set_exception(as_declared(error))
            else:
                try:
                    value = value_of(message)
                except WampyError as fault:
                    self.set_exception(fault)
                else:
                    self._set(value)
        except InvalidStateError:
            pass  # cancelled in this very moment: nobody wants the answer any more
        # Whoever registers after this line sees that the future is done.
        if self._followers:
            self._engine.wake(self._followers)

    def _set(self, value: Any) -> None:
        """Set the result: at once where nobody is to be told of it, as is mostly so."""
        with self._condition:
            if self._state == PENDING and not self._waiters and not self._done_callbacks:
                self._result = value
                self._state = FINISHED
                return
        self.set_result(value)

    def cancel(self, mode: CancelMode = "killnowait") -> bool:
        """Tell the Dealer to CANCEL the call; False when the result is there already.

        True again where it is cancelled already. Does not block.

        Args:
            mode: ``killnowait``: the Callee is told, the future is cancelled at once. ``skip``: the
                same, and the Callee is not told. ``kill``: the future stays until the Callee has
                ended, or the call's deadline: it gets the error Canceled then, or what the Callee
                answered nevertheless.

        Raises:
            LocalProtocolError: the mode is none of these.
            SessionClosed: this is the child of a fork: the call is the parent process's.
        """
        self._engine.check_usable()
        check_cancel_mode(mode)
        if mode == "kill" and not self.cancelled():
            return self.link is not None and self._engine.ask_to_cancel(self.link, self.request_id)
        if not super().cancel():
            return False
        with self._condition:
            if self._state == CANCELLED_AND_NOTIFIED:
                # Before, by another thread, or by one of the callbacks above.
                return True
            self.set_running_or_notify_cancel()
        if self.link is not None:
            self._engine.give_up(self.link, self.request_id, mode)
        if self._followers:
            self._engine.wake(self._followers)
        return True

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result.

        Args:
            timeout: seconds; None: until the call's own deadline.

        Raises:
            RequestError: the Callee or the Router answered with an error.
            RequestTimeout: no answer until the call's deadline; the call is cancelled.
            TimeoutError: no answer within ``timeout``; the call goes on.
            ConnectionLost: the connection broke.
            CancelledError: ``cancel`` was called.
        """
        if self._state == FINISHED and self._exception is None:
            return self._result  # set before the state is
        if not self.done():
            self._wait(timeout)
        try:
            return super().result(0)
        finally:
            # Or the error and this frame would hold each other.
            self = None  # type: ignore[assignment]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end; give the error, or None. Times out as ``result`` does."""
        if not self.done():
            self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        until = self.deadline
        if timeout is not None:
            until = min(until, time.monotonic() + max(0.0, timeout))
        self._engine.check_usable()
        waiter = Waiter()
        try:
            self._followers.append(waiter)
            if self.done():
                return
            if not self._engine.wait_for(self.link, waiter, until) and not self.done():
                if until < self.deadline:
                    raise FutureTimeoutError
                self._engine.expire(self)
        finally:
            if waiter in self._followers:
                self._followers.remove(waiter)


class ProgressiveResults(Iterator[Any]):
    """The parts of a progressive call, then its final result where that carries a value.

    Closing it, or dropping it half way, cancels the call. For one thread at a time.

    Raises (from ``next``):
        as ``Session.call``; the timeout counts from part to part.
    """

    def __init__(
        self,
        engine: Engine,
        link: Link,
        request_id: int,
        waiter: ProgressWaiter,
        procedure: str,
        timeout_s: float,
    ) -> None:
        self._engine = engine
        self._link = link
        self._request_id = request_id
        self._waiter = waiter
        self._procedure = procedure
        self._timeout_s = timeout_s
        self._is_over = False

    def __next__(self) -> Any:
        """Wait for the next part and give its value."""
        if self._is_over:
            raise StopIteration
        self._engine.check_usable()
        waiter = self._waiter
        if not waiter.parts and not waiter.is_done:
            deadline = time.monotonic() + self._timeout_s
            try:
                has_more = self._engine.wait_for(self._link, waiter, deadline)
            except BaseException:
                self.close()  # whatever it is: KeyboardInterrupt, Interrupted
                raise
            if not has_more:
                self.close()
                raise self._engine.timeout_of(self._procedure, self._timeout_s)
        if waiter.parts:
            return value_of(waiter.parts.popleft())
        self._is_over = True
        if waiter.error is not None:
            raise as_declared(waiter.take_error())
        value = value_of(waiter.message)
        if value is None:
            raise StopIteration
        return value

    def close(self, mode: CancelMode = "killnowait") -> None:
        """Cancel what is left. Idempotent; does not block.

        Args:
            mode: ``killnowait``, or ``skip``: the Callee is not told. With ``kill`` there may be
                more to iterate over, until the Callee has ended; the last is the error Canceled.

        Raises:
            LocalProtocolError: the mode is none of these.
        """
        check_cancel_mode(mode)
        if self._is_over or self._engine.is_unusable:
            return
        if mode == "kill":
            self._engine.ask_to_cancel(self._link, self._request_id)
        else:
            self._is_over = True
            self._engine.give_up(self._link, self._request_id, mode)

    def __del__(self) -> None:
        """Cancel what nobody will take, in a moment: this may run while the lock is held."""
        if not self._is_over:
            self._is_over = True
            self._engine.give_up_later(self._link, self._request_id)
