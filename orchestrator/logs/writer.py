"""The logger process: takes every Instance's output and writes it to files.

A flood, a full disk or a stopped logger ends here: the supervisor never waits for it. It imports
the standard library's smallest parts only, since it lives as long as the stack.

On its socket, one packet each: ``{"attach": [{"instance", "stream"}, …]}`` with the read ends of as
many pipes; ``{"line": {...}}``, a line of the stack's own. The socket's end means that all is over:
what is still in the pipes is written, for a bounded time, then the process ends.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import time
from typing import Any

from orchestrator import channel
from orchestrator.logs.names import MERGED, STACK, STREAMS, file_name

#: A line longer than this is cut in several.
LONGEST_LINE = 64 * 1024
#: Seconds after which half a line is written as it is.
HALF_LINE_S = 0.5
#: Seconds at the end for what is still in the pipes.
LAST_S = 1.0
_READ_SIZE = 64 * 1024


class LogFile:
    """One rotated file; what cannot be written is dropped and counted.

    Args:
        path: of the newest file; older ones have ``.1``, ``.2`` … behind.
        max_bytes: it is rotated when it would grow beyond.
        keep: so many files in all, the newest included.
    """

    def __init__(self, path: str, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1
        self._size = 0
        self.dropped = 0

    def write(self, lines: list[bytes]) -> None:
        """Write whole lines, each with its end, in one write where possible."""
        try:
            if self._fd < 0:
                self._open()
            text = b"".join(lines)
            if self._size and self._size + len(text) > self._max_bytes:
                self._rotate()
            written = os.write(self._fd, text)
            self._size += written
            if written < len(text):
                # The disk is full: take half a line back, so that the next one begins afresh.
                whole = text.rfind(b"\n", 0, written) + 1
                os.ftruncate(self._fd, self._size - (written - whole))
                self._size -= written - whole
                self.dropped += text.count(b"\n", whole)
        except OSError:
            # No space, no folder, no permission: the stack lives on, its lines are counted.
            self.dropped += len(lines)
            self.close()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep - 1, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number}")
        if self._keep == 1:
            os.unlink(self._path)
        self._open()

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Stream:
    """One pipe: bytes to lines."""

    def __init__(self, fd: int, instance: str, stream: str) -> None:
        self.fd = fd
        self.instance = instance
        self.stream = stream
        self.half = b""
        self.half_since = 0.0

    def feed(self, received: bytes, now: float) -> list[bytes]:
        """Take bytes and give the lines that are whole now, without their ends."""
        *lines, half = (self.half + received).split(b"\n")
        if half and not (self.half and not lines):
            self.half_since = now
        while len(half) > LONGEST_LINE:
            cut = _character_start(half, LONGEST_LINE)
            lines.append(half[:cut])
            half = half[cut:]
        self.half = half
        return lines

    def take_half(self) -> list[bytes]:
        """Give the half line there is, if there is one."""
        half, self.half = self.half, b""
        return [half] if half else []


class Logger:
    """All pipes and files of a stack; one thread."""

    def __init__(
        self, link: socket.socket, log_dir: str, max_bytes: int, keep: int, format: str
    ) -> None:
        self._link = link
        self._folder = log_dir
        self._max_bytes = max_bytes
        self._keep = keep
        self._is_json = format == "json"
        self._files: dict[str, LogFile] = {}
        self._streams: dict[int, Stream] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ, None)

    def run(self) -> None:
        """Write until the supervisor's end of the socket closes."""
        link_open = True
        deadline = float("inf")
        while (link_open or self._streams) and time.monotonic() < deadline:
            halves = any(stream.half for stream in self._streams.values())
            timeout_s = HALF_LINE_S / 2 if halves or not link_open else None
            for key, _ in self._selector.select(timeout_s):
                if key.data is not None:
                    self._read(key.data)
                elif not self._command():
                    link_open = False
                    deadline = time.monotonic() + LAST_S
                    self._selector.unregister(self._link)
            self._flush_halves()
        for stream in list(self._streams.values()):
            self._write(stream, stream.take_half())

    def _command(self) -> bool:
        received = channel.receive(self._link)
        if received is None:
            return False
        message, fds = received
        if "attach" in message:
            for about, fd in zip(message["attach"], fds, strict=False):
                os.set_blocking(fd, False)
                stream = Stream(fd, about["instance"], about["stream"])
                self._streams[fd] = stream
                self._selector.register(fd, selectors.EVENT_READ, stream)
        elif "line" in message:
            self._write_own(message["line"])
        return True

    def _read(self, stream: Stream) -> None:
        try:
            received = os.read(stream.fd, _READ_SIZE)
        except BlockingIOError:
            return
        if received:
            self._write(stream, stream.feed(received, time.monotonic()))
            return
        self._write(stream, stream.take_half())
        self._selector.unregister(stream.fd)
        del self._streams[stream.fd]
        os.close(stream.fd)

    def _flush_halves(self) -> None:
        now = time.monotonic()
        for stream in self._streams.values():
            if stream.half and now - stream.half_since >= HALF_LINE_S:
                self._write(stream, stream.take_half())

    def _write(self, stream: Stream, lines: list[bytes]) -> None:
        if lines:
            at = _now()
            instance, kind = stream.instance, stream.stream
            texts = [line.decode("utf-8", "backslashreplace").rstrip("\r") for line in lines]
            whole = [self._line(at, instance, kind, {"text": text}) for text in texts]
            self._put(file_name(instance, kind), at, whole)
            self._merge(f"{instance} {STREAMS[kind]}", at, whole)

    def _write_own(self, record: dict[str, Any]) -> None:
        level = record.get("level", "INFO")
        message = str(record.get("message", ""))
        fields = record if self._is_json else {"text": f"{level} {message}"}
        at = record.pop("at", None) or _now()
        lines = [self._line(at, STACK, "stdout", {**fields, "text": fields.get("text", message)})]
        self._put(file_name(STACK, "stdout"), at, lines)
        self._merge(STACK, at, lines)

    def _merge(self, who: str, at: str, lines: list[bytes]) -> None:
        """Write lines once more, into the file that has all; JSON tells by itself who wrote it."""
        if not self._is_json:
            stamp = f"{at} ".encode()
            lines = [stamp + who.encode() + b" " + line.removeprefix(stamp) for line in lines]
        self._put(MERGED, at, lines)

    def _line(self, at: str, instance: str, stream: str, fields: dict[str, Any]) -> bytes:
        if self._is_json:
            record = {"at": at, "instance": instance, "stream": stream, **fields}
            return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        # A carriage return within a line would let it overwrite what stands before it.
        text = fields["text"].replace("\r", "\\r").replace("\n", "\\n")
        return f"{at} {text}\n".encode("utf-8", "replace")

    def _put(self, name: str, at: str, lines: list[bytes]) -> None:
        file = self._files.get(name)
        if file is None:
            path = os.path.join(self._folder, name)
            file = self._files[name] = LogFile(path, self._max_bytes, self._keep)
        if file.dropped:
            text = f"{file.dropped} lines could not be written and are lost"
            lost = self._line(at, STACK, "stdout", {"text": text})
            before, file.dropped = file.dropped, 0
            file.write([lost])
            if file.dropped:
                file.dropped = before
        file.write(lines)


def _character_start(text: bytes, position: int) -> int:
    """Give the last place up to ``position`` at which no UTF-8 character is cut in two."""
    for start in range(position, position - 4, -1):
        if text[start] & 0xC0 != 0x80:
            return start
    return position


def _now() -> str:
    """Give the time of day, UTC, with microseconds."""
    now = time.time()
    micros = int(now % 1 * 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{micros:06d}Z"


def run_logger(sock_fd: int, log_dir: str, max_size_bytes: int, keep: int, format: str) -> None:
    """Be the logger process until the supervisor is gone; returns then."""
    link = socket.socket(fileno=sock_fd)
    Logger(link, log_dir, max_size_bytes, keep, format).run()
