"""Processes as the kernel sees them: signals, exits, who is whose child.

The supervisor is a subreaper: Instances fork twice, below the nursery, and fall to it; so does
whatever an Instance leaves behind. There is one reaper with a table of its own, since
``waitpid(-1)`` would take exits away from whoever else waits for them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.loop import Loop

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt every orphan below this process, in place of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent_pid: int, signum: int = signal.SIGKILL) -> None:
    """Be sent ``signum`` when the parent ends; end at once if it already has.

    Per thread of the parent, not inherited by children, and cleared by setuid.
    """
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent_pid:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def start_time(pid: int) -> int | None:
    """Give the kernel's start time of a process (clock ticks since boot), or None.

    Pid and start time together name one process for as long as the machine runs.
    """
    fields = _stat_fields(pid)
    return None if fields is None else int(fields[19])


def parent_of(pid: int) -> int | None:
    """Give the pid of the parent, or None when there is no such process."""
    fields = _stat_fields(pid)
    return None if fields is None else int(fields[1])


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    fields = _stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def _stat_fields(pid: int) -> list[str] | None:
    """Give the fields of /proc/PID/stat from the third (state) on."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def children_of(pid: int) -> list[int]:
    """Give the pids of the direct children, zombies included."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return found
    for task in tasks:
        path = f"/proc/{pid}/task/{task}/children"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path, "rb") as file:
            found += [int(child) for child in file.read().split()]
    return found


def pss_bytes(pid: int | None = None) -> int | None:
    """Give the proportional set size of a process, this one by default; None: it is not told."""
    path = f"/proc/{'self' if pid is None else pid}/smaps_rollup"
    with contextlib.suppress(OSError), open(path, "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return None


def processes_marked(name: str, value: str) -> list[int]:
    """Give the pids of all processes whose environment at exec had ``name=value``.

    Exact even when pids were reused; processes of other users cannot be read and do not count.
    """
    mark = f"{name}={value}".encode()
    found: list[int] = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
            if mark in file.read().split(b"\0"):
                found.append(int(entry))
    return found


def kill_marked(name: str, value: str, timeout_s: float = 2.0) -> int:
    """SIGKILL every process marked ``name=value`` but this one, until none is left.

    Blocks for at most ``timeout_s``. Returns how many were killed.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        alive = [p for p in processes_marked(name, value) if p != os.getpid() and is_alive(p)]
        if not alive:
            break
        for pid in alive:
            send_signal(pid, signal.SIGKILL)
        killed.update(alive)
        time.sleep(0.01)
    return len(killed)


def send_signal(pid: int, signum: int) -> bool:
    """Send a signal; False when the process is gone. Only for children not yet reaped."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def signal_group(pid: int, signum: int) -> None:
    """Signal the process group that ``pid`` leads, and ``pid`` itself should it lead none.

    Nobody gets it twice: to many programs a second SIGTERM says that they shall end at once.
    """
    try:
        os.killpg(pid, signum)
        leads = os.getpgid(pid) == pid
    except (ProcessLookupError, PermissionError):
        leads = False
    if not leads:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def kill_all_children(timeout_s: float = 5.0) -> None:
    """SIGKILL all children, and what falls to us by their death, until none is left.

    For a subreaper at its own end; blocks for at most ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        children = children_of(os.getpid())
        for pid in children:
            send_signal(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: exit code or signal number, the other is None."""

    code: int | None
    signal: int | None

    @classmethod
    def of(cls, status: int) -> ExitStatus:
        """Read a wait status as ``os.waitpid`` gives it."""
        if os.WIFSIGNALED(status):
            return cls(None, os.WTERMSIG(status))
        return cls(os.WEXITSTATUS(status), None)


class Reaper:
    """The only one who waits for children: by pidfd, each exit told exactly once.

    What is not in its table and is our child fell to us when its parent ended: a stray.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._watched: dict[int, int] = {}

    def watch(
        self, pid: int, on_exit: Callable[[ExitStatus], None], *, leads_group: bool = False
    ) -> None:
        """Call ``on_exit`` once the child has ended; its pid cannot be reused before that.

        With ``leads_group``, what is left of its process group is killed first, while the group's
        number still is nobody else's.

        Raises:
            OSError: there are no descriptors left; the child is not watched.
        """
        pidfd = os.pidfd_open(pid)
        self._watched[pid] = pidfd
        self._loop.add_reader(pidfd, lambda: self._reap(pid, pidfd, on_exit, leads_group))

    def is_watched(self, pid: int) -> bool:
        """Whether this pid is a child in the table, alive or not yet reaped."""
        return pid in self._watched

    def kill_strays(self) -> int:
        """SIGKILL and reap the children that nobody watches; returns how many are left.

        Call again until it returns 0: the death of a stray may bring its own children.
        """
        strays = [pid for pid in children_of(os.getpid()) if pid not in self._watched]
        left = 0
        for pid in strays:
            send_signal(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    left += 1
        return left

    def _reap(
        self, pid: int, pidfd: int, on_exit: Callable[[ExitStatus], None], leads_group: bool
    ) -> None:
        if leads_group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        try:
            reaped, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            # Not our child (any more): its exit is known, its status is not.
            reaped, status = pid, 0
        if reaped == 0:
            return
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        del self._watched[pid]
        on_exit(ExitStatus.of(status))
