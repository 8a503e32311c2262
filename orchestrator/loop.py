"""The supervisor's loop: descriptors and timers in one thread.

Not asyncio: on Python 3.11 that starts a thread for each subprocess it watches, and the process
that forks must never have a thread. Callbacks run one after the other in the loop's thread; an
exception in one is reported to ``on_error`` and ends nothing else.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Callback = Callable[[], None]

#: Seconds that a wait or a callback may take longer than it should before it counts as sleep.
ASLEEP_S = 1.0
#: Sleeps that are remembered.
_SLEEPS = 16


@dataclass(order=True, slots=True)
class Timer:
    """A callback due at a time of ``Loop.now()``; ``cancel()`` is idempotent."""

    due_at: float
    order: int
    callback: Callback | None = field(compare=False)

    def cancel(self) -> None:
        """Never call back; harmless when it already has."""
        self.callback = None


class Loop:
    """Wait for descriptors and timers and call back; not thread-safe but for nothing.

    ``on_error(exception)`` hears of every exception a callback raised.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._on_error = on_error
        self._running = False
        self._asleep_s = 0.0
        #: When it was found to have slept, on the monotonic clock, and for how long.
        self._sleeps: deque[tuple[float, float]] = deque(maxlen=_SLEEPS)

    def now(self) -> float:
        """Give the seconds of the only clock of every deadline here.

        It is the monotonic clock, which stands still while this process does: who was suspended or
        starved for more than ASLEEP_S knows nothing of that time, and must not judge by it.
        """
        return time.monotonic() - self._asleep_s

    def awake_s(self, age_s: float) -> float:
        """Give how much of the last ``age_s`` seconds of the monotonic clock was no sleep."""
        since = time.monotonic() - age_s
        return age_s - sum(min(s, until - since) for until, s in self._sleeps if until > since)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever ``fd`` can be read (also at its end); replaces an earlier reader."""
        self._change(fd, reader=callback)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever ``fd`` can be written; replaces an earlier writer."""
        self._change(fd, writer=callback)

    def remove_reader(self, fd: int) -> None:
        """Forget the reader of ``fd``; harmless when there is none."""
        self._change(fd, reader=None)

    def remove_writer(self, fd: int) -> None:
        """Forget the writer of ``fd``; harmless when there is none."""
        self._change(fd, writer=None)

    def call_at(self, due_at: float, callback: Callback) -> Timer:
        """Call back once, at or after ``due_at`` of ``now()``."""
        timer = Timer(due_at, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(self, delay_s: float, callback: Callback) -> Timer:
        """Call back once, ``delay_s`` seconds from now or later."""
        return self.call_at(self.now() + delay_s, callback)

    def run(self) -> None:
        """Serve callbacks until ``stop()``; blocks."""
        self._running = True
        while self._running:
            self.run_once(None)

    def stop(self) -> None:
        """Let ``run()`` return after the callback under way."""
        self._running = False

    def run_once(self, timeout_s: float | None) -> None:
        """Wait for the next descriptor or timer, at most ``timeout_s``, and serve what is due."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if self._timers:
            due_in_s = max(0.0, self._timers[0].due_at - self.now())
            timeout_s = due_in_s if timeout_s is None else min(timeout_s, due_in_s)
        began = time.monotonic()
        selected = self._selector.select(timeout_s)
        if timeout_s is not None:
            self._note_sleep(began, timeout_s)
        for key, mask in selected:
            # A callback before this one may have closed the descriptor, whose number may be that
            # of another one by now, or have removed what was to be called.
            reader, writer = key.data
            if mask & selectors.EVENT_READ and self._callbacks(key.fd)[0] is reader:
                self._call(reader)
            if mask & selectors.EVENT_WRITE and self._callbacks(key.fd)[1] is writer:
                self._call(writer)
        now = self.now()
        while self._timers and self._timers[0].due_at <= now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                self._call(callback)

    def close(self) -> None:
        """Free the selector's descriptor; the watched ones stay open."""
        self._selector.close()

    def _callbacks(self, fd: int) -> tuple[Callback | None, Callback | None]:
        key = self._selector.get_map().get(fd)
        return (None, None) if key is None else key.data

    def _change(self, fd: int, **changed: Callback | None) -> None:
        key = self._selector.get_map().get(fd)
        reader, writer = self._callbacks(fd)
        reader = changed.get("reader", reader)
        writer = changed.get("writer", writer)
        mask = (selectors.EVENT_READ if reader else 0) | (selectors.EVENT_WRITE if writer else 0)
        if key is None:
            if mask:
                self._selector.register(fd, mask, (reader, writer))
        elif mask:
            self._selector.modify(fd, mask, (reader, writer))
        else:
            self._selector.unregister(fd)

    def _call(self, callback: Callback | None) -> None:
        began = time.monotonic()
        try:
            if callback is not None:
                callback()
        except Exception as error:
            # One of three places where every exception is caught: the loop outlives callbacks.
            self._on_error(error)
        self._note_sleep(began, 0.0)

    def _note_sleep(self, began: float, expected_s: float) -> None:
        """Let the clock stand still for what took far longer than it should have."""
        now = time.monotonic()
        if now - began > expected_s + ASLEEP_S:
            self._asleep_s += now - began
            self._sleeps.append((now, now - began))
