"""What waits for a reply in asyncio: a coroutine, a future, an iterator of progress."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any

from wampy.aio.waiting import is_done_in_time
from wampy.errors import WampyError, as_declared
from wampy.options import CancelMode, check_cancel_mode
from wampy.session.futures import Waiter, value_of
from wampy.session.handles import GivenUp, Handle

if TYPE_CHECKING:
    from wampy.aio.engine import AsyncEngine


class AsyncWaiter(Waiter):
    """A coroutine that waits for one reply."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        super().__init__()
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Let the coroutine go on."""
        if not self.future.done():
            self.future.set_result(None)


class AsyncProgressWaiter(AsyncWaiter):
    """A coroutine that takes progressive results as they come."""

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

    def rearm(self) -> None:
        """Wait anew, where there is nothing to take."""
        if self.future.done() and not self.is_ready:
            self.future = asyncio.get_running_loop().create_future()


class AsyncSetUp(AsyncWaiter):
    """Waits for the confirmation of a Handle, and binds it the moment it comes."""

    __slots__ = ("handle",)

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Bind, then wake the coroutine."""
        if error is None and self.link is not None:
            self.handle.bind_locked(self.link, message)
        return super().settle(message, error)

    def heir(self) -> Waiter:
        """Give what undoes it."""
        return GivenUp(self.handle)


class AsyncCallFuture:
    """The result of a call made by ``AsyncSession.call_async``; ``await`` it, any number of times.

    Raises (from ``await`` and ``result``):
        what ``AsyncSession.call`` raises; CancelledError when it was cancelled.
    """

    def __init__(self, engine: AsyncEngine, waiter: AsyncWaiter, task: asyncio.Task[Any]) -> None:
        self._engine = engine
        self._waiter = waiter
        self._task = task
        #: How the Dealer is told when the task is cancelled.
        self.mode: CancelMode = "killnowait"

    def cancel(self, mode: CancelMode = "killnowait") -> bool:
        """Tell the Dealer to CANCEL the call; False when the result is there already.

        As ``CallFuture.cancel``: with ``kill`` it ends when the Callee has. One that was not sent
        yet never is, and is cancelled at once.

        Raises:
            LocalProtocolError: the mode is none of the three.
        """
        self._engine.check_usable()
        check_cancel_mode(mode)
        if self._task.done():
            return False
        link = self._waiter.link
        if link is not None:
            if mode == "kill":
                return self._engine.ask_to_cancel(link, self._waiter.request_id)
            self._engine.give_up(link, self._waiter.request_id, mode)
        return self._task.cancel()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._task.cancelled()

    def done(self) -> bool:
        """Whether the result, or an error, is there."""
        return self._task.done()

    def result(self) -> Any:
        """Give the result, which has to be there.

        Raises:
            asyncio.InvalidStateError: it is not.
        """
        return self._task.result()

    def exception(self) -> BaseException | None:
        """Give the error, or None; as ``result``."""
        return self._task.exception()

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Have a function called with this when it is done."""
        self._task.add_done_callback(lambda _: callback(self))

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the result; who is cancelled meanwhile cancels the call."""
        return self._task.__await__()


class AsyncProgressiveResults(AsyncIterator[Any]):
    """The parts of a progressive call, then its final result where that carries a value.

    ``await aclose()`` cancels what is left; so does the end of a task within the loop over it.

    Raises (from ``anext``):
        as ``AsyncSession.call``; the timeout counts from part to part.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        waiter: AsyncProgressWaiter,
        send: Callable[[], Any],
        procedure: str,
        timeout_s: float,
    ) -> None:
        self._engine = engine
        self._waiter = waiter
        self._send: Callable[[], Any] | None = send
        self._procedure = procedure
        self._timeout_s = timeout_s
        self._is_over = False

    async def __anext__(self) -> Any:
        """Wait for the next part and give its value; the first time, make the call."""
        if self._is_over:
            raise StopAsyncIteration
        waiter = self._waiter
        try:
            if self._send is not None:
                send, self._send = self._send, None
                await send()
            waiter.rearm()
            deadline = time.monotonic() + self._timeout_s
            is_there = waiter.is_ready or await is_done_in_time(waiter.future, deadline)
        except BaseException:
            self.close()
            raise
        if not is_there:
            self.close()
            raise self._engine.timeout_of(self._procedure, self._timeout_s)
        if waiter.parts:
            return value_of(waiter.parts.popleft())
        self._is_over = True
        if waiter.error is not None:
            raise as_declared(waiter.take_error())
        value = value_of(waiter.message)
        if value is None:
            raise StopAsyncIteration
        return value

    def close(self, mode: CancelMode = "killnowait") -> None:
        """Cancel what is left. Idempotent; as ``ProgressiveResults.close``."""
        check_cancel_mode(mode)
        link = self._waiter.link
        if self._is_over or self._engine.is_unusable:
            return
        if mode == "kill" and link is not None:
            self._engine.ask_to_cancel(link, self._waiter.request_id)
            return
        self._is_over = True
        if link is not None:
            self._engine.give_up(link, self._waiter.request_id, mode)

    def __del__(self) -> None:
        """Cancel what nobody will take, in a moment: this may run in any thread, at any time."""
        link = self._waiter.link
        if not self._is_over and link is not None:
            self._is_over = True
            self._engine.give_up_later(link, self._waiter.request_id)

    async def aclose(self) -> None:
        """Cancel what is left, as ``contextlib.aclosing`` wants it."""
        self.close()
