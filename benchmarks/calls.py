"""What clients do a second, side by side; caller and callee of one library, two processes.

Over Crossbar and over the built-in Router, in three ways: each library as it connects by default,
all on RawSocket with a unix socket and MessagePack, all on WebSocket with JSON. The bare loop is no
library: it shows what there is to win.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    HERE,
    ROOT,
    arguments,
    chosen,
    end_with_me,
    rival,
    say,
    temporary_folder,
    write_rows,
)
from benchmarks.routers import opened

CLIENTS = HERE / "clients"
WAYS = {
    "default": "as each connects by default",
    "unix": "all on RawSocket, unix socket, MessagePack",
    "json": "all on WebSocket, JSON",
}
LOADS = {
    "sequential": "calls, one at a time",
    "in_flight": "32 in flight",
    "events": "events to one subscriber",
    "1k": "calls of 1 KiB",
    "64k": "of 64 KiB",
    "1m": "of 1 MiB",
}
ROUTERS = {"builtin": "built-in", "crossbar": "crossbar"}
OURS = "wampy"
OURS_ELSEWHERE = "wampy, a ws:// URL"
BARE = "bare loop, no library"


@dataclass(frozen=True)
class Client:
    """A contender.

    Attributes:
        program: in ``clients/``.
        python: gives its interpreter.
        ways: which it has.
        is_nearby: whether its default, in a stack, is the unix socket.
    """

    program: str
    python: Callable[[], str]
    ways: tuple[str, ...] = tuple(WAYS)
    is_nearby: bool = False


def own() -> str:
    return sys.executable


def theirs() -> str:
    return rival("python")


CONTENDERS = {
    OURS: Client("wampy_calls.py", own, is_nearby=True),
    BARE: Client("bare_calls.py", own, is_nearby=True),
    OURS_ELSEWHERE: Client("wampy_calls.py", own, ("default",)),
    "autobahn": Client("autobahn_calls.py", theirs),
    "xconn": Client("xconn_calls.py", theirs),
    "xconn-core": Client("xconn_core_calls.py", theirs),
    "swampyer": Client("swampyer_calls.py", theirs),
    "wampy 1.1.0": Client(
        "wampy_1_calls.py", lambda: rival("python", "wampy-1"), ("default", "json")
    ),
}
NOTE = (
    "A second; medians of {rounds} rounds, in turns. Caller and callee are two processes, and what "
    "is called is echoed. Below: wampy's median divided by the best of the other libraries', and "
    "by the bare loop's."
)
Samples = dict[str, dict[str, list[float]]]


def measure(client: Client, url: str, way: str, seconds: int, log: Path) -> dict[str, Any]:
    """Run callee and caller; give the rates, without those that the library failed at."""
    argv = [client.python(), str(CLIENTS / client.program)]
    # Its own folder comes first by itself; for our own programs this one, too.
    env = {"PYTHONPATH": str(ROOT)} if client.python is own else {}
    with log.open("w") as errors:
        callee = subprocess.Popen(
            [*argv, "callee", url, way],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=log.parent,
            env=env,
            preexec_fn=end_with_me(),
        )
        try:
            assert callee.stdout is not None
            if not wait_for_ready(callee.stdout):
                return {}
            caller = subprocess.run(
                [*argv, "caller", url, way, str(seconds)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=log.parent,
                env=env,
                timeout=seconds * 12 + 30,
                check=False,
                preexec_fn=end_with_me(),
            )
            told = caller.stdout
        except subprocess.TimeoutExpired as expired:
            told = expired.stdout.decode() if isinstance(expired.stdout, bytes) else ""
        finally:
            callee.kill()
            callee.communicate()
    lines = [line for line in told.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def wait_for_ready(lines: Any) -> bool:
    """Read until the callee is ready; some libraries print things first."""
    return any(line.strip() == "ready" for line in lines)


def rows_of(samples: Samples) -> list[list[str]]:
    """Give a row for each contender, and ours in relation to the others."""
    medians = {
        name: {load: statistics.median(rates) for load, rates in by_load.items()}
        for name, by_load in samples.items()
    }
    rows = [
        [name, *(f"{of[load]:,.0f}" if load in of else "fails" for load in LOADS)]
        for name, of in medians.items()
    ]
    libraries = [of for name, of in medians.items() if name not in (BARE, OURS, OURS_ELSEWHERE)]
    best = {load: max((of.get(load, 0.0) for of in libraries), default=0.0) for load in LOADS}
    for title, of in (("÷ best other library", best), ("÷ bare loop", medians.get(BARE, {}))):
        ours = medians.get(OURS, {})
        rows.append(
            [
                f"**{title}**",
                *(
                    f"{ours[load] / of[load]:.2f}" if of.get(load) and load in ours else "–"
                    for load in LOADS
                ),
            ]
        )
    return rows


def sample(router: str, way: str, rounds: int, seconds: int, only: str) -> Samples:
    """Measure all contenders that have this way, over a Router of its own, in turns."""
    names = [name for name in chosen(list(CONTENDERS), only) if way in CONTENDERS[name].ways]
    samples: Samples = {name: {} for name in names}
    with temporary_folder() as folder, opened(ROUTERS[router]) as there:
        for number in range(rounds):
            say(f"== {router}, {WAYS[way]}: round {number + 1} of {rounds}")
            for name in names:
                client = CONTENDERS[name]
                is_unix = way == "unix" or (way == "default" and client.is_nearby)
                url = there.unix_url if is_unix else there.url
                rates = measure(client, url, way, seconds, folder / "log")
                say(f"   {name}: {rates or (folder / 'log').read_text()[-500:]}")
                for load, rate in rates.items():
                    samples[name].setdefault(load, []).append(rate)
    return samples


def main() -> None:
    options = arguments(__doc__, rounds=3, seconds=1)
    columns = ["", *LOADS.values()]
    for router, router_name in ROUTERS.items():
        for way, text in WAYS.items():
            samples = sample(router, way, options.rounds, options.seconds, options.only)
            note = NOTE.format(rounds=options.rounds)
            title = f"Clients, {text}, over {router_name}"
            name = f"calls_{router}_{way}"
            write_rows(name, title, note, columns, rows_of(samples), keep=not options.only)


if __name__ == "__main__":
    main()
