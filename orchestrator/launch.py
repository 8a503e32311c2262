"""Start a stack from outside, guard and supervisor as processes of their own, or join one."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from orchestrator.control.client import ControlClient
from orchestrator.ending import watched_end
from orchestrator.errors import NoSuchStack, OrchestratorError
from orchestrator.manifest import Manifest
from orchestrator.notify import without_notifier
from orchestrator.rundir import RUN_MARK, RunDir
from orchestrator.start import EXIT_GAVE_UP, EXIT_RUNS_ALREADY, StartError

#: Seconds that a starting supervisor gets until it can be spoken to: the Peers' imports are in it.
LAUNCH_TIMEOUT_S = 120.0
#: Seconds that the winner of two simultaneous starts gets until it listens.
JOIN_TIMEOUT_S = LAUNCH_TIMEOUT_S
#: Seconds until it is tried again while another one starts or stops: at first, and at most.
_PAUSE_FIRST_S = 0.05
_PAUSE_MAX_S = 0.5


class Launch:
    """One start of a stack from outside, which another thread may give up."""

    def __init__(self, manifest: Manifest, *, classes: Path | None = None) -> None:
        self._manifest = manifest
        self._classes = classes
        self._lock = threading.Lock()
        self._is_given_up = False
        self._guard: subprocess.Popen[bytes] | None = None

    def run(self) -> ControlClient:
        """Give a client of the running stack, after starting it where there is none.

        Blocks until the supervisor listens: everything is imported by then, no Peer started yet.
        ``client.joined`` tells whether the stack ran already. One that is just stopping is waited
        for, and started anew. The stack lives on without this
        process. What ends this with an exception, a signal's too, leaves nothing running.

        Raises:
            StartError: nothing runs; the text says why, ``exit_code`` what kind of reason it is.
            OrchestratorError: the folder cannot be used, or the supervisor does not come up in
                time.
        """
        run_dir = RunDir(self._manifest.stack.run_dir)
        run_dir.prepare()
        client = ControlClient(run_dir.control)
        client.joined = True
        deadline, pause_s = time.monotonic() + JOIN_TIMEOUT_S, _PAUSE_FIRST_S
        while not self._can_be_joined(client):
            try:
                told = self._spawn(run_dir)
            except BaseException:
                self.give_up()
                raise
            if told.get("exit_code") != EXIT_RUNS_ALREADY:
                if "error" in told:
                    raise StartError(str(told["error"]), int(told["exit_code"]))
                client.joined = False
                break
            # Another one is just starting, and is joined then; or it is ending.
            if time.monotonic() > deadline:
                raise StartError(str(told["error"]), EXIT_GAVE_UP)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        return client

    def _can_be_joined(self, client: ControlClient) -> bool:
        """Whether a stack runs; one that is stopping is waited for.

        Raises:
            StartError: it has not stopped in time, or nobody wants to wait any more.
        """
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        while True:
            try:
                if client.ps()["state"] != "stopping":
                    return True
                with watched_end(client.supervisor_pid()) as end:
                    end.wait(_PAUSE_MAX_S)
            except NoSuchStack:
                return False
            if self._is_given_up:
                raise StartError("given up before it was started", EXIT_GAVE_UP)
            if time.monotonic() > deadline:
                text = f"the stack that runs has been stopping for {JOIN_TIMEOUT_S:g} s"
                raise StartError(text, EXIT_GAVE_UP)

    def give_up(self) -> None:
        """End at once what this has started, even if it has come up meanwhile; thread-safe.

        A stack that was joined is left alone. Does not wait.
        """
        with self._lock:
            self._is_given_up = True
            if self._guard is not None:
                # Never reaped here, so the pid is still its own. Without its guard the supervisor
                # ends everything.
                os.kill(self._guard.pid, signal.SIGKILL)

    def _spawn(self, run_dir: RunDir) -> dict[str, Any]:
        """Start the guard and give what the supervisor tells of its start."""
        output_path = run_dir.logs / "supervisor.err"
        with self._lock, open(output_path, "wb") as output:
            if self._is_given_up:
                raise StartError("given up before it was started", EXIT_GAVE_UP)
            reads, writes = os.pipe()
            arguments = [str(self._manifest.path), str(writes)]
            if self._classes is not None:
                arguments.append(str(self._classes))
            self._guard = subprocess.Popen(
                # -P: a module of the standard library must not be shadowed by one in this folder.
                [sys.executable, "-P", "-m", "orchestrator.guard", *arguments],
                env={**without_notifier(os.environ), RUN_MARK: secrets.token_hex(16)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writes,),
                start_new_session=True,
            )
            os.close(writes)
            # It is nobody's business any more; when it ends, whoever adopts it reaps it.
            self._guard.returncode = 0
        line = _read_line(reads)
        if not line.endswith(b"\n"):
            said = output_path.read_text(errors="replace").strip().splitlines()
            last = said[-1] if said else "it said nothing"
            raise StartError(f"the supervisor ended before it was up: {last}", EXIT_GAVE_UP)
        told = json.loads(line)
        assert isinstance(told, dict)
        return told


def launch(manifest: Manifest, *, classes: Path | None = None) -> ControlClient:
    """Start or join a stack: ``Launch.run``, which says what it gives and raises."""
    return Launch(manifest, classes=classes).run()


def _read_line(reads: int) -> bytes:
    """Read and close the status pipe: one line, or less at its early end."""
    line = b""
    deadline = time.monotonic() + LAUNCH_TIMEOUT_S
    with selectors.DefaultSelector() as selector, os.fdopen(reads, "rb", buffering=0) as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise OrchestratorError(
                    f"the supervisor did not come up within {LAUNCH_TIMEOUT_S:g} s; "
                    "does a Peer's module block when it is imported?"
                )
            chunk = pipe.read(65536)
            if not chunk:
                break
            line += chunk
    return line
