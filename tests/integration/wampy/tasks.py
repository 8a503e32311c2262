"""Coroutines in tests: bounded, and nothing left of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; nothing of it may take for ever."""

    async def bounded() -> None:
        await asyncio.wait_for(test, 60.0)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], (
            "tasks are left"
        )

    asyncio.run(bounded(), debug=True)


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "in vain"
        await asyncio.sleep(0.01)
