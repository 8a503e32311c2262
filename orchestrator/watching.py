"""``up --watch``: a reload whenever a file of the code or the manifest changes.

The watcher is a process of its own, with the folders of all local files that the Peers' code is in;
it is replaced when these change with a reload, or when it dies. What cannot be taken over is said
in the stack's log, and the old code runs on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.processes import ExitStatus, Reaper

if TYPE_CHECKING:
    from orchestrator.reloading import Reloading
    from orchestrator.supervisor import Supervisor

#: Seconds until a watcher that died is replaced.
AGAIN_S = 1.0


class Watching:
    """Watches from ``begin()`` to ``end()``; in the loop's thread, nothing blocks."""

    def __init__(self, supervisor: Supervisor, reaper: Reaper, reloading: Reloading) -> None:
        self._supervisor = supervisor
        self._reaper = reaper
        self._reloading = reloading
        self._process: subprocess.Popen[bytes] | None = None
        self._folders: set[str] = set()
        self._is_reloading = False
        self._has_changed = False
        self.is_on = False

    def begin(self) -> None:
        """Watch from now on. Idempotent."""
        if not self.is_on:
            self.is_on = True
            self._supervisor.say("watching the Peers' files and the manifest")
            self._start()

    def end(self) -> None:
        """Watch no more. Idempotent."""
        self.is_on = False
        self._stop()

    def _start(self) -> None:
        supervisor = self._supervisor
        if not self.is_on or self._process is not None or supervisor.core.is_stopping:
            return
        self._folders = self._wanted()
        order = {"folders": sorted(self._folders), "files": list(map(str, self._own_files()))}
        try:
            # A file without a name: a pipe could be full, and this must not wait.
            with os.fdopen(os.memfd_create("wampy watcher"), "w+b") as file:
                file.write(json.dumps(order).encode() + b"\n")
                file.seek(0)
                process = self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "orchestrator.watcher"],
                    stdin=file,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
        except OSError as error:
            supervisor.say(f"cannot start the watcher: {error.strerror}", level="WARNING")
            supervisor.loop.call_later(AGAIN_S, self._start)
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        supervisor.loop.add_reader(process.stdout.fileno(), lambda: self._told(process))
        self._reaper.watch(process.pid, lambda status: self._exited(process, status))

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdout is not None
            self._supervisor.loop.remove_reader(process.stdout.fileno())
            process.stdout.close()
            process.kill()

    def _exited(self, process: subprocess.Popen[bytes], status: ExitStatus) -> None:
        process.returncode = -status.signal if status.signal else status.code
        if process is self._process:
            self._stop()
            self._supervisor.say("the watcher ended; another one takes its place", level="WARNING")
            self._supervisor.loop.call_later(AGAIN_S, self._start)

    def _told(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            text = os.read(process.stdout.fileno(), 65536)
        except BlockingIOError:
            return
        if not text:
            self._supervisor.loop.remove_reader(process.stdout.fileno())
            return
        self._has_changed = True
        self._reload()

    def _reload(self) -> None:
        """Reload, once more if something has changed meanwhile."""
        if self._has_changed and not self._is_reloading and self.is_on:
            self._has_changed = False
            self._is_reloading = True
            self._reloading.reload(False, self._reloaded)

    def _reloaded(self, answer: dict[str, Any]) -> None:
        self._is_reloading = False
        for outcome in answer["outcomes"]:
            if not outcome["ok"]:
                text = f"reload: {outcome['instance']} is {outcome['state']}: {outcome['reason']}"
                self._supervisor.say(text, level="WARNING")
        if self.is_on and self._wanted() != self._folders:
            self._stop()
            self._start()
        self._reload()

    def _wanted(self) -> set[str]:
        paths = self._own_files()
        paths += map(Path, self._supervisor.pool.local_files())
        return {str(path.parent) for path in paths if path.parent.is_dir()}

    def _own_files(self) -> list[Path]:
        manifest = self._supervisor.manifest
        return [manifest.path, *manifest.stack.env_files]
