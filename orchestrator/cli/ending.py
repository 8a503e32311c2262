"""Waiting until nothing of a stack is left: not only asked for, but seen."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def watched_end(snapshot: dict[str, Any]) -> Iterator[StackEnd]:
    """Hold on to the outermost process of a running stack, to see its end.

    Args:
        snapshot: of the running stack, with the supervisor's ``pid``.
    """
    fds: list[int] = []
    for pid in (snapshot["pid"], _parent_of(snapshot["pid"])):
        with contextlib.suppress(OSError):
            if pid > 1:
                fds.append(os.pidfd_open(pid))
    try:
        yield StackEnd(fds)
    finally:
        for fd in fds:
            os.close(fd)


class StackEnd:
    """Supervisor and guard of one stack, by descriptors that no reused pid can confuse."""

    def __init__(self, fds: list[int]) -> None:
        self._fds = fds

    def kill(self) -> None:
        """End the supervisor as it is; its guard then ends all that is left, and itself."""
        with contextlib.suppress(OSError):
            for fd in self._fds[:1]:
                signal.pidfd_send_signal(fd, signal.SIGKILL)

    def wait(self, timeout_s: float) -> bool:
        """Wait until both have ended; False when that takes longer than ``timeout_s`` each."""
        return all(select.select([fd], [], [], timeout_s)[0] for fd in self._fds)


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything; what follows it is plain.
            parent = int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return parent if _is_guard(parent) else 0


def _is_guard(pid: int) -> bool:
    """Tell whether a parent is the stack's guard, and not whoever started a bare supervisor."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"orchestrator.guard" in file.read()
    except OSError:
        return False
