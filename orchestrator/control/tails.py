"""Log files as supervisor's clients read them: by byte offsets, and as an endless stream.

What they get is the file as it stands, times and all. Everything is bounded, since it is read in
the supervisor's own thread.
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.control.faults import FaultCode, RpcFault
from orchestrator.control.http import Exchange
from orchestrator.logs.files import FileFollower
from orchestrator.loop import Loop, Timer

#: Bytes of a log that one answer has at most.
MOST_BYTES = 1 << 20
#: Seconds between two looks at a followed file.
POLL_S = 0.1
#: Bytes from before its beginning that a stream begins with, as supervisor does it.
_FIRST_BYTES = 1024
#: Bytes that may wait for a client; it gets more when it has taken them.
_WAITING_BYTES = 256 * 1024


def read_bytes(path: Path, offset: int, length: int) -> bytes:
    """Give a part of a file, as supervisor counts.

    Args:
        path: of the file.
        offset: its first byte; negative: so many bytes before the end, with ``length`` 0.
        length: bytes; 0: to the end. Never more than MOST_BYTES.

    Raises:
        RpcFault: BAD_ARGUMENTS, NO_FILE or FAILED.
    """
    if length < 0 or (offset < 0 and length):
        raise RpcFault(FaultCode.BAD_ARGUMENTS)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - min(-offset, MOST_BYTES)) if offset < 0 else offset
            file.seek(min(start, size))
            return file.read(min(length or MOST_BYTES, MOST_BYTES))
    except FileNotFoundError:
        raise RpcFault(FaultCode.NO_FILE, path.name) from None
    except OSError as error:
        raise RpcFault(FaultCode.FAILED, error.strerror or "") from error


def tail_bytes(path: Path, offset: int, length: int) -> tuple[bytes, int, bool]:
    """Give up to ``length`` of the last bytes, the file's size, and whether some were left out.

    ``offset`` is what the call before gave as the size. A file that is not there is empty.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            # Rotated since: everything in it is new.
            new = size - offset if 0 <= offset <= size else size
            wanted = max(0, min(length, new, MOST_BYTES))
            file.seek(size - wanted)
            return file.read(wanted), size, new > max(0, length)
    except OSError:
        return b"", 0, False


class TailStream:
    """Sends a file's last lines, then every line that comes, until the client leaves."""

    def __init__(self, loop: Loop, exchange: Exchange, path: Path) -> None:
        self._loop = loop
        self._exchange = exchange
        self._follower = FileFollower(path, _FIRST_BYTES)
        self._timer: Timer | None = None
        exchange.begin_stream("text/plain; charset=utf-8")
        exchange.on_gone = self._gone
        self._look()

    def _look(self) -> None:
        if self._exchange.is_over:
            self._gone()
            return
        if self._exchange.waiting_bytes < _WAITING_BYTES:
            self._exchange.send_part(self._follower.read(_WAITING_BYTES))
        self._timer = self._loop.call_later(POLL_S, self._look)

    def _gone(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._follower.close()
