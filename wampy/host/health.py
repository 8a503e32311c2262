"""Health checks of a Peer: run in threads of their own, their last answer kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

logger = logging.getLogger(__name__)

#: A check that takes longer makes the Peer unready, in seconds.
CHECK_TIMEOUT_S = 5.0
#: How long ``reason`` waits for a check that was just begun: most are done by then.
GLANCE_S = 0.02


class Health:
    """The health checks of one Peer. Thread-safe.

    Args:
        checks: names and methods.
    """

    def __init__(self, checks: list[tuple[str, Callable[[], Any]]]) -> None:
        self._checks = checks
        self._lock = threading.Lock()  # guards the fields below; a leaf
        self._reason: str | None = None
        self._begun_at: float | None = None
        self._done = threading.Event()
        self._is_stopped = False

    def start(self) -> None:
        """Run the checks for the first time; waits for them, CHECK_TIMEOUT_S at most."""
        if self._checks:
            self._begin()
            self._done.wait(CHECK_TIMEOUT_S)

    def stop(self) -> None:
        """Run no more checks."""
        self._is_stopped = True

    def reason(self) -> str | None:
        """Say why it is not ready, or None; begins the checks anew. Blocks GLANCE_S at most."""
        if not self._checks:
            return None
        if not self._is_stopped:
            self._begin()
            self._done.wait(GLANCE_S)
        with self._lock:
            if self._begun_at is not None:
                running_s = time.monotonic() - self._begun_at
                if running_s > CHECK_TIMEOUT_S:
                    return f"health check does not return since {running_s:.1f} s"
            return self._reason

    def _begin(self) -> None:
        with self._lock:
            if self._begun_at is not None:
                return
            self._begun_at = time.monotonic()
            self._done.clear()
        threading.Thread(target=self._run, name="wampy health check", daemon=True).start()

    def _run(self) -> None:
        reason: str | None = None
        for name, check in self._checks:
            try:
                result = check()
                if type(result) is CoroutineType:
                    result = _wait_for(result)
            except BaseException as error:  # whatever a check raises is its answer
                reason = f"{name}: {type(error).__name__}: {error}"
            else:
                if result is False:
                    reason = f"{name}: said False"
            if reason is not None:
                break
        with self._lock:
            if reason != self._reason:
                logger.info("health: %s", reason or "well again")
            self._reason = reason
            self._begun_at = None
            self._done.set()


def _wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
    # Imported here: few checks are coroutines, and asyncio is not small.
    import asyncio

    return asyncio.run(asyncio.wait_for(coroutine, CHECK_TIMEOUT_S))
