"""``wampy logs``."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Invocation, check_names
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.output import is_coloured

if TYPE_CHECKING:
    from orchestrator.cli.following import LogLines

#: Seconds between two looks of a follower.
_POLL_S = 0.05


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C, through any restart.")
@click.option(
    "-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines."
)
@click.option("--since", metavar="T", help="Only since 5m ago, or since 2026-01-31T12:00:00.")
@click.option("-t", "--times", is_flag=True, help="With the time of each line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.pass_obj
def command(
    invocation: Invocation,
    names: tuple[str, ...],
    follow: bool,
    tail: int | None,
    since: str | None,
    times: bool,
    as_json: bool,
) -> int:
    """Show what Peers, Router and the stack itself wrote, merged in time order.

    NAME is a Peer, an Instance (search:0), router or stack. Works with the stack down, too.
    """
    since_at = None if since is None else parse_since(since, time.time())
    manifest = invocation.manifest()
    check_names(manifest, names, extra=("router", "stack"))
    folder = manifest.stack.run_dir / "logs"
    if not folder.is_dir() and not follow:
        from orchestrator.errors import NoSuchStack

        raise NoSuchStack(f"there are no logs in {folder}: no stack has run here")
    from orchestrator.cli.following import LineStyle, LogLines
    from orchestrator.logs.reader import LogReader

    style = LineStyle(manifest, colours=is_coloured(), times=times, as_json=as_json)
    lines = LogLines(manifest, style, names)
    past = LogReader(folder).read(names, since=since_at, tail=tail)
    lines.already_shown(past)
    out = sys.stdout.buffer
    for line in past:
        out.write(style.line(line))
    out.flush()
    if follow:
        _follow(lines)
    return ExitCode.DONE


def _follow(lines: LogLines) -> None:
    # Written without a buffer, so that a pager or `grep` sees each line at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        text = b"".join(lines.poll(False))
        if not text:
            time.sleep(_POLL_S)
        while text:
            text = text[os.write(1, text) :]


def parse_since(text: str, now: float) -> float:
    """Give the instant, seconds since the epoch, that ``--since`` means.

    Args:
        text: a duration before ``now``, or an ISO 8601 date and time; local without a zone.
        now: seconds since the epoch.

    Raises:
        UsageError: it is neither.
    """
    from orchestrator.manifest.quantities import parse_duration_s

    try:
        return now - parse_duration_s(text, bare=True)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise click.UsageError(
            f'--since: expected a duration such as 5m, or 2026-01-31T12:00:00, got "{text}"'
        ) from None
