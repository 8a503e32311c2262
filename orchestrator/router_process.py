"""The Router as a child of the supervisor: started, watched for READY=1, stopped in steps.

Crossbar tells on ``NOTIFY_SOCKET`` when everything is up; only it gets that variable. Its output
goes to the log like a Peer's, and its last lines explain why it ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping

from orchestrator.loop import Loop
from orchestrator.processes import ExitStatus, Reaper, die_with_parent, signal_group
from orchestrator.router import RouterLaunch


class RouterProcess:
    """One start of the Router's process; all methods in the loop's thread, none blocks."""

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        launch: RouterLaunch,
        *,
        environ: Mapping[str, str],
        stdio: tuple[int, int],
        on_ready: Callable[[], None],
        on_exit: Callable[[ExitStatus], None],
    ) -> None:
        assert launch.argv is not None
        self._loop = loop
        self._launch = launch
        self._on_ready = on_ready
        self._on_exit = on_exit
        # An abstract address: nothing to clean up, and no limit of a path's length to meet.
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notify.setblocking(False)
        self._notify.bind("")
        address = "@" + self._notify.getsockname()[1:].decode()
        for path, text in launch.files.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        supervisor = os.getpid()
        self._process = subprocess.Popen(
            launch.argv,
            env={**environ, **launch.env, "NOTIFY_SOCKET": address},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdio[0],
            stderr=stdio[1],
            start_new_session=True,
            # Safe, since the supervisor has one thread; a foreign program cannot do it itself.
            preexec_fn=lambda: die_with_parent(supervisor, signal.SIGKILL),
        )
        self.pid = self._process.pid
        loop.add_reader(self._notify.fileno(), self._notified)
        reaper.watch(self.pid, self._exited)

    def take_step(self, step: int) -> None:
        """Send the stop step's signal to the Router's main process."""
        signum, _ = self._launch.stop_steps[step]
        self._process.send_signal(signum)

    def kill(self) -> None:
        """SIGKILL the Router's whole process group; stopped processes too."""
        signal_group(self.pid, signal.SIGKILL)

    def _notified(self) -> None:
        try:
            told = self._notify.recv(4096)
        except BlockingIOError:
            return
        if b"READY=1" in told.split(b"\n"):
            self._on_ready()

    def _exited(self, status: ExitStatus) -> None:
        self._process.returncode = -status.signal if status.signal else status.code
        # Its workers lead no session of their own: one word reaches them all.
        signal_group(self.pid, signal.SIGKILL)
        self._loop.remove_reader(self._notify.fileno())
        self._notify.close()
        self._on_exit(status)
