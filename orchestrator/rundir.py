"""The folder of a running stack: sockets, lock, state, tickets, logs.

One stack at most holds the lock. What the stack before it may have left alive is known by the
random token of its run, which every process of it has in its environment; so a sweep never meets a
pid that somebody else uses by now.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.processes import kill_marked

#: The environment variable that marks every process of one run.
RUN_MARK = "WAMPY_RUN"


class RunDirUnusable(OrchestratorError):
    """The folder cannot be made or written; nothing is started."""

    #: Of the command that ends by it (contract, section 3: usage or manifest).
    exit_code = 2


class RunDir:
    """Names and files of one ``run_dir``; not thread-safe.

    Raises:
        RunDirUnusable: the folder cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control = path / "control.sock"
        self.router_socket = path / "router.sock"
        self.lock = path / "lock"
        self.state = path / "state.json"
        self.tickets = path / "tickets.json"
        self.logs = path / "logs"
        self.router = path / "router"
        self.tracebacks = path / "tracebacks"
        self.failures = path / "failures"
        self._lock_fd: int | None = None

    def prepare(self) -> None:
        """Make the folders, for this user alone."""
        try:
            for folder in (self.path, self.logs, self.tracebacks):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise RunDirUnusable(
                f"cannot use run_dir {self.path}: {error.strerror}; "
                "set [stack] run_dir to a folder that this user may write"
            ) from error

    def try_lock(self) -> bool:
        """Take the lock for as long as this process lives; False when another stack has it."""
        fd = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def sweep(self) -> int:
        """Kill what the last run left alive; returns how many processes. Only under the lock."""
        token = self.read_state().get("run")
        swept = kill_marked(RUN_MARK, token) if token and token != os.environ.get(RUN_MARK) else 0
        for path in (self.control, self.router_socket, *self.tracebacks.iterdir()):
            path.unlink(missing_ok=True)
        return swept

    def read_state(self) -> dict[str, Any]:
        """Give what the last run wrote; empty when there is nothing, or nothing readable."""
        try:
            state = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def write_state(self, state: dict[str, Any]) -> None:
        """Store what a later ``up``, ``ps`` or sweep needs; replaces the file in one step."""
        self.write_private(self.state, json.dumps(state, indent=1))

    def write_private(self, path: Path, text: str) -> None:
        """Write a file that only this user may read, in one step."""
        temporary = path.with_name(path.name + ".new")
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
        temporary.replace(path)

    def clear(self) -> None:
        """Remove what only a running stack has: sockets, state and tickets; the logs stay."""
        for path in (self.control, self.router_socket, self.tickets, self.state):
            target = path.resolve() if path.is_symlink() else None
            path.unlink(missing_ok=True)
            if target is not None:
                target.unlink(missing_ok=True)
