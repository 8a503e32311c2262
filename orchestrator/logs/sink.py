"""The supervisor's side of the logs: pipes for its children, lines of its own.

It keeps the read ends of all pipes itself, so that a logger that is killed loses no more than what
it had in its memory: the next one gets the same pipes. Nothing here ever blocks.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import channel
from orchestrator.logs.names import STREAMS, file_name

#: Lines of our own that wait for a logger; more are dropped, with a count.
WAITING_LINES = 1000
#: Bytes that a pipe holds: a burst this long does not make its writer wait.
PIPE_BYTES = 256 * 1024
_TAIL_BYTES = 16 * 1024


@dataclass(slots=True)
class Pipes:
    """The two pipes of one process. The write ends are the caller's to hand on and close."""

    instance: str
    stdout: int
    stderr: int
    _read_ends: dict[str, int]

    @property
    def write_ends(self) -> tuple[int, int]:
        """The ends for the child's stdout and stderr."""
        return self.stdout, self.stderr

    def close_write_ends(self) -> None:
        """Close our copies; the child has its own by now."""
        os.close(self.stdout)
        os.close(self.stderr)

    def read_ends(self) -> dict[str, int]:
        """The ends that the logger reads, by stream."""
        return self._read_ends


class LogSink:
    """Pipes and lines for the logger; all methods in the supervisor's thread, none blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._link: socket.socket | None = None
        self._pipes: list[Pipes] = []
        self._released: list[Pipes] = []
        self._lines: deque[dict[str, Any]] = deque()
        self._dropped = 0

    def open(self, instance: str) -> Pipes:
        """Make the pipes for one process; no end is inherited by exec unless handed on."""
        ends: dict[str, int] = {}
        writes: list[int] = []
        for stream in STREAMS:
            reads, write = os.pipe2(os.O_CLOEXEC)
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            ends[stream] = reads
            writes.append(write)
        pipes = Pipes(instance, *writes, ends)
        self._pipes.append(pipes)
        self._attach(pipes)
        return pipes

    def release(self, pipes: Pipes) -> None:
        """The process has ended: keep its pipes only until a logger has them."""
        if pipes in self._pipes:
            self._pipes.remove(pipes)
            self._released.append(pipes)
            if self._link is not None:
                self._close_released()

    def attach_logger(self, link: socket.socket) -> None:
        """Give everything to a new logger: all pipes, and the lines that waited."""
        link.setblocking(False)
        self._link = link
        for pipes in [*self._released, *self._pipes]:
            self._attach(pipes)
        self._close_released()
        self._send_lines()

    def detach_logger(self) -> None:
        """The logger has gone; another one will come."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def log(self, record: dict[str, Any]) -> None:
        """Write one line of the stack's own: ``{"level", "message", …}``; dropped when too many."""
        now = time.time()
        micros = int(now % 1 * 1_000_000)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{micros:06d}Z"
        message = str(record.get("message", ""))[:32_000]
        self._lines.append({**record, "message": message, "at": at})
        if len(self._lines) > WAITING_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._send_lines()

    def last_lines(self, instance: str, count: int = 20) -> list[str]:
        """Give the last lines that an Instance wrote to either stream, stderr last."""
        found: list[str] = []
        for stream in STREAMS:
            try:
                with open(self._folder / file_name(instance, stream), "rb") as file:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                    lines = file.read().decode("utf-8", "replace").splitlines()
            except FileNotFoundError:
                continue
            found += [line.partition(" ")[2] for line in lines[-count:]]
        return found

    def close(self) -> None:
        """Let the logger write what is left, and end."""
        self._send_lines()
        for pipes in [*self._pipes, *self._released]:
            for fd in pipes.read_ends().values():
                os.close(fd)
        self._pipes.clear()
        self._released.clear()
        self.detach_logger()

    def _attach(self, pipes: Pipes) -> None:
        if self._link is None:
            return
        for stream, fd in pipes.read_ends().items():
            about = {"instance": pipes.instance, "stream": stream}
            if not channel.send(self._link, {"attach": about}, (fd,)):
                # It takes no more, or has gone: the next one gets them all.
                return

    def _close_released(self) -> None:
        for pipes in self._released:
            for fd in pipes.read_ends().values():
                os.close(fd)
        self._released.clear()

    def _send_lines(self) -> None:
        if self._link is None:
            return
        if self._dropped:
            text = f"{self._dropped} lines of the stack's own could not be written and are lost"
            if not channel.send(self._link, {"line": {"level": "WARNING", "message": text}}):
                return
            self._dropped = 0
        while self._lines:
            if not channel.send(self._link, {"line": self._lines[0]}):
                return
            self._lines.popleft()
