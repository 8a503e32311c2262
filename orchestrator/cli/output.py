"""Tables, colours and JSON for people and programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

#: Of the prefixes of log lines; a name keeps its colour from run to run.
PREFIX_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")

STATE_COLOURS = {
    "RUNNING": "green",
    "STARTING": "yellow",
    "BACKOFF": "yellow",
    "STOPPING": "yellow",
    "FATAL": "red",
}


def is_coloured() -> bool:
    """Tell whether standard output is a terminal that shows colours."""
    import os

    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def redraws(fd: int) -> bool:
    """Tell whether a descriptor is a terminal on which a line can be written anew."""
    import os

    return os.isatty(fd) and os.environ.get("TERM", "dumb") != "dumb"


def colour_of(name: str) -> str:
    """Give the colour of a Peer's prefix."""
    return PREFIX_COLOURS[sum(name.encode()) % len(PREFIX_COLOURS)]


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def json_line(value: Any) -> str:
    """Give a WAMP value as one line of JSON; binary strings as WAMP's JSON has them."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        import base64

        return "\0" + base64.b64encode(bytes(value)).decode()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    style: Callable[[str, str], str | None] = lambda title, cell: None,
) -> str:
    """Lay out a table in columns, as wide as it needs to be: programs may cut it up.

    Args:
        titles: of the columns.
        rows: the cells, as many as titles.
        right: titles of the columns that are aligned to the right.
        style: gives the colour of a cell from its title and text; asked on a terminal only.
    """
    widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles))]
    colours = is_coloured()
    lines = []
    for row in (titles, *rows):
        cells = []
        for title, cell, width in zip(titles, row, widths, strict=True):
            padded = cell.rjust(width) if title in right else cell.ljust(width)
            colour = style(title, cell) if colours and row is not titles else None
            cells.append(click.style(padded, fg=colour) if colour else padded)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def duration_text(seconds: float | None) -> str:
    """Give ``0.4s``, ``12s``, ``3m05s``, ``2h07m`` or ``3d04h``."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def size_text(size_bytes: int | None) -> str:
    """Give ``1.5M`` and the like, in powers of 1024."""
    if size_bytes is None:
        return "-"
    value = float(size_bytes)
    for unit in ("B", "K", "M"):
        if value < 1024:
            return f"{value:.0f}{unit}" if unit == "B" else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}G"
