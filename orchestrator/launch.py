"""Start a stack from outside, guard and supervisor as processes of their own, or join one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from orchestrator.control.client import ControlClient
from orchestrator.errors import NoSuchStack, OrchestratorError
from orchestrator.manifest import Manifest
from orchestrator.rundir import RUN_MARK, RunDir
from orchestrator.start import EXIT_GAVE_UP, EXIT_RUNS_ALREADY, StartError

#: Seconds that a starting supervisor gets until it can be spoken to: the Peers' imports are in it.
LAUNCH_TIMEOUT_S = 120.0
#: Seconds that the winner of two simultaneous starts gets until it listens.
JOIN_TIMEOUT_S = LAUNCH_TIMEOUT_S


def launch(manifest: Manifest, *, classes: Path | None = None) -> ControlClient:
    """Give a client of the running stack, after starting it where there is none.

    Blocks until the supervisor listens: everything is imported by then, nothing started yet.
    ``client.joined`` tells whether the stack ran already. The stack lives on without this process.

    Raises:
        StartError: nothing runs; the text says why, ``exit_code`` what kind of reason it is.
        OrchestratorError: the folder cannot be used, or the supervisor does not come up in time.
    """
    run_dir = RunDir(manifest.stack.run_dir)
    run_dir.prepare()
    client = ControlClient(run_dir.control)
    client.joined = True
    with contextlib.suppress(NoSuchStack):
        client.ps()
        return client
    told = _spawn(manifest.path, run_dir, classes)
    if told.get("exit_code") == EXIT_RUNS_ALREADY:
        _wait_for(client)
        return client
    if "error" in told:
        raise StartError(str(told["error"]), int(told["exit_code"]))
    client.joined = False
    return client


def _spawn(manifest: Path, run_dir: RunDir, classes: Path | None) -> dict[str, Any]:
    """Start the guard and give what the supervisor tells of its start."""
    reads, writes = os.pipe()
    arguments = [str(manifest), str(writes)]
    if classes is not None:
        arguments.append(str(classes))
    output_path = run_dir.logs / "supervisor.err"
    with open(output_path, "wb") as output:
        guard = subprocess.Popen(
            # -P: a module of the standard library must not be shadowed by one in this folder.
            [sys.executable, "-P", "-m", "orchestrator.guard", *arguments],
            env={**os.environ, RUN_MARK: secrets.token_hex(16)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(writes,),
            start_new_session=True,
        )
    os.close(writes)
    line = b""
    deadline = time.monotonic() + LAUNCH_TIMEOUT_S
    with selectors.DefaultSelector() as selector, os.fdopen(reads, "rb", buffering=0) as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                guard.terminate()
                raise OrchestratorError(
                    f"the supervisor did not come up within {LAUNCH_TIMEOUT_S:g} s; "
                    "does a Peer's module block when it is imported?"
                )
            chunk = pipe.read(65536)
            if not chunk:
                break
            line += chunk
    if not line.endswith(b"\n"):
        guard.wait(5.0)
        said = output_path.read_text(errors="replace").strip().splitlines()
        last = said[-1] if said else f"exit code {guard.returncode}"
        raise StartError(f"the supervisor ended before it was up: {last}", EXIT_GAVE_UP)
    # The guard is nobody's business any more; when it ends, whoever adopts it reaps it.
    guard.returncode = 0
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def _wait_for(client: ControlClient) -> None:
    """Wait until the stack that won the race can be spoken to."""
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    while True:
        try:
            client.ps()
        except NoSuchStack:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
