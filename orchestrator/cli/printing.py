"""The only thread of a foreground that writes to the terminal.

A terminal that is stopped (Ctrl-S) or gone blocks or refuses a write. That may hold up this thread,
and nothing else: what is not written yet waits in the log files, and messages in a short queue.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

#: Messages of the foreground that wait while the terminal takes nothing.
_QUEUE = 1000
#: Seconds until somebody who cannot see a status line redrawn is told the status; then each time.
_PATIENCE_S = 2.0
_AGAIN_S = 5.0
#: Begins a line anew: to its start, and all of it erased.
_ERASE = b"\r\x1b[K"


class Printer:
    """Writes messages and log lines to a descriptor, from a thread of its own.

    ``say`` and ``finish`` may be called from any thread; ``say`` never blocks.

    Args:
        fd: where to write; may be a terminal that takes nothing, or closed.
        poll: gives the log lines that have come since; is told whether it is the last time.
        interval_s: between two looks for lines.
        status: gives what goes on just now, or nothing. Where ``redraws``, it is the last line of
            the terminal, below all others; else it is told as a line when it lasts.
        redraws: whether the descriptor is a terminal that understands control codes.
    """

    def __init__(
        self,
        fd: int,
        poll: Callable[[bool], Iterable[bytes]],
        interval_s: float = 0.05,
        *,
        status: Callable[[], str] = lambda: "",
        redraws: bool = False,
    ) -> None:
        self._fd = fd
        self._poll = poll
        self._interval_s = interval_s
        self._status = status
        self._redraws = redraws
        #: What stands in the last line of the terminal.
        self._drawn = b""
        self._due_at = time.monotonic() + _PATIENCE_S
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
                self._write_line(line)
            while self._messages:
                self._write_line(self._messages.popleft())
            if is_last:
                self._draw(b"")
                return
            self._show_status()
            self._wake.wait(self._interval_s)

    def _lines(self, is_last: bool) -> Iterable[bytes]:
        # The logs are a courtesy here: whatever is wrong with them, the stack goes on.
        with contextlib.suppress(OSError, ValueError):
            yield from self._poll(is_last)

    def _write_line(self, line: bytes) -> None:
        self._draw(b"")
        self._write(line)

    def _show_status(self) -> None:
        text = self._status().encode(errors="replace")
        if self._redraws:
            self._draw(text[: self._columns() - 1])
        elif not text:
            self._due_at = time.monotonic() + _PATIENCE_S
        elif time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + _AGAIN_S
            self._write(text + b"\n")

    def _draw(self, text: bytes) -> None:
        """Have this as the terminal's last line, in place of what stands there."""
        if text != self._drawn:
            self._write(_ERASE + text)
            self._drawn = text

    def _columns(self) -> int:
        try:
            # A terminal that does not know its width says 0.
            return os.get_terminal_size(self._fd).columns or 80
        except OSError:
            return 80

    def _write(self, line: bytes) -> None:
        try:
            while line and self._is_writable:
                line = line[os.write(self._fd, line) :]
        except OSError:
            # Closed: nobody looks any more.
            self._is_writable = False
