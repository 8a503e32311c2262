"""All comparisons, one after the other: ``python -m benchmarks.run [NAME…]``; about an hour."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.common import HERE, ROOT, say

#: In order of what they tell; ``at_rest`` alone takes 10 minutes for each contender.
NAMES = (
    "start_100",
    "memory",
    "kill_to_callable",
    "calls",
    "routers",
    "planned",
    "hung",
    "any_process",
    "many",
    "ps_time",
    "importing",
    "up_over_crossbar",
    "at_rest",
)
#: Seconds after which one of them is given up.
LIMIT_S = 3600


def main() -> int:
    wanted = sys.argv[1:] or list(NAMES)
    if unknown := [name for name in wanted if name not in NAMES]:
        say(f"no such comparison: {', '.join(unknown)}; there are {', '.join(NAMES)}")
        return 2
    failed = []
    for name in wanted:
        say(f"== {name}")
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, timeout=LIMIT_S, check=False
        )
        say(f"== {name}: {time.monotonic() - began:.0f} s, exit code {done.returncode}")
        if done.returncode:
            failed.append(name)
    tables = "\n".join(path.read_text() for path in sorted((HERE / "results").glob("*.md")))
    say(f"== {len(tables.splitlines())} lines in benchmarks/results/")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
