"""What an AsyncSession offers and listens to: set up, torn down, restored after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from wampy.aio.engine import AsyncEngine, logger
from wampy.aio.futures import AsyncSetUp, AsyncWaiter
from wampy.durations import seconds_of
from wampy.errors import (
    ConnectionLost,
    ProcedureAlreadyExists,
    RequestError,
    SessionClosed,
    WampyError,
)
from wampy.session.establishing import GHOST_PAUSE_S, GHOST_S, RESTORE_PAUSE_S
from wampy.session.futures import value_of
from wampy.session.handles import Handle, Registration, check_bound_locked
from wampy.session.restoring import Complaints, is_ghost, may_be_ghost, replace_ghost

if TYPE_CHECKING:
    from wampy.session.questions import Question

T = TypeVar("T")


class AsyncEstablishing(AsyncEngine):
    """Registers and subscribes, and does so again after each reconnect."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        #: Whether on_reconnect is to be called after the next round.
        self._is_back = False
        self._complaints = Complaints()

    async def set_up(self, handles: Sequence[Handle], timeout_s: float) -> None:
        """Register and subscribe many in one go; they are restored after each reconnect.

        Raises:
            the first error; those that came about stay.
        """
        try:
            failures = await self._establish(handles, time.monotonic() + timeout_s, 0.0)
        except WampyError:
            raise
        except BaseException:
            self.take_back(handles)  # cancelled: nobody has these handles
            raise
        if failures:
            raise next(iter(failures.values()))
        check_bound_locked(handles, self._link)
        for handle in handles:
            kept: list[Any] = (
                self.registrations if isinstance(handle, Registration) else self.subscriptions
            )
            kept.append(handle)

    async def _establish(
        self, handles: Sequence[Handle], deadline: float, ghost_s: float
    ) -> dict[Handle, WampyError]:
        """Send all requests, then wait for all answers; give what failed.

        A procedure that exists already is asked for again for ``ghost_s``: a former Session that
        the Router has not missed yet may hold it.
        """
        ghost_until = time.monotonic() + ghost_s
        pause_s, longest_s = GHOST_PAUSE_S
        failures: dict[Handle, WampyError] = {}
        left = list(handles)
        while left:
            waiters = [AsyncSetUp(handle) for handle in left]
            try:
                for waiter in waiters:
                    await self.post(waiter.handle.request, waiter, deadline)
            except WampyError:
                for waiter in waiters:
                    if waiter.link is not None:
                        self.give_up(waiter.link, waiter.request_id)
                raise
            failures = {}
            for waiter in waiters:
                uri, timeout_s = waiter.handle.uri, max(0.0, deadline - time.monotonic())
                try:
                    await self.answer_to(waiter, deadline, timeout_s, uri)
                except WampyError as error:
                    failures[waiter.handle] = waiter.handle.error = error
            left = [
                handle
                for handle, error in failures.items()
                if isinstance(error, ProcedureAlreadyExists)
                and time.monotonic() < min(ghost_until, deadline)
            ]
            if len(left) < len(failures) or not left:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, longest_s)
        return failures

    async def tear_down(self, handles: Sequence[Handle], timeout_s: float) -> None:
        """Unregister and unsubscribe many; returns when the Router has confirmed all.

        While the Session is not joined, they only are not restored again.

        Raises:
            RequestTimeout: not all were confirmed in time.
        """
        self.check_usable()
        deadline = time.monotonic() + timeout_s
        waiters: list[tuple[Handle, AsyncWaiter]] = []
        for handle in handles:
            for kept in (self.registrations, self.subscriptions):
                if handle in kept:
                    kept.remove(handle)  # type: ignore[arg-type]
            request = handle.prepare_undoing()
            if request is None:
                continue
            waiter = AsyncWaiter()
            try:
                await self.post(request, waiter, deadline, waits_for_join=False)
            except (ConnectionLost, SessionClosed):
                continue  # the connection is lost, and with it the registration
            waiters.append((handle, waiter))
        for handle, waiter in waiters:
            with contextlib.suppress(RequestError, ConnectionLost, SessionClosed):
                await self.answer_to(waiter, deadline, timeout_s, f"undoing {handle.uri}")
            handle.undone(waiter.link)

    async def undo(self, handle: Handle, timeout: float | None) -> None:
        """Undo one Handle."""
        await self.tear_down([handle], self._timeout_s if timeout is None else seconds_of(timeout))

    def _restore_in_background(self) -> None:
        """Register and subscribe again. One task does so, however often the connection is lost."""
        self._is_back = True
        if self._restorer is None or self._restorer.done():
            self._restorer = asyncio.get_running_loop().create_task(self._restore())

    async def _restore(self) -> None:
        """Register and subscribe again, until all is as it was."""
        while not self._is_closing:
            left: list[Handle] = [
                handle for handle in (*self.subscriptions, *self.registrations) if handle.is_missing
            ]
            failures: dict[Handle, WampyError] = {}
            try:
                if left:
                    failures = await self._establish(
                        left, time.monotonic() + self._timeout_s, GHOST_S
                    )
            except WampyError as error:
                failures = dict.fromkeys(left, error)
            except Exception:  # no task dies silently, and this one is still needed
                logger.exception("registering again failed")
                failures = dict.fromkeys(left, WampyError("see the log"))
            self._complaints.tell(failures)
            for handle, failure in failures.items():
                if may_be_ghost(failure) and await self._is_our_ghost(handle):
                    replace_ghost(handle)
            is_back, self._is_back = self._is_back, False
            if is_back:
                self._hooks.call(self._on_reconnect)
            if failures:
                await asyncio.sleep(RESTORE_PAUSE_S)
            elif not left:
                return

    async def _is_our_ghost(self, handle: Handle) -> bool:
        """Whether a former Session of ours holds a procedure, as far as the Router tells us."""
        from wampy.session import questions

        try:
            match = handle.options.get("match", "exact")
            registration = await self._answered(questions.registration_lookup(handle.uri, match))
            if registration is None:
                return False
            callees = await self._answered(questions.list_callees(registration))
        except WampyError:
            return False  # it may not be asked: then nobody is replaced
        return is_ghost(callees, self._former_ids)

    async def _answered(self, question: Question[T]) -> T:
        """Call a procedure of the Router's own. Raises what a call raises."""
        procedure, args, kwargs = question.procedure, question.args, question.kwargs
        message = await self.request(
            lambda protocol: protocol.call(procedure, args, kwargs),
            AsyncWaiter(),
            self._timeout_s,
            procedure,
        )
        return question.answer(value_of(message))
