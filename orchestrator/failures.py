"""What has failed: the last failures of each Instance and of the Router, with the evidence.

A record is a plain dictionary, so that it can be kept in a file and sent to whoever asks::

    {"name", "incarnation", "pid", "cause", "code", "signal", "at", "lived_s", "was_ready", "then",
     "heartbeat": {...} | None, "lines": [[at, stream, text], ...], "tracebacks": text | None}

They are kept below ``run_dir`` and outlive the stack, bounded in number and size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Failures that are kept of each.
KEPT = 10
#: Lines that are kept with a failure, and the characters of one.
LINES = 30
LINE_CHARACTERS = 500
#: Characters of tracebacks; a hundred threads have that many.
TRACEBACK_CHARACTERS = 60_000

Failure = dict[str, Any]


class Failures:
    """The failures of one stack; each method reads or writes one small file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name: str) -> list[Failure]:
        """Give the failures of ``search:0`` or ``router``, the last one last."""
        try:
            text = self._path(name).read_text(errors="replace")
        except OSError:
            return []
        return [record for line in text.splitlines() if (record := _parsed(line)) is not None]

    def names(self) -> list[str]:
        """Name everybody of whom failures are known."""
        try:
            files = sorted(self._folder.glob("*.jsonl"))
        except OSError:
            return []
        return [file.stem.replace("-", ":") for file in files]

    def add(self, failure: Failure) -> None:
        """Keep one more.

        Raises:
            OSError: it cannot be written.
        """
        path = self._path(failure["name"])
        try:
            former = path.read_text(errors="replace").splitlines(keepends=True)
        except OSError:
            former = []
            self._folder.mkdir(mode=0o700, exist_ok=True)
        # The former ones as they are: in a crash loop there is one after the other.
        kept = [*(line for line in former if line.endswith("\n")), json.dumps(failure) + "\n"]
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text("".join(kept[-KEPT:]))
        new.replace(path)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace(':', '-')}.jsonl"


def bounded(lines: Sequence[tuple[float, str, str]], tracebacks: str | None) -> dict[str, Any]:
    """Give the evidence in the size in which it is kept."""
    kept = [[at, stream, text[:LINE_CHARACTERS]] for at, stream, text in lines[-LINES:]]
    cut = None if not tracebacks else tracebacks[:TRACEBACK_CHARACTERS]
    return {"lines": kept, "tracebacks": cut}


def _parsed(line: str) -> Failure | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "cause" in record else None
