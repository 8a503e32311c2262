"""The processes of all Instances: forked, told, heard, signalled, and cleared up after.

In the loop's thread; nothing blocks. What becomes of it is decided elsewhere: ``Listener`` hears of
everything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import channel
from orchestrator.core.states import InstanceId
from orchestrator.logs.sink import LogSink, Pipes
from orchestrator.loop import Loop, Timer
from orchestrator.nurseries import NurseryPool, Spawn
from orchestrator.processes import ExitStatus, Reaper, signal_group

#: Seconds that a condemned process gets to write its tracebacks (measured: within 50 ms).
DUMP_S = 0.1
#: Seconds between two looks for strays: while a fork is under way, and while there are some.
_FORKING_S = 0.01
_STRAYS_S = 0.005

#: An Instance and the number of its incarnation.
Key = tuple[InstanceId, int]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what becomes of a process.

    Attributes:
        forked: its pid.
        not_forked: why there is none.
        started: it is joined and has registered all of its own.
        lost_session: it was joined and is not any more, and does not mean to leave.
        exited: its status, and the reason that it gave itself, if it did.
    """

    forked: Callable[[InstanceId, int, int], None]
    not_forked: Callable[[InstanceId, int, str], None]
    started: Callable[[InstanceId, int], None]
    lost_session: Callable[[InstanceId, int], None]
    exited: Callable[[InstanceId, int, ExitStatus, str | None], None]


@dataclass(slots=True)
class Process:
    """One incarnation's process and what leads to it; a program of the user's has no link."""

    instance: InstanceId
    incarnation: int
    link: socket.socket | None
    pipes: Pipes
    pid: int | None = None
    reason: str | None = None
    pinged_at: float = 0.0
    ponged_at: float = -1.0


class Incarnations:
    """Every process of an Instance that is alive or being forked.

    ``tracebacks`` is the folder in which a process writes what its threads do, if it is asked to.
    """

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        pool: NurseryPool,
        sink: LogSink,
        tracebacks: Path,
        listener: Listener,
    ) -> None:
        self._loop = loop
        self._reaper = reaper
        self._pool = pool
        self._sink = sink
        self._tracebacks = tracebacks
        self._listener = listener
        self._processes: dict[Key, Process] = {}
        self._by_pid: dict[int, Key] = {}
        self._sweep: Timer | None = None
        self._is_killing = False

    def spawn(self, instance: InstanceId, incarnation: int, order: dict[str, Any]) -> None:
        """Have a process forked by the Peer's nursery; ``order`` is what it is told to be."""
        ours, theirs = channel.channel_pair()
        ours.setblocking(False)
        pipes = self._sink.open(str(instance))
        process = Process(instance, incarnation, ours, pipes)
        self._processes[instance, incarnation] = process
        spawn = Spawn(
            lambda pid: self._forked(process, pid), lambda reason: self._not_forked(process, reason)
        )
        descriptors = (*pipes.write_ends, theirs.fileno())
        order = {**order, "tracebacks": str(self._dump_path(process))}
        try:
            self._pool.spawn(instance.name, f"{instance}#{incarnation}", order, descriptors, spawn)
        finally:
            theirs.close()
            pipes.close_write_ends()

    def execute(
        self, instance: InstanceId, incarnation: int, start: Callable[[tuple[int, int]], int]
    ) -> None:
        """Have a program exec'ed: ``start`` is given stdout and stderr, and gives the pid."""
        pipes = self._sink.open(str(instance))
        process = Process(instance, incarnation, None, pipes)
        self._processes[instance, incarnation] = process
        try:
            pid = start(pipes.write_ends)
            # Known at once: who is not is a stray.
            self._adopt(process, pid)
        except OSError as error:
            reason = f"cannot be executed: {error.strerror or error}"
            # Later, not from within the order: whoever gave it is still deciding.
            self._loop.call_later(0, lambda: self._not_forked(process, reason))
            self.kill_strays()
        else:
            self._loop.call_later(0, lambda: self._executed(process, pid))
        finally:
            pipes.close_write_ends()

    def _executed(self, process: Process, pid: int) -> None:
        if self._processes.get((process.instance, process.incarnation)) is process:
            self._listener.forked(process.instance, process.incarnation, pid)
            self._listener.started(process.instance, process.incarnation)

    def tell(self, instance: InstanceId, incarnation: int, message: dict[str, Any]) -> None:
        """Send a message to a process; nothing happens if it is gone."""
        process = self._processes.get((instance, incarnation))
        link = None if process is None else process.link
        if link is not None and link.fileno() >= 0:
            channel.send(link, message)

    def ping(self, instance: InstanceId, incarnation: int) -> bool:
        """Ask the main thread of a process for an answer; give whether it answered the last time.

        A process that was never asked counts as one that did not.
        """
        process = self._processes.get((instance, incarnation))
        if process is None:
            return False
        has_answered = process.ponged_at >= process.pinged_at
        process.pinged_at = self._loop.now()
        self.tell(instance, incarnation, {"ping": process.pinged_at})
        return has_answered

    def signal(self, instance: InstanceId, incarnation: int, signum: int) -> None:
        """Send a signal to the process group; nothing happens if it is gone."""
        process = self._processes.get((instance, incarnation))
        if process is not None and process.pid is not None:
            signal_group(process.pid, signum)

    def kill(self, instance: InstanceId, incarnation: int, *, dump: bool) -> None:
        """SIGKILL its group; with ``dump`` it may write the tracebacks of its threads before.

        A program of the user's knows nothing of such tracebacks.
        """
        process = self._processes.get((instance, incarnation))
        if dump and process is not None and process.pid is not None and process.link is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGUSR2)
            self._loop.call_later(
                DUMP_S, lambda: self.signal(instance, incarnation, signal.SIGKILL)
            )
        else:
            self.signal(instance, incarnation, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL every group, and each that is forked from now on."""
        self._is_killing = True
        for process in self._processes.values():
            if process.pid is not None:
                signal_group(process.pid, signal.SIGKILL)

    def kill_strays(self) -> None:
        """Kill what processes have left behind, as soon as no fork is under way; all of it."""
        if self._sweep is not None:
            return

        def sweep() -> None:
            self._sweep = None
            if not self._pool.is_idle:
                self._sweep = self._loop.call_later(_FORKING_S, sweep)
            elif self._reaper.kill_strays():
                self._sweep = self._loop.call_later(_STRAYS_S, sweep)

        self._sweep = self._loop.call_later(0, sweep)

    def of_pid(self, pid: int) -> Key | None:
        """Give whose process that is, if it is one of these and alive."""
        return self._by_pid.get(pid)

    # ------------------------------------------------------------------ what becomes of one

    def _dump_path(self, process: Process) -> Path:
        name = f"{process.instance.name}-{process.instance.index}.{process.incarnation}.txt"
        return self._tracebacks / name

    def _adopt(self, process: Process, pid: int) -> None:
        """Take note of a process. Raises OSError: it cannot be watched."""
        # What it leaves in its process group is killed; what it leaves elsewhere is a stray.
        self._reaper.watch(pid, lambda status: self._exited(process, status), leads_group=True)
        process.pid = pid
        self._by_pid[pid] = (process.instance, process.incarnation)
        if self._is_killing:
            signal_group(pid, signal.SIGKILL)

    def _forked(self, process: Process, pid: int) -> None:
        try:
            self._adopt(process, pid)
        except OSError as error:
            # Unwatched it is a stray, and killed as such.
            self._not_forked(process, f"cannot watch its process: {error.strerror}")
            self.kill_strays()
            return
        link = process.link
        if link is not None:
            self._loop.add_reader(link.fileno(), lambda: self._heard(process, link))
        self._listener.forked(process.instance, process.incarnation, pid)

    def _not_forked(self, process: Process, reason: str) -> None:
        del self._processes[process.instance, process.incarnation]
        if process.link is not None:
            process.link.close()
        self._sink.release(process.pipes)
        self._listener.not_forked(process.instance, process.incarnation, reason)

    def _heard(self, process: Process, link: socket.socket) -> None:
        try:
            received = channel.receive(link)
        except BlockingIOError:
            return
        if received is None:
            self._loop.remove_reader(link.fileno())
            return
        message = received[0]
        if "pong" in message:
            process.ponged_at = self._loop.now()
        elif "started" in message:
            self._listener.started(process.instance, process.incarnation)
        elif "failed" in message:
            process.reason = message["failed"]
        elif message.get("session") == "lost" and not message["leaving"]:
            self._listener.lost_session(process.instance, process.incarnation)

    def _exited(self, process: Process, status: ExitStatus) -> None:
        if process.link is not None:
            self._read_last_words(process, process.link)
            self._loop.remove_reader(process.link.fileno())
            process.link.close()
        del self._processes[process.instance, process.incarnation]
        if process.pid is not None:
            del self._by_pid[process.pid]
        self._sink.release(process.pipes)
        dump = self._dump_path(process)
        with contextlib.suppress(OSError):
            if dump.stat().st_size == 0:
                dump.unlink()
        self.kill_strays()
        self._listener.exited(process.instance, process.incarnation, status, process.reason)

    @staticmethod
    def _read_last_words(process: Process, link: socket.socket) -> None:
        """Read what the process said before it ended."""
        with contextlib.suppress(OSError):  # also: nothing more there
            while (received := channel.receive(link)) is not None:
                process.reason = received[0].get("failed", process.reason)
