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

#: Messages of the foreground that wait while the terminal takes nothing.
_QUEUE = 1000


class Printer:
    """Writes messages and log lines to a descriptor, from a thread of its own.

    ``say`` and ``finish`` may be called from any thread; ``say`` never blocks.

    Args:
        fd: where to write; may be a terminal that takes nothing, or closed.
        poll: gives the log lines that have come since; is told whether it is the last time.
        interval_s: between two looks for lines.
    """

    def __init__(
        self, fd: int, poll: Callable[[bool], Iterable[bytes]], interval_s: float = 0.05
    ) -> None:
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
            for line in self._lines(is_last):
                self._write(line)
            while self._messages:
                self._write(self._messages.popleft())
            if is_last:
                return
            self._wake.wait(self._interval_s)

    def _lines(self, is_last: bool) -> Iterable[bytes]:
        # The logs are a courtesy here: whatever is wrong with them, the stack goes on.
        with contextlib.suppress(OSError, ValueError):
            yield from self._poll(is_last)

    def _write(self, line: bytes) -> None:
        try:
            while line and self._is_writable:
                line = line[os.write(self._fd, line) :]
        except OSError:
            # Closed: nobody looks any more.
            self._is_writable = False
