"""Reading the logs: merged in time order, followed across rotations and restarts.

Files are read as they are, so this works with the stack down and needs nothing of it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.logs.files import FileFollower, last_lines, open_newest_first
from orchestrator.logs.names import STACK, file_name, parse_file_name

#: Seconds between two looks of a follower.
POLL_S = 0.05
#: Seconds that a follower holds a line back, so that an older one of another file comes first.
HOLD_S = 0.03


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
            found += _read(path, instance, stream, since, tail)
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
        self._files: dict[Path, tuple[FileFollower, str, str]] = {}
        # Each with the time of its reading: a stamp from before a clock was set back says nothing.
        self._held: list[tuple[LogLine, float]] = []
        self._look(last_bytes=None if from_start else 0)

    def poll(self) -> list[LogLine]:
        """Give the lines that have come since, in time order; never blocks."""
        before, read_before = time.time() - HOLD_S, time.monotonic() - HOLD_S
        # Files that were not there at the beginning are read from their beginning.
        self._look(last_bytes=None)
        for follower, instance, stream in self._files.values():
            text = follower.read()
            now = time.monotonic()
            for raw in text.split(b"\n")[:-1]:
                line = parse_line(raw, instance, stream)
                if line is not None:
                    self._held.append((line, now))
        ready = [line for line, at in self._held if line.at <= before or at <= read_before]
        self._held = [(x, at) for x, at in self._held if x.at > before and at > read_before]
        ready.sort(key=lambda line: line.at)
        return ready

    def rest(self) -> list[LogLine]:
        """Give everything that there is, also what is held back; for the end."""
        ready = self.poll()
        held, self._held = self._held, []
        return ready + sorted((line for line, _ in held), key=lambda line: line.at)

    def close(self) -> None:
        """Close the files. Idempotent."""
        for follower, _, _ in self._files.values():
            follower.close()

    def __iter__(self) -> Iterator[LogLine]:
        """Give lines for ever; waits between them."""
        while True:
            lines = self.poll()
            yield from lines
            if not lines:
                time.sleep(POLL_S)

    def _look(self, last_bytes: int | None) -> None:
        for path, instance, stream in self._reader._files(self._names):
            if path not in self._files:
                self._files[path] = FileFollower(path, last_bytes), instance, stream


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
    if not at.endswith("Z"):
        raise ValueError(at)
    return datetime.fromisoformat(at).timestamp()


def _read(
    path: Path, instance: str, stream: str, since: float | None, tail: int | None
) -> list[LogLine]:
    """Read one log, all its files, in the order of writing."""
    parts: list[list[LogLine]] = []
    missing = tail
    for file in open_newest_first(path):
        with file:
            is_older = since is not None and os.fstat(file.fileno()).st_mtime < since
            if is_older or missing == 0:
                break
            raws = file.read().split(b"\n")[:-1] if missing is None else last_lines(file, missing)
        parsed = (parse_line(raw, instance, stream) for raw in raws)
        parts.append([line for line in parsed if line is not None])
        if missing is not None:
            missing = max(0, missing - len(parts[-1]))
    return [line for part in reversed(parts) for line in part]


def _is_meant(instance: str, names: Sequence[str]) -> bool:
    if not names or "all" in names:
        return True
    return instance in names or instance.partition(":")[0] in names


__all__ = ["STACK", "Follower", "LogLine", "LogReader", "parse_line"]
