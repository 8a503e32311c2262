"""``wampy up`` as the main process of a service: what is told to the service manager, and when.

Rules:

- READY=1 once, when all is ready; STOPPING=1 once; STATUS when it differs, once a second at most;
- WATCHDOG=1 at half of the watchdog's time, and only after the supervisor has answered;
- nothing of this is waited for but at the end, for a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.notify import status_line

if TYPE_CHECKING:
    from orchestrator.notify import Notifier

#: Seconds between two statuses.
_STATUS_S = 1.0


class Service:
    """Tells one service manager; every method returns at once, from any thread.

    Args:
        notifier: whom.
        is_answering: asks the supervisor; may block for the seconds given, and no longer.
    """

    def __init__(self, notifier: Notifier, is_answering: Callable[[float], bool]) -> None:
        self._notifier = notifier
        self._is_answering = is_answering
        self._condition = threading.Condition()
        self._urgent: list[str] = []
        self._told: set[str] = set()
        self._status = ""
        self._is_over = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="service", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._teller.start()
        if self._notifier.watchdog_s is not None:
            threading.Thread(target=self._beat, name="watchdog", daemon=True).start()

    def status(self, text: str) -> None:
        """Say what goes on."""
        with self._condition:
            self._status = text
            self._condition.notify()

    def main_process(self, pid: int) -> None:
        """Say that another process is the service's main one, before this one ends."""
        self._say(f"MAINPID={pid}")

    def ready(self) -> None:
        """Say that all is ready; once is enough."""
        self._say("READY=1")

    def stopping(self) -> None:
        """Say that the stack is being stopped."""
        self._say("STOPPING=1")

    def finish(self, timeout_s: float) -> None:
        """Tell what has not been told yet, for so many seconds at most, and end."""
        with self._condition:
            self._is_over.set()
            self._condition.notify()
        self._teller.join(timeout_s)

    def _say(self, line: str) -> None:
        with self._condition:
            if line not in self._told:
                self._told.add(line)
                self._urgent.append(line)
                self._condition.notify()

    def _tell(self) -> None:
        shown, shown_at = "", float("-inf")
        while True:
            with self._condition:
                is_over = self._is_over.is_set()
                due_in_s = max(0.0, shown_at + _STATUS_S - time.monotonic())
                has_news = self._status != shown
                if not (self._urgent or is_over or (has_news and due_in_s == 0.0)):
                    self._condition.wait(due_in_s if has_news else None)
                    continue
                lines, self._urgent = self._urgent, []
                if has_news:
                    shown, shown_at = self._status, time.monotonic()
                    lines.append(status_line(shown))
            if lines:
                self._notifier.send(*lines)
            if is_over:
                return

    def _beat(self) -> None:
        assert self._notifier.watchdog_s is not None
        interval_s = self._notifier.watchdog_s / 2
        due_at = time.monotonic()
        while not self._is_over.is_set():
            if self._is_answering(interval_s / 2):
                self._notifier.send("WATCHDOG=1")
            due_at = max(due_at + interval_s, time.monotonic())
            self._is_over.wait(due_at - time.monotonic())
