"""Runs handlers: how many at once, in which order, in which thread.

Words: a Job is one run of a handler; a Lane is what orders Jobs (a Registration, a Subscription, a
timer), with a limit of its own. Rules:

- At most ``concurrency`` Jobs run at once, at most ``queue`` wait; what comes then is refused.
- Jobs of a Lane start in the order in which they came, at most ``limit`` at once.
- Who reads from the socket may run Jobs of quick Lanes itself (``run_quick``): a thread switch
  costs more than most handlers. A Lane whose handler turns out to be slow goes to worker threads.
- ``async def`` handlers run in one event loop, in a thread of its own, begun with the first.
- ``_lock`` guards all fields of Dispatcher and of its Lanes; nothing waits and no handler runs
  under it. It is a leaf: no other lock is taken while it is held.
- No exception ends a thread here: a Job reports its own, what escapes it is logged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from wampy.errors import LocalProtocolError

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

#: A Lane is quick while the running mean of its handler's duration is below this. A call that the
#: handler makes itself through a Router takes about as long.
QUICK_S = 0.001
#: One run counts at most this much for the mean, so that one hiccup does not condemn a Lane.
_OUTLIER_S = 0.005
_MEAN_WEIGHT = 0.2
#: A worker thread with nothing to do ends after this.
_WORKER_IDLE_S = 10.0


#: What runs here: a handler's thread, or its task, looks up what it serves.
CURRENT: ContextVar[Job | None] = ContextVar("wampy job", default=None)


def current_to_wait() -> Job | None:
    """Give the Job that runs in this thread, which is about to wait; None where none does.

    Raises:
        LocalProtocolError: it is a coroutine, and the event loop would wait with it.
    """
    job = CURRENT.get()
    if job is not None and job.task is not None:
        import asyncio  # imported already, by who made the task

        # A thread that the coroutine has begun finds the same Job, and may wait.
        if asyncio._get_running_loop() is job.task.get_loop():
            raise LocalProtocolError(
                f"{job.lane.name}: an async def handler that waits here holds up the event loop of "
                "all: await asyncio.wrap_future(session.call_async(…)), or asyncio.to_thread"
            )
    return job


class Lane:
    """Orders the Jobs of one handler. All fields belong to the Dispatcher.

    Args:
        name: of the procedure or topic, for logs.
        limit: how many of its Jobs run at once; None: as many as the Dispatcher runs. 1 keeps
            them in order.
        is_async: whether the handler is ``async def``.
    """

    __slots__ = ("active", "is_async", "limit", "mean_s", "name", "waiting")

    def __init__(self, name: str, limit: int | None = None, *, is_async: bool = False) -> None:
        self.name = name
        self.limit = limit
        self.is_async = is_async
        self.active = 0  # ready or running
        self.waiting: deque[Job] = deque()
        self.mean_s = 0.0

    def is_quick(self) -> bool:
        """Whether the thread that reads may run it: starting a coroutine is always quick."""
        return self.is_async or self.mean_s < QUICK_S


class Job:
    """One run of a handler. Subclasses say what that is.

    ``run`` is called once, in any thread, without any lock held, and must not raise; what it raises
    is logged. It returns a coroutine when there is more to do in the event loop, which the
    Dispatcher then runs there; ``finish`` gets its outcome.
    """

    __slots__ = ("is_cancelled", "is_inline", "lane", "since", "task")
    #: Whether it counts as a call in flight.
    is_call = False

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        #: Whether the thread that reads runs it, and does what follows for several at once.
        self.is_inline = False
        #: When it began to run, on the monotonic clock; 0: it waits.
        self.since = 0.0
        self.task: asyncio.Task[Any] | None = None
        #: Whether the task is to be cancelled and was not told yet, for there may be none so far.
        self.is_cancelled = False

    def run(self) -> Coroutine[Any, Any, Any] | None:
        """Run the handler, and say how it ended to whom it concerns."""
        raise NotImplementedError

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Take the outcome of the coroutine; called in the event loop's thread."""
        raise NotImplementedError


class Dispatcher:
    """Runs Jobs within limits. Thread-safe; starts threads only when they are needed.

    Args:
        concurrency: how many Jobs run at once, >= 1.
        queue: how many wait, >= 0.
        name: for the names of its threads.
    """

    def __init__(self, concurrency: int = 8, queue: int = 1000, name: str = "wampy") -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._concurrency = concurrency
        #: How many Jobs may run or wait; 0 at the end.
        self._room = concurrency + queue
        self._name = name
        self._ready: deque[Job] = deque()
        self._handed: deque[Job] = deque()
        self._parked = 0
        self._running = 0
        self._idle: list[threading.Lock] = []
        self._worker_count = 0
        self._calls: dict[Job, None] = {}
        self._call_count = 0
        self._error_count = 0
        self._is_stopped = False
        self._waiters = 0
        self._loop: _LoopThread | None = None

    def configure(self, concurrency: int, queue: int) -> None:
        """Set the limits, before the first Job; nothing at the end."""
        with self._lock:
            if not self._is_stopped:
                self._concurrency = concurrency
                self._room = concurrency + queue

    # ------------------------------------------------------------------ what it tells

    @property
    def in_flight(self) -> int:
        """How many calls were taken and are not finished, waiting ones included."""
        return len(self._calls)

    @property
    def oldest_call_s(self) -> float:
        """For how long the oldest call has been running, in seconds; 0.0 where none is.

        What waits for its turn is not counted: a long queue makes nobody hung.
        """
        with self._lock:
            since = min((job.since for job in self._calls if job.since), default=None)
        return 0.0 if since is None else time.monotonic() - since

    @property
    def calls(self) -> int:
        """How many calls were taken since the start."""
        return self._call_count

    @property
    def errors(self) -> int:
        """How many handlers raised since the start, what they had declared as expected aside."""
        return self._error_count

    @property
    def is_saturated(self) -> bool:
        """Whether as many handlers run as may run at once."""
        return self._running >= self._concurrency

    @property
    def has_ready(self) -> bool:
        """Whether a Job could start now."""
        return bool(self._ready) and self._running < self._concurrency

    def count_error(self) -> None:
        """Count a handler that raised."""
        with self._lock:
            self._error_count += 1

    # ------------------------------------------------------------------ Jobs in

    def submit(self, job: Job) -> bool:
        """Take a Job; False when the queue is full or the Dispatcher stopped. Starts nothing yet.

        Follow it by ``run_quick`` or ``kick``. Does not block.
        """
        lane = job.lane
        with self._lock:
            if self._running + len(self._ready) + self._parked >= self._room:
                return False
            if job.is_call:
                self._calls[job] = None
                self._call_count += 1
            if lane.limit is not None and lane.active >= lane.limit:
                lane.waiting.append(job)
                self._parked += 1
            else:
                lane.active += 1
                self._ready.append(job)
            return True

    def discard(self, job: Job) -> bool:
        """Forget a Job that has not started; False when it has."""
        with self._lock:
            if job in self._ready:
                self._ready.remove(job)
                self._leave_lane_locked(job.lane)
            elif job in job.lane.waiting:
                job.lane.waiting.remove(job)
                self._parked -= 1
            else:
                return False
            self._calls.pop(job, None)
            self._announce_locked()
            return True

    def cancel(self, job: Job) -> bool:
        """Cancel a Job that waits, or whose coroutine runs; False where neither can be done.

        Returns True when it had not started: nobody will hear of it again. A coroutine gets its
        CancelledError and finishes by itself.
        """
        if self.discard(job):
            return True
        # Before the loop is looked at: a coroutine that has none yet finds it when it begins there.
        job.is_cancelled = True
        loop = self._loop
        if loop is not None:
            loop.cancel(job)
        return False

    def kick(self) -> None:
        """Give what is ready to worker threads. Does not block."""
        with self._lock:
            self._kick_locked()

    def run_quick(self, between: Callable[[], None], gather_s: float = 0.0) -> None:
        """Run what is ready and quick in this thread, hand the rest to workers.

        Args:
            between: called after a Job, without a lock and with no Job in hand: what else is
                ready can be started by others meanwhile, or cancelled.
            gather_s: and not after each Job, but after so many seconds of them, and the last.
        """
        with self._lock:
            job = self._next_quick_locked()
        due_at = time.monotonic() + gather_s
        while job is not None:
            job.is_inline = True
            began = time.monotonic()
            is_over = self._run(job, began)
            ended = time.monotonic()
            with self._lock:
                if is_over:
                    self._finished_locked(job, ended - began)
                job = self._next_quick_locked() if ended < due_at else None
            if job is None:
                between()
                due_at = ended + gather_s
                with self._lock:
                    job = self._next_quick_locked()

    def _next_quick_locked(self) -> Job | None:
        """Count a Job as running and give it, if it is quick; hand over those that are not."""
        ready = self._ready
        while ready and self._running < self._concurrency:
            job = ready.popleft()
            self._running += 1
            if job.lane.is_quick():
                return job
            self._hand_locked(job)
        return None

    # ------------------------------------------------------------------ the end

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no Job runs or waits; False when that took longer than ``timeout_s``."""
        with self._lock:
            self._waiters += 1
            try:
                return self._changed.wait_for(self._is_idle_locked, timeout_s)
            finally:
                self._waiters -= 1

    def stop(self) -> None:
        """Take no more Jobs; what waits is forgotten, what runs is left to end. Idempotent."""
        with self._lock:
            self._is_stopped = True
            self._room = 0
            self._concurrency = 0  # so that nothing that waits is started any more
            self._running -= len(self._handed)
            for job in (*self._ready, *self._handed):
                self._calls.pop(job, None)
            self._ready.clear()
            self._handed.clear()
            for gate in self._idle:
                gate.release()
            self._idle.clear()
            loop = self._loop
        if loop is not None:
            loop.stop()

    def _is_idle_locked(self) -> bool:
        return not self._running and not self._ready and not self._parked

    # ------------------------------------------------------------------ running

    def _run(self, job: Job, began: float) -> bool:
        """Run a Job that was counted as running; False where it goes on in the event loop."""
        job.since = began
        token = CURRENT.set(job)
        try:
            coroutine = job.run()
        except BaseException:  # a Job reports its own; this one is a bug, and the thread lives
            logger.exception("a job of %s failed", job.lane.name)
            coroutine = None
        finally:
            CURRENT.reset(token)
        if coroutine is None:
            return True
        try:
            self._event_loop().start(coroutine, job)
        except BaseException as error:
            coroutine.close()
            self._finish_coroutine(job, None, error)
        return False

    def _finish_coroutine(self, job: Job, result: Any, error: BaseException | None) -> None:
        """Take the outcome of a coroutine, in the loop's thread."""
        job.task = None
        job.is_inline = False
        try:
            job.finish(result, error)
        except BaseException:  # as in _run
            logger.exception("a job of %s failed", job.lane.name)
        with self._lock:
            self._finished_locked(job, None)
            self._kick_locked()

    def _finished_locked(self, job: Job, elapsed_s: float | None) -> None:
        """Take note of a Job's end; ``elapsed_s``: how long it kept its thread."""
        lane = job.lane
        if elapsed_s is not None:
            lane.mean_s += (min(elapsed_s, _OUTLIER_S) - lane.mean_s) * _MEAN_WEIGHT
        self._running -= 1
        self._calls.pop(job, None)
        self._leave_lane_locked(lane)
        if self._waiters:
            self._announce_locked()

    def _leave_lane_locked(self, lane: Lane) -> None:
        """Let the Lane's next Job have the place of one that has ended."""
        if lane.waiting:
            self._parked -= 1
            self._ready.append(lane.waiting.popleft())
        else:
            lane.active -= 1

    def _announce_locked(self) -> None:
        if self._waiters and self._is_idle_locked():
            self._changed.notify_all()

    def _kick_locked(self) -> None:
        while self._ready and self._running < self._concurrency:
            self._running += 1
            self._hand_locked(self._ready.popleft())

    # ------------------------------------------------------------------ workers

    def _hand_locked(self, job: Job) -> None:
        """Give a Job that was counted as running to a worker; start one where none is idle."""
        self._handed.append(job)
        if self._idle:
            self._idle.pop().release()
            return
        self._worker_count += 1
        name = f"{self._name} worker {self._worker_count}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            # No more threads on this machine: the Job waits for the next worker that is free.
            logger.exception("cannot start a thread for %s", job.lane.name)

    def _work(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        while True:
            with self._lock:
                job = self._next_locked()
                if job is None:
                    if self._is_stopped:
                        return
                    self._idle.append(gate)
            if job is not None:
                self._work_at(job)
            elif not gate.acquire(timeout=_WORKER_IDLE_S):
                with self._lock:
                    if gate in self._idle:
                        self._idle.remove(gate)
                        return
                # Woken at the last moment: the gate is open already.
                gate.acquire()

    def _work_at(self, job: Job) -> None:
        """Run a Job, in a worker's thread."""
        began = time.monotonic()
        if self._run(job, began):
            elapsed_s = time.monotonic() - began
            with self._lock:
                self._finished_locked(job, elapsed_s)

    def _next_locked(self) -> Job | None:
        if self._handed:
            return self._handed.popleft()
        if self._ready and self._running < self._concurrency:
            self._running += 1
            return self._ready.popleft()
        return None

    def _event_loop(self) -> _LoopThread:
        with self._lock:
            if self._loop is None:
                self._loop = _LoopThread(f"{self._name} event loop", self._finish_coroutine)
            return self._loop


class _LoopThread:
    """One event loop in one thread, for all ``async def`` handlers. asyncio is imported here."""

    def __init__(
        self, name: str, finished: Callable[[Job, Any, BaseException | None], None]
    ) -> None:
        import asyncio

        self._finished = finished
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        import asyncio

        asyncio.set_event_loop(self._loop)
        try:
            while True:
                try:
                    self._loop.run_forever()
                    return
                except (SystemExit, KeyboardInterrupt):
                    # A coroutine's: asyncio ends the loop for it. Its caller is told by the task's
                    # callback, which is next; the others' coroutines go on.
                    continue
        finally:
            self._loop.close()

    def start(self, coroutine: Coroutine[Any, Any, Any], job: Job) -> None:
        """Run a coroutine; its outcome goes to the Dispatcher."""

        def begin() -> None:
            # In a context of its own, which the task inherits.
            CURRENT.set(job)
            job.task = self._loop.create_task(coroutine)
            job.task.add_done_callback(lambda task: self._end(task, job))
            self._tell(job)

        self._loop.call_soon_threadsafe(begin)

    def _end(self, task: asyncio.Task[Any], job: Job) -> None:
        try:
            result = task.result()
        except BaseException as error:  # whatever a handler raises, CancelledError too
            self._finished(job, None, error)
        else:
            self._finished(job, result, None)

    def cancel(self, job: Job) -> None:
        """Cancel a coroutine, wherever it is: on its way here, in the queue, or running."""
        self._loop.call_soon_threadsafe(self._tell, job)

    def _tell(self, job: Job) -> None:
        if job.is_cancelled and job.task is not None:
            job.is_cancelled = False
            job.task.cancel()

    def stop(self) -> None:
        """End the loop; coroutines that still run are cancelled."""
        import asyncio

        def end() -> None:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                asyncio.gather(*tasks, return_exceptions=True).add_done_callback(
                    lambda _: self._loop.stop()
                )
            else:
                self._loop.stop()

        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(end)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=1.0)
