"""The body of the supervisor's process: bring a stack up, run it to its end, leave nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from orchestrator.limits import raise_descriptors
from orchestrator.loop import Loop
from orchestrator.processes import become_subreaper, kill_all_children
from orchestrator.start import EXIT_GAVE_UP, StartError, start_stack
from orchestrator.supervisor import Supervisor

_STOP_SIGNALS = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))


def run(arguments: list[str], guard_fd: int) -> int:
    """Run a stack to its end; the body of the supervisor's process.

    Args:
        arguments: the manifest's path; the descriptor of the status pipe, on which one JSON line
            tells whoever started us ``{"listening": path}`` or ``{"error", "exit_code"}``; and,
            optionally, the path of pickled Peer classes.
        guard_fd: its end tells that the guard has gone.

    Returns:
        The exit code (contract, section 3).
    """
    become_subreaper()
    # Own group: what kills the guard's group must not decide for us.
    os.setpgid(0, 0)
    # Four descriptors an Instance; the usual soft limit of 1024 would do for 250 of them.
    raise_descriptors()
    status = os.fdopen(int(arguments[1]), "w")
    os.set_inheritable(status.fileno(), False)
    loop = Loop(_report_error)
    signals = Signals(loop)
    classes = arguments[2] if len(arguments) > 2 else None
    try:
        supervisor, close = start_stack(
            loop,
            Path(arguments[0]),
            classes,
            status,
            interrupted=lambda: signals.have_come,
            abandoned_fds=(guard_fd,),
        )
    except StartError as error:
        with contextlib.suppress(OSError):
            status.write(json.dumps({"error": str(error), "exit_code": error.exit_code}) + "\n")
            status.close()
        kill_all_children()
        return error.exit_code
    signals.call(supervisor.shut_down)
    loop.add_reader(guard_fd, lambda: _guard_gone(supervisor, guard_fd))
    loop.run()
    close()
    kill_all_children()
    supervisor.run_dir.clear()
    return 0 if supervisor.finished is None else supervisor.finished.exit_code


def _guard_gone(supervisor: Supervisor, guard_fd: int) -> None:
    """Without the guard a ``kill -9`` of this process would leave orphans: end everything now."""
    supervisor.loop.remove_reader(guard_fd)
    supervisor.say("the guard is gone; ending everything", level="ERROR")
    supervisor.shut_down(EXIT_GAVE_UP, "the guard is gone")
    supervisor.kill()


class Signals:
    """SIGTERM, SIGINT and SIGHUP, as a wake-up of the loop; nothing runs in a handler."""

    def __init__(self, loop: Loop) -> None:
        self.have_come = False
        self._action: Callable[[], None] | None = None
        self._reads, self._writes = socket.socketpair()
        self._reads.setblocking(False)
        self._writes.setblocking(False)
        signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        loop.add_reader(self._reads.fileno(), self._woken)
        for signum in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(signum, lambda number, frame: None)

    def call(self, action: Callable[[], None]) -> None:
        """Call this at each of them from now on; at once if one has come already."""
        self._action = action
        if self.have_come:
            action()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if set(self._reads.recv(4096)) & _STOP_SIGNALS:
                self.have_come = True
                if self._action is not None:
                    self._action()


def _report_error(error: BaseException) -> None:
    """An exception in a callback is a bug: tell it, go on."""
    traceback.print_exception(error, file=sys.stderr)
