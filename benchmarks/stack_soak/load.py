"""Who calls the stack all the time, and which calls may have got no result."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.common import wait_for
from benchmarks.stack_soak.stack import Heard
from wampy import Session, WampyError

#: Calls per second, of all callers together; and of those that take a second.
RATE = 500
_CALLERS, _SLOW_CALLERS, _SESSIONS = 24, 8, 4
#: Longer than any promise of the contract: what gets no result within it is lost.
TIMEOUT_S = 15.0
#: Seconds that a transition may be heard before or after what it tells of.
_NEAR_S = 0.3
#: Seconds from the Router's being back until all procedures must be (contract, section 6).
_BACK_S = 1.5


@dataclass(frozen=True)
class Loss:
    """A call without a result: of which Peer, from when to when, and what came instead."""

    name: str
    began: float
    ended: float
    error: str


class Load:
    """Calls every Peer at a steady rate, and keeps what got no result; thread-safe.

    Args:
        url: of the Router.
        names: of the Peers, which serve ``soak.NAME.echo`` and ``soak.NAME.slow``, of a second.
    """

    def __init__(self, url: str, names: Sequence[str]) -> None:
        self.count = 0
        self.slow_count = 0
        self.lost: list[Loss] = []
        self._names = names
        self._ends = threading.Event()
        self._sessions = [Session(url, realm="realm1") for _ in range(_SESSIONS)]
        slow = [False] * _CALLERS + [True] * _SLOW_CALLERS
        self._threads = [
            threading.Thread(target=self._run, args=(number, is_slow), daemon=True)
            for number, is_slow in enumerate(slow)
        ]

    def __enter__(self) -> Load:
        for session in self._sessions:
            session.begin()
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.count > RATE, 20, "calls get through")
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 5)
        for session in self._sessions:
            with contextlib.suppress(WampyError):
                session.end()

    def _run(self, number: int, is_slow: bool) -> None:
        chance, session = random.Random(number), self._sessions[number % _SESSIONS]
        what, pause_s = ("slow", 0.0) if is_slow else ("echo", _CALLERS / RATE)
        at = time.monotonic()
        while not self._ends.is_set():
            name, value = chance.choice(self._names), chance.random()
            began = time.monotonic()
            try:
                answer = session.call(f"soak.{name}.{what}", value, timeout=TIMEOUT_S)
            except WampyError as error:
                text = f"{type(error).__name__}: {error}"
                self.lost.append(Loss(name, began, time.monotonic(), text))
                self._ends.wait(0.02)
            else:
                if answer != value:
                    self.lost.append(Loss(name, began, time.monotonic(), f"swapped: {answer}"))
            if is_slow:
                self.slow_count += 1
            else:
                self.count += 1
            at = max(at + pause_s, time.monotonic() - 1.0)
            self._ends.wait(max(0.0, at - time.monotonic()))


def unaccounted(lost: list[Loss], heard: list[Heard]) -> list[Loss]:
    """Give the losses during which neither an Instance of that Peer died nor the Router was away.

    ``heard``: all transitions since the beginning of the first call.
    """
    deaths = _deaths(heard)
    away = _away(heard)
    return [
        loss
        for loss in lost
        if "swapped" in loss.error
        or not (
            any(
                name == loss.name and loss.began - _NEAR_S <= at <= loss.ended + _NEAR_S
                for name, at in deaths
            )
            or any(loss.began <= until and loss.ended >= since for since, until in away)
        )
    ]


def _deaths(heard: list[Heard]) -> list[tuple[str, float]]:
    """Give when an Instance died or lost its Session, by Peer; not what was asked to stop."""
    found = []
    ready: set[str] = set()
    for one in heard:
        instance = one.event.get("instance")
        if not instance or "new" not in one.event:
            continue
        if one.event["ready"]:
            ready.add(instance)
        elif instance in ready:
            # The loss is told after the death; a hung one is killed after it was told.
            ready.discard(instance)
            if one.event["new"] != "STOPPING":
                found.append((instance.partition(":")[0], one.at))
        elif one.event.get("exit"):
            found.append((instance.partition(":")[0], one.at))
    return found


def _away(heard: list[Heard]) -> list[tuple[float, float]]:
    """Give from when to when the Router was away."""
    found: list[tuple[float, float]] = []
    since: float | None = None
    for one in heard:
        if one.event.get("instance") != "router":
            continue
        if one.event["ready"] and since is not None:
            found.append((since - _NEAR_S, one.at + _BACK_S))
            since = None
        elif not one.event["ready"] and since is None:
            since = one.at
    if since is not None:
        found.append((since - _NEAR_S, float("inf")))
    return found
