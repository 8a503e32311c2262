"""The only thread of a foreground that writes to the terminal.

A terminal that is stopped (Ctrl-S) or gone blocks or refuses a write. That may hold up this thread,
and nothing else: what is not written yet waits in the log files, and messages in a short queue.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

#: Messages of the foreground that wait while the terminal takes nothing.
_QUEUE = 1000


class Source(Protocol):
    """Where log lines come from."""

    def poll(self) -> Iterable[bytes]:
        """Give the lines that have come since, formatted, each with its end; never blocks."""


class Printer:
    """Writes messages and log lines to a descriptor, from a thread of its own.

    ``say`` and ``finish`` may be called from any thread, and do not block beyond what they say.
    """

    def __init__(self, fd: int, poll: Callable[[], Iterable[bytes]], interval_s: float = 0.05):
        self._fd = fd
        self._poll = poll
        self._interval_s = interval_s
        self._messages: deque[bytes] = deque(maxlen=_QUEUE)
        self._wake = threading.Event()
        self._is_finishing = False
        self._is_writable = True
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)

    def start(self) -> None:
        """Begin to print."""
        self._thread.start()

    def say(self, text: str) -> None:
        """Print a line, when the terminal takes it."""
        self._messages.append(text.encode(errors="replace") + b"\n")
        self._wake.set()

    def finish(self, timeout_s: float) -> None:
        """Print what has come so far and end; gives up after ``timeout_s``."""
        self._is_finishing = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._is_writable:
            is_last = self._is_finishing
            self._wake.clear()
            for line in self._lines():
                self._write(line)
            while self._messages:
                self._write(self._messages.popleft())
            if is_last:
                return
            self._wake.wait(self._interval_s)

    def _lines(self) -> Iterable[bytes]:
        # The logs are a courtesy here: whatever is wrong with them, the stack goes on.
        with contextlib.suppress(OSError, ValueError):
            yield from self._poll()

    def _write(self, line: bytes) -> None:
        try:
            while line and self._is_writable:
                line = line[os.write(self._fd, line) :]
        except OSError:
            # Closed: nobody looks any more.
            self._is_writable = False
