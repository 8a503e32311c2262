"""One fault of the manifest, and how it is worded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Where a value stands: keys, and places in lists counted from 0.
Path = tuple["str | int", ...]

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one place of the manifest.

    Attributes:
        file: the manifest as it is to be shown to the user.
        line: counted from 1; None when the fault has no line (no such file).
        where: ``[peers.search] replicas``; empty when the fault is about the whole file.
        message: what was expected and what was found, without any secret.
    """

    file: str
    line: int | None
    where: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.where, self.message) if part)


def where(path: Path) -> str:
    """Give ``[peers.search] backoff.initial`` for a path."""
    size = _header_size(path)
    header = ".".join(str(part) for part in path[:size])
    if size == 3 and len(path) > size:
        # One of several tables with the same header; which one is told by the line.
        size, header = size + 1, f"[{header}]"
    key = ""
    for part in path[size:]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return f"[{header}] {key}".strip()


def _header_size(path: Path) -> int:
    """Count how many parts of a path are the table that a manifest usually spells as a header."""
    if path[:1] == ("peers",):
        return min(2, len(path))
    if path[:1] == ("router",) and len(path) > 1:
        return {"auth": 2, "limits": 2, "roles": min(3, len(path))}.get(str(path[1]), 1)
    return 1


def shown(value: Any, *, secret: bool = False) -> str:
    """Give a value as TOML would spell it, cut to length; of a secret only its type."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if secret:
            return "a string" if value else "an empty string"
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = "a number" if secret else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give ``; did you mean "replicas"?``, or nothing when no known name is near."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
