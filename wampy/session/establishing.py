"""What a Session offers and listens to: set up many at once, torn down, restored after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from wampy.durations import seconds_of
from wampy.errors import (
    ConnectionLost,
    ProcedureAlreadyExists,
    SessionClosed,
    WampyError,
)
from wampy.session.connecting import logger
from wampy.session.engine import Engine
from wampy.session.futures import Waiter, value_of
from wampy.session.handles import Handle, Registration, SetUp, check_bound_locked
from wampy.session.restoring import Complaints, is_ghost, may_be_ghost, replace_ghost

if TYPE_CHECKING:
    from wampy.session.questions import Question

T = TypeVar("T")
#: A procedure that a former Session of ours still holds is asked for again so long, in seconds.
GHOST_S = 2.0
GHOST_PAUSE_S = (0.002, 0.05)
#: Seconds between attempts to restore what could not be restored after a reconnect.
RESTORE_PAUSE_S = 1.0


class Establishing(Engine):
    """Registers and subscribes, and does so again after each reconnect. Thread-safe."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._restore_lock = threading.Lock()  # guards the two below; taken before _lock
        self._is_restoring = False
        #: Whether on_reconnect is to be called after the next round.
        self._is_back = False
        self._complaints = Complaints()  # of the one thread that restores

    def set_up(self, handles: Sequence[Handle], timeout_s: float, *, ghost_s: float = 0.0) -> None:
        """Register and subscribe many in one go; they are restored after each reconnect.

        Args:
            handles: Registrations and Subscriptions.
            timeout_s: for all of them together.
            ghost_s: how long a procedure that exists already is asked for again, for a former
                Session that the Router has not missed yet may hold it.

        Raises:
            the first error; those that came about stay.
        """
        deadline = time.monotonic() + timeout_s
        self.check_usable()
        try:
            failures = self._establish(handles, deadline, ghost_s)
            if failures:
                raise next(iter(failures.values()))
            with self._lock:
                check_bound_locked(handles, self._link)
                for handle in handles:
                    kept: list[Any] = (
                        self.registrations
                        if isinstance(handle, Registration)
                        else self.subscriptions
                    )
                    if handle not in kept:
                        kept.append(handle)
        except WampyError:
            raise
        except BaseException:
            self.take_back(handles)  # interrupted: nobody has these handles
            raise

    def _establish(
        self, handles: Sequence[Handle], deadline: float, ghost_s: float
    ) -> dict[Handle, WampyError]:
        """Send all requests, then wait for all answers; give what failed."""
        timeout_s = max(0.0, deadline - time.monotonic())
        ghost_until = time.monotonic() + ghost_s
        pause_s, longest_s = GHOST_PAUSE_S
        failures: dict[Handle, WampyError] = {}
        left = list(handles)
        while left:
            waiters = [SetUp(handle) for handle in left]
            failures = {}
            try:
                for waiter in waiters:
                    self.post(waiter.handle.request, waiter, deadline)
            except WampyError:
                for waiter in waiters:
                    self.leave(waiter)
                raise
            for waiter in waiters:
                if not waiter.is_done and not self.wait_for(waiter.link, waiter, deadline):
                    self.leave(waiter)
                    waiter.error = self.timeout_of(waiter.handle.uri, timeout_s)
                if waiter.error is not None:
                    failures[waiter.handle] = waiter.handle.error = waiter.error
            now = time.monotonic()
            left = [
                handle
                for handle, error in failures.items()
                if isinstance(error, ProcedureAlreadyExists) and now < min(ghost_until, deadline)
            ]
            if len(left) < len(failures):
                break
            if left and self._closing.wait(pause_s):
                break
            pause_s = min(pause_s * 1.5, longest_s)
        return failures

    def tear_down(self, handles: Sequence[Handle], timeout_s: float) -> None:
        """Unregister and unsubscribe many in one go; returns when the Router has confirmed all.

        While the Session is not joined, they only are not restored again.

        Raises:
            RequestTimeout: not all were confirmed in time.
        """
        deadline = time.monotonic() + timeout_s
        self.check_usable()
        waiters: list[tuple[Handle, Waiter]] = []
        with self._lock:
            for handle in handles:
                for kept in (self.registrations, self.subscriptions):
                    if handle in kept:
                        kept.remove(handle)  # type: ignore[arg-type]
        for handle in handles:
            waiter = Waiter()
            request = handle.prepare_undoing()
            if request is None:
                continue
            try:
                self.post(request, waiter, deadline, waits_for_join=False)
            except (ConnectionLost, SessionClosed):
                continue  # the connection is lost, and with it the registration
            waiters.append((handle, waiter))
        for handle, waiter in waiters:
            if not waiter.is_done and not self.wait_for(waiter.link, waiter, deadline):
                raise self.timeout_of(f"undoing {handle.uri}", timeout_s)
            handle.undone(waiter.link)

    def _undo(self, handle: Handle, timeout: float | None) -> None:
        self.tear_down([handle], self._timeout_s if timeout is None else seconds_of(timeout))

    def _restore_in_background(self) -> None:
        with self._lock:
            has_any = bool(self.registrations or self.subscriptions)
        with self._restore_lock:
            if has_any:
                self._is_back = True
                if self._is_restoring:
                    return
                self._is_restoring = True
        if not has_any:
            self._call_back(self._on_reconnect)
            return
        threading.Thread(target=self._restore, name="wampy restore", daemon=True).start()

    def _restore(self) -> None:
        """Register and subscribe again, until all is as it was or the connection is lost again."""
        while not self._closing.is_set():
            with self._restore_lock:
                with self._lock:
                    left: list[Handle] = [
                        handle
                        for handle in (*self.subscriptions, *self.registrations)
                        if handle.is_missing
                    ]
                if not left:
                    self._is_restoring = False
                    return
            failures: dict[Handle, WampyError] = {}
            try:
                failures = self._establish(left, time.monotonic() + self._timeout_s, GHOST_S)
            except WampyError as error:
                failures = dict.fromkeys(left, error)
            except BaseException:  # no thread dies silently, and this one is still needed
                logger.exception("registering again failed")
                failures = dict.fromkeys(left, WampyError("see the log"))
            self._complaints.tell(failures)
            for handle, failure in failures.items():
                if may_be_ghost(failure) and self._is_our_ghost(handle):
                    replace_ghost(handle)
            with self._restore_lock:
                is_back, self._is_back = self._is_back, False
            if is_back:
                self._call_back(self._on_reconnect)
            if failures:
                self._closing.wait(RESTORE_PAUSE_S)

    def _is_our_ghost(self, handle: Handle) -> bool:
        """Whether a former Session of ours holds a procedure, as far as the Router tells us."""
        from wampy.session import questions

        try:
            match = handle.options.get("match", "exact")
            registration = self._answered(questions.registration_lookup(handle.uri, match))
            if registration is None:
                return False
            callees = self._answered(questions.list_callees(registration))
        except WampyError:
            return False  # it may not be asked: then nobody is replaced
        return is_ghost(callees, self._former_ids)

    def _answered(self, question: Question[T]) -> T:
        """Call a procedure of the Router's own. Raises what a call raises."""
        procedure, args, kwargs = question.procedure, question.args, question.kwargs
        message = self.request(
            lambda protocol: protocol.call(procedure, args, kwargs),
            Waiter(),
            self._timeout_s,
            procedure,
        )
        return question.answer(value_of(message))
