"""What every client program has in common: how it is started, and what is measured.

``X_calls.py callee|caller URL WAY SECONDS``, with that library's interpreter. WAY: ``default``,
as the library connects by itself; ``unix``: RawSocket with MessagePack; ``json``: WebSocket with
JSON. The callee says ``ready``; the caller prints a line of JSON whenever something more has been
measured: what a library fails at in the end does not cost it the rest.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

ROLE, URL, WAY = sys.argv[1:4]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 2.0
PROCEDURE, COUNT, TOPIC = "bench.echo", "bench.count", "bench.topic"
IN_FLIGHT = 32
#: Sizes of what is echoed, in bytes.
SIZES = {"1k": 2**10, "64k": 2**16, "1m": 2**20}
#: So many events are published before the callee is asked whether it has got them.
BATCH = 200
_measured: dict[str, float] = {}


def tell(name: str, rate: float) -> None:
    """Print what has been measured so far."""
    _measured[name] = rate
    print(json.dumps(_measured), flush=True)


class Heard:
    """Counts events: the callee's handler, and what its procedure answers."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.count += 1


def rate(step: Callable[[], Any], seconds: float = SECONDS) -> float:
    """Do something again and again; give how often a second."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        step()
        count += 1
    return count / (time.perf_counter() - began)


def rate_of_threads(call: Callable[[str], Any], threads: int = IN_FLIGHT) -> float:
    """Call from so many threads at once; give how often a second in all.

    Raises:
        RuntimeError: one of them failed.
    """
    counts, failed = [0] * threads, []
    began = time.perf_counter()
    end = began + SECONDS

    def run(number: int) -> None:
        try:
            while time.perf_counter() < end:
                call("hello")
                counts[number] += 1
        except Exception as error:
            failed.append(error)

    running = [
        threading.Thread(target=run, args=(number,), daemon=True) for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(SECONDS + 10)
    if failed or any(thread.is_alive() for thread in running):
        raise RuntimeError(f"{threads} threads: {failed[:1] or 'they hang'}")
    return sum(counts) / (time.perf_counter() - began)


def measure(
    call: Callable[[str], Any],
    publish: Callable[[str], Any],
    heard: Callable[[], int],
    in_flight: Callable[[], float] | None,
) -> None:
    """Measure a blocking client, and tell.

    Args:
        call: echoes a text.
        publish: an event with a text; not acknowledged.
        heard: asks the callee how many events it has got.
        in_flight: gives the rate of calls with IN_FLIGHT of them under way; None: it cannot.
    """
    for _ in range(100):
        assert call("warm") == "warm"
    tell("sequential", rate(lambda: call("hello")))
    if in_flight is not None:
        tell("in_flight", in_flight())
    tell("events", rate_of_events(publish, heard))
    for name, size in SIZES.items():
        text = "x" * size
        assert call(text) == text
        tell(name, rate(lambda text=text: call(text)))  # type: ignore[misc]


def rate_of_events(publish: Callable[[str], Any], heard: Callable[[], int]) -> float:
    """Publish to one subscriber; give how many events a second reached it."""
    count, began = 0, time.perf_counter()
    deadline = began + SECONDS + 10
    while time.perf_counter() - began < SECONDS:
        for _ in range(BATCH):
            publish("hello")
        count += BATCH
        while heard() < count:
            assert time.perf_counter() < deadline, "events are lost"
    return count / (time.perf_counter() - began)


def wait_for_ever() -> None:
    """Say that calls may come; the benchmark kills the callee."""
    print("ready", flush=True)
    threading.Event().wait()
