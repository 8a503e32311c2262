"""Bring a supervisor up: manifest, lock, sweep, logger, Router, imports, control socket.

Everything that can be wrong before the first Peer starts is found here and told in one message.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from orchestrator.errors import ManifestError, OrchestratorError
from orchestrator.foreign import find_faults
from orchestrator.logs.reader import LogReader
from orchestrator.logs.sink import LogSink
from orchestrator.logs.writer import run_logger
from orchestrator.loop import Loop
from orchestrator.manifest import Manifest, load_manifest
from orchestrator.processes import ExitStatus, Reaper, die_with_parent, kill_all_children
from orchestrator.rundir import RunDir
from orchestrator.supervisor import Supervisor
from orchestrator.surface import Surface
from orchestrator.upbringing import describe_faults

#: Exit codes of a start that came to nothing (contract, section 3).
EXIT_MANIFEST = 2
EXIT_GAVE_UP = 3
#: Told to a second ``up``: another stack has the lock; join that.
EXIT_RUNS_ALREADY = 100


class StartError(OrchestratorError):
    """Nothing was started; ``exit_code`` says what kind of reason the text gives."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def start_stack(
    loop: Loop,
    manifest_path: Path,
    classes: str | None,
    status: TextIO,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    abandoned_fds: tuple[int, ...] = (),
) -> tuple[Supervisor, Callable[[], None]]:
    """Start everything that a stack needs before its Peers.

    Args:
        loop: runs while modules are imported.
        manifest_path: the manifest.
        classes: path of pickled Peer classes.
        status: where one line tells that the stack listens; when nobody reads it any more, the
            start is given up.
        interrupted: whether a signal has asked for the end meanwhile.
        abandoned_fds: descriptors whose end gives the start up too.

    Returns:
        The supervisor, whose loop is to be run, and what closes the rest afterwards.

    Raises:
        StartError: nothing was started, or its process' children are to be ended again.
    """
    try:
        manifest = load_manifest(manifest_path, os.environ)
    except ManifestError as error:
        raise StartError(str(error), EXIT_MANIFEST) from error
    lacking = find_faults(manifest)
    if lacking:
        raise StartError(str(ManifestError(lacking)), EXIT_MANIFEST)
    run_dir = RunDir(manifest.stack.run_dir)
    try:
        run_dir.prepare()
    except OrchestratorError as error:
        raise StartError(str(error), EXIT_MANIFEST) from error
    if not run_dir.try_lock():
        raise StartError(f"a stack runs already on {run_dir.path}", EXIT_RUNS_ALREADY)
    swept = run_dir.sweep()
    reaper = Reaper(loop)
    sink = LogSink(run_dir.logs)
    logger = LoggerProcess(loop, reaper, sink, manifest, run_dir)
    supervisor = Supervisor(loop, reaper, manifest, run_dir, sink, classes)
    logger.say = supervisor.say
    if swept:
        supervisor.say(f"ended {swept} processes that a former run had left", level="WARNING")
    try:
        supervisor.plan_router()
    except OrchestratorError as error:
        # A busy port, no Crossbar, a wrong node configuration: nothing has been started.
        raise StartError(str(error), EXIT_MANIFEST) from error
    # The Router takes seconds to start, the imports less: so both at once.
    supervisor.decide(supervisor.core.start((), loop.now()))
    try:
        _import_all(loop, supervisor, interrupted, (status.fileno(), *abandoned_fds))
    except StartError:
        kill_all_children()
        run_dir.clear()
        raise
    surface = Surface(supervisor)
    control = surface.listen(LogReader(run_dir.logs))

    def close() -> None:
        control.close()
        logger.close()

    try:
        status.write(json.dumps({"listening": str(run_dir.control)}) + "\n")
        status.close()
    except BrokenPipeError:
        close()
        run_dir.clear()
        raise StartError("whoever started the stack has gone", EXIT_GAVE_UP) from None
    return supervisor, close


def _import_all(
    loop: Loop,
    supervisor: Supervisor,
    interrupted: Callable[[], bool],
    abandoned_fds: tuple[int, ...],
) -> None:
    """Import every Peer's module, in nurseries; all faults at once.

    A module may block for ever: whoever waits for this must be able to give up.

    Raises:
        StartError: with one line a Peer; nobody wants the stack any more; the Router cannot run.
    """
    outcome: list[dict[str, str]] = []
    gone: list[int] = []
    for fd in abandoned_fds:
        # Nothing is ever read there: these wake us when the other end is closed, and then only.
        loop.add_reader(fd, lambda fd=fd: gone.append(fd))  # type: ignore[misc]
    supervisor.import_peers(supervisor.manifest.peers, outcome.append)
    try:
        while not outcome:
            if gone or interrupted():
                raise StartError("given up while the Peers' modules were imported", EXIT_GAVE_UP)
            if supervisor.finished is not None:
                raise StartError(supervisor.finished.reason or "ended", EXIT_GAVE_UP)
            loop.run_once(None)
    finally:
        for fd in abandoned_fds:
            loop.remove_reader(fd)
    if outcome[0]:
        raise StartError(describe_faults(supervisor.manifest, outcome[0]), EXIT_MANIFEST)


class LoggerProcess:
    """The process that writes the logs; replaced when it dies, nothing but its memory is lost."""

    def __init__(
        self, loop: Loop, reaper: Reaper, sink: LogSink, manifest: Manifest, run_dir: RunDir
    ) -> None:
        self._loop = loop
        self._reaper = reaper
        self._sink = sink
        self._logs = manifest.logs
        self._folder = run_dir.logs
        self._is_closed = False
        self.say: Callable[..., None] = lambda *args, **kwargs: None
        self.pid = 0
        self._start()

    def _start(self) -> None:
        supervisor = os.getpid()
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.pid = os.fork()
        except OSError:
            # No processes or descriptors left for now; meanwhile the pipes and the sink keep all.
            self._loop.call_later(1.0, self._start)
            return
        if self.pid == 0:
            _keep_only(theirs.fileno())
            for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                # It ends when the supervisor does, and not before it has written everything.
                signal.signal(signum, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
            die_with_parent(supervisor)
            logs = self._logs
            run_logger(
                theirs.fileno(), str(self._folder), logs.max_size_bytes, logs.keep, logs.format
            )
            os._exit(0)
        theirs.close()
        self._reaper.watch(self.pid, self._exited)
        self._sink.attach_logger(ours)

    def _exited(self, status: ExitStatus) -> None:
        self._sink.detach_logger()
        if self._is_closed:
            return
        self.say("the logger ended; another one takes its place", level="WARNING")
        # Not at once: whatever ended it might end the next one too.
        self._loop.call_later(0.05, self._start)

    def close(self) -> None:
        """Let the logger write what is left, for a bounded time, and end it."""
        self._is_closed = True
        self._sink.close()
        deadline = self._loop.now() + 1.0
        while self._reaper.is_watched(self.pid) and self._loop.now() < deadline:
            self._loop.run_once(0.05)


def _keep_only(fd: int) -> None:
    """Close every descriptor but the standard ones and ``fd``: locks and sockets are not ours."""
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) != fd:
            with contextlib.suppress(OSError):
                os.close(int(entry))
