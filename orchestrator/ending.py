"""Waiting until nothing of a stack is left: not only asked for, but seen."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orchestrator.errors import NoSuchStack, OrchestratorError

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient

#: Seconds that the orchestrator's own processes get once the stack is down.
_LAST_PROCESSES_S = 10.0


def end_stack(
    client: ControlClient, timeout_s: float | None, *, on_late: Callable[[], None] | None = None
) -> None:
    """Stop a stack in reverse order and wait until its own processes have ended, too.

    Args:
        client: of the stack.
        timeout_s: after which what is left is killed; None: it stops when it stops.
        on_late: called before that.

    Raises:
        NoSuchStack: none is running.
        OrchestratorError: its processes have not ended 10 s after that.
    """
    pid = client.supervisor_pid()
    with watched_end(pid) as end:
        try:
            client.down(timeout_s=timeout_s)
        except TimeoutError:
            if on_late is not None:
                on_late()
            # A supervisor that does not do even that is ended from outside.
            with contextlib.suppress(TimeoutError, NoSuchStack):
                client.kill(timeout_s=_LAST_PROCESSES_S)
            if not end.wait(0.5):
                end.kill()
        if not end.wait(_LAST_PROCESSES_S):
            raise OrchestratorError(f"the supervisor (pid {pid}) has not ended")


@contextlib.contextmanager
def watched_end(supervisor_pid: int) -> Iterator[StackEnd]:
    """Hold on to the outermost process of a running stack, to see its end.

    Args:
        supervisor_pid: as this process has it; 0: it cannot be seen from here.
    """
    fds: list[int] = []
    for pid in (supervisor_pid, _parent_of(supervisor_pid)):
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


def guard_of(supervisor_pid: int) -> int | None:
    """Give the guard above a supervisor, or None."""
    return _parent_of(supervisor_pid) or None if supervisor_pid else None


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
