"""Calls per second through one Crossbar; caller and callee of one library, two processes.

In two ways: each library as it connects by default, and all on RawSocket, a unix socket and
MessagePack; each one call after the other, and with 32 in flight.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.common import (
    HERE,
    PROCEDURE,
    ROOT,
    Table,
    arguments,
    chosen,
    open_crossbar,
    rival,
    say,
)

PROGRAMS = {
    "wampy": lambda: [sys.executable, str(HERE / "wampy_calls.py")],
    "autobahn": lambda: [rival("python"), str(HERE / "rivals" / "autobahn_calls.py")],
    "xconn": lambda: [rival("python"), str(HERE / "rivals" / "xconn_calls.py")],
}
WAYS = {
    "default": "as each connects by default, over WebSocket",
    "unix": "all on RawSocket, unix socket, MessagePack",
}
LOADS = {"sequential": "one at a time", "in_flight": "32 in flight"}
NOTE = "Echo of one short string through one Crossbar; caller and callee are two processes."


def measure(argv: list[str], url: str, seconds: int, log: Path) -> dict[str, float | str]:
    """Run callee and caller; give the rates, without those that the library failed at."""
    with log.open("w") as errors:
        callee = subprocess.Popen(
            [*argv, "callee", url, PROCEDURE],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert callee.stdout is not None
            if callee.stdout.readline().strip() != "ready":
                return {}
            caller = subprocess.run(
                [*argv, "caller", url, PROCEDURE, str(seconds)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=seconds * 2 + 15,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            told = expired.stdout.decode() if isinstance(expired.stdout, bytes) else ""
            return json.loads(told.strip().splitlines()[-1]) if told.strip() else {}
        finally:
            callee.kill()
            callee.wait()
    lines = caller.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


def main() -> None:
    options = arguments(__doc__, rounds=5, seconds=2)
    tables = {
        (way, load): Table(
            f"calls_{way}_{load}",
            f"Calls per second, {text}: {LOADS[load]}",
            "calls/s",
            NOTE,
            is_less_better=False,
            digits=0,
        )
        for way, text in WAYS.items()
        for load in LOADS
    }
    for way in WAYS:
        # A Crossbar of its own for each way: what one library left there is not the other's burden.
        with open_crossbar() as router:
            url = router.url if way == "default" else router.unix_url
            for number in range(options.rounds):
                say(f"== {WAYS[way]}, round {number + 1} of {options.rounds}")
                for name in chosen(list(PROGRAMS), options.only):
                    result = measure(PROGRAMS[name](), url, options.seconds, router.folder / name)
                    for load in LOADS:
                        if load in result:
                            tables[way, load].add(name, float(result[load]))
                        else:
                            tables[way, load].cannot(name, "fails")
    for table in tables.values():
        table.write(keep=not options.only)


if __name__ == "__main__":
    main()
