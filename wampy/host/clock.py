"""Timers of a Peer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Lane
from wampy.session.handles import is_async
from wampy.session.jobs import CallbackJob

if TYPE_CHECKING:
    from wampy.session import Session


class Clock:
    """Runs ``@every`` methods, in the handlers' threads; one thread of its own watches the time."""

    def __init__(
        self, session: Session, timers: list[tuple[float, str, Callable[[], Any]]]
    ) -> None:
        self._session = session
        self._timers = [
            (interval_s, method, Lane(f"@every {name}", 1, is_async=is_async(method)))
            for interval_s, name, method in timers
        ]
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin; the first run comes after one interval. No thread where there is no timer."""
        if self._timers:
            threading.Thread(target=self._run, name="wampy timers", daemon=True).start()

    def stop(self) -> None:
        """Start nothing any more. Idempotent; a run that has begun ends by itself."""
        self._stopped.set()

    def _run(self) -> None:
        now = time.monotonic()
        due = [now + interval_s for interval_s, _, _ in self._timers]
        dispatcher = self._session.dispatcher
        while not self._stopped.wait(max(0.0, min(due) - time.monotonic())):
            now = time.monotonic()
            for number, (interval_s, method, lane) in enumerate(self._timers):
                if due[number] > now:
                    continue
                # Not a queue of missed runs after a stop of the machine, nor a drift.
                missed = (now - due[number]) // interval_s
                due[number] += interval_s * (missed + 1)
                if not lane.active:
                    dispatcher.submit(CallbackJob(self._session, lane, method))
            dispatcher.kick()
