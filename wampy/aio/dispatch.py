"""Runs handlers as tasks: how many at once, in which order."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import Any

from wampy.aio.waiting import is_set_in_time
from wampy.dispatch import CURRENT, Job, Lane

logger = logging.getLogger(__name__)


class TaskDispatcher:
    """What ``wampy.dispatch.Dispatcher`` is for threads. Everything in the loop's thread.

    Plain handlers run at once, in the loop: they must not wait. Jobs of a Lane start in the order
    in which they came, at most its ``limit`` at once.

    Args:
        concurrency: how many Jobs run at once, >= 1.
        queue: how many wait, >= 0; what comes then is refused.
    """

    def __init__(self, concurrency: int = 1000, queue: int = 10_000) -> None:
        self._concurrency = concurrency
        self._queue = queue
        self._ready: deque[Job] = deque()
        self._parked = 0
        self._running: set[Job] = set()
        self._calls: dict[Job, None] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_stopped = False
        self._is_starting = False
        #: How many calls were taken, and how many handlers raised, since the start.
        self.calls = 0
        self.errors = 0

    @property
    def in_flight(self) -> int:
        """How many calls were taken and are not finished, waiting ones included."""
        return len(self._calls)

    @property
    def is_saturated(self) -> bool:
        """Whether as many handlers run as may run at once."""
        return len(self._running) >= self._concurrency

    def count_error(self) -> None:
        """Count a handler that raised."""
        self.errors += 1

    def submit(self, job: Job) -> bool:
        """Take a Job; False when the queue is full, or at the end. ``kick`` starts it."""
        waiting = len(self._ready) + self._parked
        if self._is_stopped or len(self._running) + waiting >= self._concurrency + self._queue:
            return False
        if job.is_call:
            self._calls[job] = None
            self.calls += 1
        self._idle.clear()
        lane = job.lane
        if lane.limit is not None and lane.active >= lane.limit:
            lane.waiting.append(job)
            self._parked += 1
        else:
            lane.active += 1
            self._ready.append(job)
        return True

    def kick(self) -> None:
        """Start what may start."""
        if self._is_starting:
            return  # a handler that ends at once: the loop below goes on with the next
        self._is_starting = True
        try:
            while self._ready and len(self._running) < self._concurrency:
                self._start(self._ready.popleft())
        finally:
            self._is_starting = False

    def _start(self, job: Job) -> None:
        self._running.add(job)
        job.since = time.monotonic()
        context = contextvars.copy_context()
        context.run(CURRENT.set, job)
        try:
            coroutine = context.run(job.run)
        except BaseException:  # a Job reports its own errors: this one is a bug, and the rest lives
            logger.exception("a job of %s failed", job.lane.name)
            coroutine = None
        if coroutine is None:
            self._finished(job)
            return
        job.task = asyncio.get_running_loop().create_task(coroutine, context=context)
        job.task.add_done_callback(lambda task: self._end(task, job))

    def _end(self, task: asyncio.Task[Any], job: Job) -> None:
        job.task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        try:
            job.finish(None if error is not None else task.result(), error)
        except BaseException:  # as in _start
            logger.exception("a job of %s failed", job.lane.name)
        self._finished(job)
        self.kick()

    def _finished(self, job: Job) -> None:
        self._running.discard(job)
        self._calls.pop(job, None)
        self._leave(job.lane)
        if not self._running and not self._ready and not self._parked:
            self._idle.set()

    def _leave(self, lane: Lane) -> None:
        lane.active -= 1
        if lane.waiting:
            lane.active += 1
            self._parked -= 1
            self._ready.append(lane.waiting.popleft())

    def cancel(self, job: Job) -> bool:
        """Cancel a Job. True when it had not started: nobody will hear of it again."""
        if job.task is not None:
            job.task.cancel()
            return False
        if job in self._ready:
            self._ready.remove(job)
            self._leave(job.lane)
        elif job in job.lane.waiting:
            job.lane.waiting.remove(job)
            self._parked -= 1
        else:
            return False
        self._calls.pop(job, None)
        if not self._running and not self._ready and not self._parked:
            self._idle.set()
        return True

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no Job runs or waits; False when that took longer than ``timeout_s``."""
        return await is_set_in_time(self._idle, time.monotonic() + timeout_s)

    def stop(self) -> list[asyncio.Task[Any]]:
        """Take no more Jobs, forget what waits, cancel what runs; give the tasks. Idempotent.

        The task that asks is not among them, and goes on.
        """
        self._is_stopped = True
        self._concurrency = 0  # so that nothing that waits is started any more
        for job in self._ready:
            self._calls.pop(job, None)
        self._ready.clear()
        here = asyncio.current_task()
        running = [job.task for job in self._running if job.task is not None]
        tasks = [task for task in running if task is not here]
        for task in tasks:
            task.cancel()
        return tasks
