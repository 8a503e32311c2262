"""The hooks of an AsyncSession: in order, one after the other, whether they wait or not."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("wampy.wamp.session")


class Hooks:
    """Calls functions at once, and awaits coroutines in a task; errors are logged.

    Attributes:
        task: awaits coroutines, or did so last; None before the first.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self._waiting: deque[Callable[[], Any]] = deque()
        self._is_calling = False

    def call(self, hook: Callable[[], Any] | None) -> None:
        """Call one, after those before it."""
        if hook is None:
            return
        self._waiting.append(hook)
        if self._is_calling:
            return
        self._is_calling = True
        coroutine = self._call_on()
        if coroutine is not None:
            self.task = asyncio.get_running_loop().create_task(self._run(coroutine))

    async def wait(self, timeout_s: float) -> None:
        """Wait until all have ended, ``timeout_s`` at most; a hook that asks does not wait."""
        if self.task is not None and self.task is not asyncio.current_task():
            await asyncio.wait([self.task], timeout=timeout_s)

    def _call_on(self) -> Any:
        """Call them until none is left, or one is to be awaited: give that."""
        while self._waiting:
            hook = self._waiting.popleft()
            try:
                result = hook()
            except Exception:  # user code; the Session goes on all the same
                logger.exception("%r failed", hook)
                continue
            if asyncio.iscoroutine(result):
                return _guarded(hook, result)
        self._is_calling = False
        return None

    async def _run(self, coroutine: Any) -> None:
        while coroutine is not None:
            await coroutine
            coroutine = self._call_on()


async def _guarded(hook: Any, coroutine: Any) -> None:
    try:
        await coroutine
    except Exception:  # as above
        logger.exception("%r failed", hook)
