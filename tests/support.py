"""What tests of every tier share: waiting for conditions, with a deadline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Multiplies every deadline; a slow machine sets it higher.
TIME_SCALE = float(os.environ.get("WAMPY_TEST_TIME_SCALE", "1"))


def wait_until(condition: Callable[[], T], timeout_s: float = 5.0, message: str = "") -> T:
    """Return the first true value of ``condition()``; fail after ``timeout_s`` (scaled)."""
    deadline = time.monotonic() + timeout_s * TIME_SCALE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(message or f"not true within {timeout_s} s: {condition}")
        time.sleep(0.005)
