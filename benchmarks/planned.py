"""Two replicas under steady calls while they are rolled, scaled, reloaded and recycled.

500 calls/s to two replicas, beside them calls that take a second; each kind of change is made so
many times, one after the other, without a pause. Lost is a call without a result.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.common import arguments, pair_ms, say, temporary_folder, wait_for, write_rows
from benchmarks.stack_soak import stack as stack_soak
from benchmarks.stack_soak.load import RATE, Load
from orchestrator import Stack

MANIFEST = """
[stack]
name = "planned"
[router]
port = 0
[peers.echo]
app = "echo:Serving"
replicas = 2
{more}
"""
#: Calls after which an Instance is recycled: some two seconds of them.
RECYCLED_AFTER = 500
_versions = itertools.count(1)


def scale(stack: Stack) -> None:
    stack.scale("echo", 4)
    time.sleep(0.5)  # until the new ones have calls under way, of a second too
    stack.scale("echo", 2)


def write_code(folder: Path) -> None:
    stack_soak.write_code(folder, "echo", str(next(_versions)))


def reload(stack: Stack, folder: Path) -> None:
    write_code(folder)
    if not stack.reload():
        raise SystemExit("nothing was reloaded")


def recycle(stack: Stack, after: int) -> None:
    """Wait until one more Instance has been replaced for its calls."""

    def incarnations() -> int:
        return sum(row["incarnation"] for row in stack.ps()["instances"])

    wait_for(lambda: incarnations() >= after, 60, "an Instance is recycled", 0.02)


def measure(title: str, stack: Stack, times: int, act: Callable[[int], None]) -> list[str]:
    """Do it so many times under load; gives the row."""
    seconds = []
    with Load(stack.ps()["router"]["url"], ["echo"]) as load:
        for number in range(times):
            began = time.monotonic()
            act(number)
            seconds.append(time.monotonic() - began)
    say(f"   {title}: {len(load.lost)} lost")
    for one in load.lost[:5]:
        say(f"      {one.name}: {one.error}")
    calls = f"{load.count:,} and {load.slow_count:,}"
    return [title, str(times), pair_ms(seconds), calls, str(len(load.lost))]


def main() -> int:
    options = arguments(__doc__, times=20)
    rows = []
    with temporary_folder() as folder:
        write_code(folder)
        (folder / "common.py").write_text(stack_soak.COMMON)
        manifest = folder / "wampy.toml"
        manifest.write_text(MANIFEST.format(more=""))
        with Stack.from_manifest(manifest) as stack:
            times = options.times
            rows.append(measure("rolling restart", stack, times, lambda n: stack.restart("echo")))
            rows.append(measure("scaled to 4 and back to 2", stack, times, lambda n: scale(stack)))
            act = partial(reload, stack, folder)
            rows.append(measure("reload of changed code", stack, times, lambda n: act()))
        manifest.write_text(MANIFEST.format(more=f"max_calls = {RECYCLED_AFTER}"))
        with Stack.from_manifest(manifest) as stack:
            title = f"recycled after {RECYCLED_AFTER} calls"
            rows.append(measure(title, stack, times, lambda n: recycle(stack, 3 + n)))
    write_rows(
        "planned",
        "Planned changes under load",
        f"2 replicas, {RATE} calls/s and, beside them, calls that take a second.",
        ["change", "times", "median / worst", "calls, and those of a second", "lost"],
        rows,
    )
    return 1 if any(row[-1] != "0" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
