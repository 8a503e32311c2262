"""Log files that are rotated while they are read: no line lost, none twice.

The writer renames upwards (``x.log`` to ``x.log.1`` to ``x.log.2`` …) and never writes to a file
again once it is renamed. So whoever opens them from the newest to the oldest may meet one file
twice, which its inode tells, but never misses one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 16


def open_newest_first(path: Path) -> Iterator[BinaryIO]:
    """Open a log's files one by one, the newest first; the caller closes each."""
    seen: set[int] = set()
    number = 0
    while number <= _highest_number(path) + 1:
        name = path if number == 0 else path.with_name(f"{path.name}.{number}")
        number += 1
        try:
            file = open(name, "rb")  # noqa: SIM115
        except FileNotFoundError:
            continue
        inode = os.fstat(file.fileno()).st_ino
        if inode in seen:
            file.close()
            continue
        seen.add(inode)
        yield file


def last_lines(file: BinaryIO, count: int) -> list[bytes]:
    """Give the last ``count`` whole lines, without their ends, reading no more than needed."""
    position = file.seek(0, os.SEEK_END)
    blocks: list[bytes] = []
    ends = 0
    while position > 0 and ends <= count:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        blocks.append(file.read(size))
        ends += blocks[-1].count(b"\n")
    lines = b"".join(reversed(blocks)).split(b"\n")[:-1]
    return lines[len(lines) - min(count, len(lines)) :]


class FileFollower:
    """Reads a log on and on, through rotations; it need not be there yet. Not thread-safe.

    Args:
        path: of the newest file.
        last_bytes: begin so many bytes before its end, at a line's beginning; None: at the oldest
            file's beginning.
    """

    def __init__(self, path: Path, last_bytes: int | None) -> None:
        self._path = path
        self._half = b""
        # Open across reads, so that what was written before a rotation is not missed.
        self._file: BinaryIO | None = None
        if last_bytes is None:
            self._switch()
            return
        with contextlib.suppress(FileNotFoundError):
            self._file = open(path, "rb")  # noqa: SIM115
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(max(0, size - last_bytes))
            if 0 < last_bytes < size:
                self._file.readline()

    def read(self, limit_bytes: int = 1 << 24) -> bytes:
        """Give whole lines that have come since, not much more than ``limit_bytes`` of them."""
        found: list[bytes] = []
        count = 0
        while count < limit_bytes:
            block = self._read_block()
            if not block and self._is_rotated():
                # Something may have been written between that read and the rename.
                block = self._read_block()
                if not block:
                    # The writer leaves no half lines; a disk that was full may have.
                    self._half = b""
                    if not self._switch():
                        break
                    continue
            if not block:
                break
            count += len(block)
            whole, end, self._half = (self._half + block).rpartition(b"\n")
            found += (whole, end)
        return b"".join(found)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_block(self) -> bytes:
        if self._file is None:
            return b""
        block = self._file.read(BLOCK_BYTES)
        if not block:
            self._follow_truncation(self._file)
        return block

    def _follow_truncation(self, file: BinaryIO) -> None:
        """A full disk makes the writer take a half line back; people empty log files."""
        position, size = file.tell(), os.fstat(file.fileno()).st_size
        if size < position:
            file.seek(size if size >= position - len(self._half) else 0)
            self._half = b""

    def _is_rotated(self) -> bool:
        try:
            newest = self._path.stat().st_ino
        except FileNotFoundError:
            return False
        return self._file is None or newest != os.fstat(self._file.fileno()).st_ino

    def _switch(self) -> bool:
        """Go on in the file that was begun after ours, or in the oldest when ours is gone."""
        ours = None if self._file is None else os.fstat(self._file.fileno()).st_ino
        newer: BinaryIO | None = None
        for file in open_newest_first(self._path):
            if os.fstat(file.fileno()).st_ino == ours:
                file.close()
                break
            if newer is not None:
                newer.close()
            newer = file
        if newer is None:
            return False
        self.close()
        self._file = newer
        return True


def _highest_number(path: Path) -> int:
    prefix = path.name + "."
    numbers = [0]
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(path.parent):
            if name.startswith(prefix) and name[len(prefix) :].isdecimal():
                numbers.append(int(name[len(prefix) :]))
    return max(numbers)
