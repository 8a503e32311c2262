"""Waits with an end.

Not ``asyncio.wait_for``: it makes a task of a coroutine, says of what is there already that it came
too late where no time is left and, before Python 3.12, forgets that its caller was cancelled when
the answer comes in that moment.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any


async def is_done_in_time(future: asyncio.Future[Any], deadline: float) -> bool:
    """Wait for a future, which is cancelled at the deadline; whether it was done before.

    Args:
        future: without an error. What is done is in time, however late it is.
        deadline: monotonic seconds.
    """
    if future.done():
        return True
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            await future
    except TimeoutError:
        return False
    return True


async def is_set_in_time(event: asyncio.Event, deadline: float | None) -> bool:
    """Wait for an event until the deadline; whether it was set. None: as long as it takes."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
            await event.wait()
    except TimeoutError:
        return False
    return True
