"""The parts of a progressive call, as its handler takes them.

Spec: Advanced Profile, "Progressive Call Invocations".
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from wampy.errors import WampyError
from wampy.session.futures import Waiter, value_of

if TYPE_CHECKING:
    import asyncio

    from wampy.session.jobs import InvocationJob


class PartsWaiter(Waiter):
    """A handler that waits for the next part."""

    __slots__ = ("parts", "task_gate")

    def __init__(self) -> None:
        super().__init__()
        self.parts: deque[Any] = deque()
        #: Where a handler that is a task waits.
        self.task_gate: asyncio.Future[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a part to take, or the end."""
        return self.is_done or bool(self.parts)

    def add_locked(self, message: Any) -> None:
        """Take an INVOCATION. Caller holds the lock."""
        self.parts.append(message)
        if (message.details or {}).get("progress") is not True:
            self.is_done = True
        self.wake()

    def wake(self) -> None:
        """Wake the thread, or the task. Caller holds the lock."""
        super().wake()
        gate, self.task_gate = self.task_gate, None
        if gate is not None:
            gate.get_loop().call_soon_threadsafe(_open, gate)


def _open(gate: asyncio.Future[None]) -> None:
    if not gate.done():
        gate.set_result(None)


class CallParts(Iterator[Any], AsyncIterator[Any]):
    """What a ``progressive`` handler gets: iterates over the call's parts, as they come.

    Each is what the caller sent: None, one value, or a CallResult for more. ``for part in parts``
    in a handler, ``async for`` in an ``async def`` one.

    Raises (from ``next``):
        RequestTimeout: the next part did not come within the Session's timeout.
        Interrupted: the caller canceled.
        ConnectionLost: there is no caller any more.
    """

    def __init__(self, job: InvocationJob) -> None:
        self._job = job
        self.waiter = PartsWaiter()

    def __iter__(self) -> CallParts:
        """Give itself."""
        return self

    def __next__(self) -> Any:
        """Wait for the next part and give its value."""
        job, waiter = self._job, self.waiter
        if not waiter.is_ready:
            timeout_s = job.engine.timeout_s
            if not job.engine.wait_for(job.link, waiter, time.monotonic() + timeout_s):
                raise job.engine.timeout_of(f"{job.registration.uri}: the next part", timeout_s)
        if waiter.parts:
            return value_of(waiter.parts.popleft())
        if waiter.error is not None:
            raise waiter.error
        raise StopIteration

    def __aiter__(self) -> CallParts:
        """Give itself."""
        return self

    async def __anext__(self) -> Any:
        """Wait for the next part and give its value."""
        import asyncio

        job, waiter = self._job, self.waiter
        if not waiter.is_ready:
            gate = asyncio.get_running_loop().create_future()
            with job.engine._lock:
                waiter.task_gate = gate
                if waiter.parts or waiter.is_done:
                    waiter.wake()  # it came meanwhile
            timeout_s = job.engine.timeout_s
            try:
                await asyncio.wait_for(gate, timeout_s)
            except TimeoutError:
                raise job.engine.timeout_of(
                    f"{job.registration.uri}: the next part", timeout_s
                ) from None
        if waiter.parts:
            return value_of(waiter.parts.popleft())
        if waiter.error is not None:
            raise waiter.error
        raise StopAsyncIteration

    def lose_locked(self, error: WampyError) -> None:
        """Take note that no more parts come. Caller holds the lock."""
        if not self.waiter.is_done:
            self.waiter.settle(None, error)
