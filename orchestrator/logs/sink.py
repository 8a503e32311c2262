"""The supervisor's side of the logs: pipes for its children, lines of its own.

It keeps the read ends of all pipes itself, so that a logger that is killed loses no more than what
it had in its memory: the next one gets the same pipes. Nothing here ever blocks.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import channel
from orchestrator.logs.files import last_lines
from orchestrator.logs.names import STREAMS, file_name
from orchestrator.loop import Loop

#: Lines of our own that wait for a logger; more are dropped, with a count.
WAITING_LINES = 1000
#: Characters of one line of our own: even as JSON escapes it fits into a packet.
LONGEST_LINE = 10_000
#: Processes whose pipes go into one packet; the kernel takes 253 descriptors, ``channel`` 64.
_BATCH = 30
#: Seconds until the next try when the logger takes no more.
_RETRY_S = 0.2
#: Seconds after which the pipes of an ended process are the logger's alone.
_RELEASE_S = 5.0


@dataclass(slots=True, eq=False)
class Pipes:
    """The two pipes of one process. The write ends are the caller's to hand on and close."""

    instance: str
    write_ends: tuple[int, int]
    _read_ends: dict[str, int] = field(default_factory=dict)
    #: Whether the logger that is there now has the read ends.
    is_attached: bool = False
    released_at: float = 0.0

    def close_write_ends(self) -> None:
        """Close our copies; the child has its own by now."""
        for fd in self.write_ends:
            os.close(fd)

    def read_ends(self) -> dict[str, int]:
        """The ends that the logger reads, by stream."""
        return self._read_ends

    def has_content(self) -> bool:
        """Whether something is written that no logger has read."""
        return any(_unread_bytes(fd) for fd in self._read_ends.values())

    def close_read_ends(self) -> None:
        """Close our copies. Idempotent."""
        for fd in self._read_ends.values():
            os.close(fd)
        self._read_ends = {}


class LogSink:
    """Pipes and lines for the logger; all methods in the supervisor's thread, none blocks.

    Args:
        folder: where the logger writes.
        loop: tries again what the logger did not take at once; without one, the next call does.
    """

    def __init__(self, folder: Path, loop: Loop | None = None) -> None:
        self._folder = folder
        self._loop = loop
        self._link: socket.socket | None = None
        self._pipes: list[Pipes] = []
        self._released: list[Pipes] = []
        self._lines: deque[dict[str, Any]] = deque()
        self._dropped = 0
        self._is_retrying = False

    def open(self, instance: str) -> Pipes:
        """Make the pipes for one process; no end is inherited by exec unless handed on."""
        ends: dict[str, int] = {}
        writes: list[int] = []
        for stream in STREAMS:
            reads, write = os.pipe2(os.O_CLOEXEC)
            ends[stream] = reads
            writes.append(write)
        pipes = Pipes(instance, (writes[0], writes[1]), ends)
        self._pipes.append(pipes)
        self._send()
        return pipes

    def release(self, pipes: Pipes) -> None:
        """The process has ended: keep its pipes only until a logger has read them."""
        if pipes in self._pipes:
            self._pipes.remove(pipes)
            pipes.released_at = time.monotonic()
            self._released.append(pipes)
            self._send()

    def attach_logger(self, link: socket.socket) -> None:
        """Give everything to a new logger: all pipes, and the lines that waited."""
        link.setblocking(False)
        self._link = link
        for pipes in [*self._released, *self._pipes]:
            pipes.is_attached = False
        self._send()

    def detach_logger(self) -> None:
        """The logger has gone; another one will come. Idempotent."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def log(self, record: dict[str, Any]) -> None:
        """Write one line of the stack's own: ``{"level", "message", …}``; dropped when too many."""
        now = time.time()
        micros = int(now % 1 * 1_000_000)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{micros:06d}Z"
        message = str(record.get("message", ""))
        if len(message) > LONGEST_LINE:
            message = message[:LONGEST_LINE] + "…"
        self._lines.append({**record, "message": message, "at": at})
        if len(self._lines) > WAITING_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._send()

    def last_lines(self, instance: str, count: int = 20) -> list[str]:
        """Give the last lines that an Instance wrote to either stream, stderr last."""
        found: list[str] = []
        for stream in STREAMS:
            try:
                with open(self._folder / file_name(instance, stream), "rb") as file:
                    raws = last_lines(file, count)
            except OSError:
                continue
            found += [raw.decode("utf-8", "replace").partition(" ")[2] for raw in raws]
        return found

    def close(self) -> None:
        """Let the logger write what is left, and end."""
        self._send()
        for pipes in [*self._pipes, *self._released]:
            pipes.close_read_ends()
        self._pipes.clear()
        self._released.clear()
        self.detach_logger()

    def _send(self) -> None:
        """Give the logger what it has not got, as far as it takes it now."""
        if self._link is None:
            return
        is_done = self._attach() and self._send_lines()
        self._let_go()
        if self._loop is not None and not self._is_retrying and (not is_done or self._released):
            self._is_retrying = True
            self._loop.call_later(_RETRY_S, self._retry)

    def _retry(self) -> None:
        self._is_retrying = False
        self._send()

    def _attach(self) -> bool:
        missing = [p for p in [*self._released, *self._pipes] if not p.is_attached]
        for first in range(0, len(missing), _BATCH):
            batch = missing[first : first + _BATCH]
            about = [{"instance": p.instance, "stream": s} for p in batch for s in p.read_ends()]
            fds = tuple(fd for p in batch for fd in p.read_ends().values())
            if not self._send_packet({"attach": about}, fds):
                return False
            for pipes in batch:
                pipes.is_attached = True
        return True

    def _send_lines(self) -> bool:
        if self._dropped:
            text = f"{self._dropped} lines of the stack's own could not be written and are lost"
            if not self._send_packet({"line": {"level": "WARNING", "message": text}}):
                return False
            self._dropped = 0
        while self._lines:
            if not self._send_packet({"line": self._lines[0]}):
                return False
            self._lines.popleft()
        return True

    def _send_packet(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> bool:
        if self._link is None:
            return False
        try:
            return channel.send(self._link, message, fds)
        except OSError:
            # Too many descriptors under way: the logger has to take some first.
            return False

    def _let_go(self) -> None:
        """Close our copies of what the logger has, and has read."""
        latest = time.monotonic() - _RELEASE_S
        for pipes in list(self._released):
            if pipes.is_attached and (pipes.released_at < latest or not pipes.has_content()):
                pipes.close_read_ends()
                self._released.remove(pipes)


def _unread_bytes(fd: int) -> int:
    found: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
    return found
