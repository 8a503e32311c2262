"""Log lines as people read them: in time order, each with the coloured name of who wrote it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.output import colour_of
from orchestrator.logs.names import STACK
from orchestrator.logs.reader import LogLine, LogReader

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest

#: Lines that are this much older than the beginning of following cannot have been read twice.
_OVERLAP_S = 2.0


class LineStyle:
    """How lines look: ``search:0 | text``, in colour on a terminal; or JSON."""

    def __init__(
        self, manifest: Manifest, *, colours: bool, times: bool = False, as_json: bool = False
    ) -> None:
        names = [
            f"{name}:{max(0, peer.spec.replicas - 1)}" for name, peer in manifest.peers.items()
        ]
        self._width = max(len(name) for name in ["router", *names])
        self._colours = colours
        self._times = times
        self._as_json = as_json

    def line(self, line: LogLine) -> bytes:
        """Give one line with its end."""
        if self._as_json:
            return json.dumps(_as_record(line), ensure_ascii=False).encode() + b"\n"
        name = "wampy" if line.instance == STACK else line.instance
        prefix = f"{name.ljust(self._width)} |"
        if self._colours:
            prefix = click.style(prefix, fg=colour_of(name.partition(":")[0]))
        time = f"{datetime.fromtimestamp(line.at):%H:%M:%S.%f}"[:-3] + " " if self._times else ""
        # A lone surrogate in a log must not end the one who looks at it.
        return f"{prefix} {time}{line.text}\n".encode(errors="replace")


def _as_record(line: LogLine) -> dict[str, Any]:
    return {
        "at": line.at,
        "instance": line.instance,
        "stream": line.stream,
        "text": line.text,
    }


class LogLines:
    """What is written from the making of this object on, formatted; not thread-safe."""

    def __init__(self, manifest: Manifest, style: LineStyle, names: tuple[str, ...] = ()) -> None:
        self._style = style
        reader = LogReader(manifest.stack.run_dir / "logs")
        self._follower = reader.follow(names)
        self._shown: Counter[LogLine] = Counter()

    def already_shown(self, lines: list[LogLine]) -> None:
        """Leave out lines that were read before, and may have been written since the making."""
        newest = lines[-1].at if lines else 0.0
        self._shown = Counter(line for line in lines if line.at > newest - _OVERLAP_S)

    def poll(self, is_last: bool) -> Iterable[bytes]:
        """Give the lines that have come since; never blocks.

        Args:
            is_last: give also what is held back for the sake of the order.
        """
        for line in self._follower.rest() if is_last else self._follower.poll():
            if self._shown[line] > 0:
                self._shown[line] -= 1
            else:
                yield self._style.line(line)
