"""Reading the logs: merged in time order, followed across rotations and restarts.

Files are read as they are, so this works with the stack down and needs nothing of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from orchestrator.logs.names import STACK, file_name, parse_file_name

#: Seconds between two looks of a follower.
POLL_S = 0.05
#: Seconds that a follower holds a line back, so that an older one of another file comes first.
HOLD_S = 0.03
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, order=True)
class LogLine:
    """One line: when (seconds since the epoch), whose, from which stream, and its text."""

    at: float
    instance: str
    stream: str
    text: str


class LogReader:
    """All logs of one stack; thread-safe, since it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(
        self,
        names: Sequence[str] = (),
        *,
        since: float | None = None,
        tail: int | None = None,
    ) -> list[LogLine]:
        """Give lines in time order.

        Args:
            names: Peers (``search``), Instances (``search:0``), ``router``, ``stack``; none: all.
            since: seconds since the epoch; only lines from then on.
            tail: only so many of the last lines.
        """
        found: list[LogLine] = []
        for path, instance, stream in self._files(names):
            for rotated in _generations(path):
                found += _read_file(rotated, instance, stream, tail)
        if since is not None:
            found = [line for line in found if line.at >= since]
        found.sort(key=lambda line: line.at)
        return found if tail is None else found[len(found) - min(tail, len(found)) :]

    def follow(self, names: Sequence[str] = (), *, from_start: bool = False) -> Follower:
        """Give a follower of what is written from now on (``from_start``: of all there is)."""
        return Follower(self, names, from_start)

    def path_of(self, instance: str, stream: str = "stdout") -> Path:
        """Give the newest log file of one stream, whether it exists or not."""
        return self.folder / file_name(instance, stream)

    def _files(self, names: Sequence[str]) -> Iterator[tuple[Path, str, str]]:
        try:
            entries = sorted(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            parsed = parse_file_name(entry)
            if parsed is not None and _is_meant(parsed[0], names):
                yield self.folder / entry, *parsed


class Follower:
    """Follows files through rotations and restarts; not thread-safe."""

    def __init__(self, reader: LogReader, names: Sequence[str], from_start: bool) -> None:
        self._reader = reader
        self._names = names
        self._files: dict[Path, _Followed] = {}
        self._held: list[LogLine] = []
        self._look(at_end=not from_start)

    def poll(self) -> list[LogLine]:
        """Give the lines that have come since, in time order; never blocks."""
        before = time.time() - HOLD_S
        self._look(at_end=False)
        for followed in self._files.values():
            self._held += followed.read()
        self._held.sort(key=lambda line: line.at)
        ready = [line for line in self._held if line.at <= before]
        self._held = self._held[len(ready) :]
        return ready

    def rest(self) -> list[LogLine]:
        """Give everything that there is, also what is held back; for the end."""
        lines = self.poll() + self._held
        self._held = []
        return lines

    def __iter__(self) -> Iterator[LogLine]:
        """Give lines for ever; waits between them."""
        while True:
            lines = self.poll()
            yield from lines
            if not lines:
                time.sleep(POLL_S)

    def _look(self, *, at_end: bool) -> None:
        for path, instance, stream in self._reader._files(self._names):
            if path not in self._files:
                self._files[path] = _Followed(path, instance, stream, at_end)


class _Followed:
    """One file and how far it has been read; goes on in the next when it is rotated."""

    def __init__(self, path: Path, instance: str, stream: str, at_end: bool) -> None:
        self._path = path
        self._instance = instance
        self._stream = stream
        self._half = b""
        # Open across polls, so that what is written before a rotation is not missed.
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115
        if at_end:
            self._file.seek(0, os.SEEK_END)

    def read(self) -> list[LogLine]:
        lines = self._take()
        while self._is_rotated():
            # Whatever was written before the rename is in the old one; read that to its end.
            lines += self._take()
            old = self._file
            try:
                self._file = self._next_generation()
            except FileNotFoundError:
                break
            old.close()
            lines += self._take()
        return lines

    def _next_generation(self) -> BinaryIO:
        """Open the file that was begun after the one that we have."""
        inode = os.fstat(self._file.fileno()).st_ino
        newer = self._path
        for generation in _generations(self._path)[::-1]:
            try:
                if generation.stat().st_ino == inode:
                    break
            except FileNotFoundError:
                continue
            newer = generation
        return open(newer, "rb")

    def _is_rotated(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _take(self) -> list[LogLine]:
        found: list[LogLine] = []
        while block := self._file.read(_BLOCK):
            *whole, self._half = (self._half + block).split(b"\n")
            for raw in whole:
                line = parse_line(raw, self._instance, self._stream)
                if line is not None:
                    found.append(line)
        return found


def parse_line(raw: bytes, instance: str, stream: str) -> LogLine | None:
    """Read one line of a log file, of either format; None for what is none."""
    text = raw.decode("utf-8", "replace")
    if text.startswith("{"):
        try:
            record = json.loads(text)
            return LogLine(_epoch(record["at"]), instance, stream, str(record["text"]))
        except (ValueError, KeyError, TypeError):
            return None
    at, _, rest = text.partition(" ")
    try:
        return LogLine(_epoch(at), instance, stream, rest)
    except ValueError:
        return None


def _epoch(at: str) -> float:
    return datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()


def _generations(path: Path) -> list[Path]:
    """Give the rotated files of a log, the oldest first, the newest (without a number) last."""
    numbered = sorted(
        (p for p in path.parent.glob(f"{path.name}.*") if p.suffix[1:].isdigit()),
        key=lambda p: -int(p.suffix[1:]),
    )
    return [*numbered, path]


def _read_file(path: Path, instance: str, stream: str, tail: int | None) -> list[LogLine]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    raw = content.split(b"\n")
    if tail is not None:
        raw = raw[-tail - 1 :]
    lines = (parse_line(line, instance, stream) for line in raw)
    return [line for line in lines if line is not None]


def _is_meant(instance: str, names: Sequence[str]) -> bool:
    if not names or "all" in names:
        return True
    return instance in names or instance.partition(":")[0] in names


__all__ = ["STACK", "Follower", "LogLine", "LogReader", "parse_line"]
