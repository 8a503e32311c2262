"""Jobs, Lanes and limits; threads only where the rule under test is about them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tests.support import wait_until
from wampy.dispatch import Dispatcher, Job, Lane


class Recorded(Job):
    """Runs a function, and remembers how it ended."""

    __slots__ = ("function", "outcome")
    is_call = True

    def __init__(self, lane: Lane, function: Callable[[], Any] = lambda: None) -> None:
        super().__init__(lane)
        self.function = function
        self.outcome: tuple[Any, BaseException | None] | None = None

    def run(self) -> Coroutine[Any, Any, Any] | None:
        result = self.function()
        return result if self.lane.is_async else None

    def finish(self, result: Any, error: BaseException | None) -> None:
        self.outcome = (result, error)


@pytest.fixture
def make() -> Iterator[Callable[..., Dispatcher]]:
    made: list[Dispatcher] = []

    def dispatcher(*args: Any) -> Dispatcher:
        made.append(Dispatcher(*args))
        return made[-1]

    yield dispatcher
    for item in made:
        item.stop()


def nothing() -> None: ...


def test_quick_jobs_run_in_the_thread_that_reads_in_order(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(), Lane("a")
    story: list[Any] = []
    jobs = [
        Recorded(lane, lambda number=number: story.append((number, threading.get_ident())))  # type: ignore[misc]
        for number in range(3)
    ]
    for job in jobs:
        assert dispatcher.submit(job)
    assert dispatcher.has_ready
    assert dispatcher.in_flight == 3
    assert dispatcher.oldest_call_s == 0.0
    dispatcher.run_quick(lambda: story.append("between"))
    me = threading.get_ident()
    assert story == [(0, me), "between", (1, me), "between", (2, me), "between"]
    assert (dispatcher.in_flight, dispatcher.calls, dispatcher.oldest_call_s) == (0, 3, 0.0)
    assert all(job.is_inline for job in jobs)


def test_what_is_gathered_is_told_of_once(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(), Lane("a")
    story: list[Any] = []
    for number in range(3):
        dispatcher.submit(Recorded(lane, lambda number=number: story.append(number)))  # type: ignore[misc]
    dispatcher.run_quick(lambda: story.append("between"), 60.0)
    assert story == [0, 1, 2, "between"]


@pytest.mark.parametrize("what", ["start", "cancel", "stop"])
def test_between_two_jobs_the_next_is_anybodys(make: Callable[..., Dispatcher], what: str) -> None:
    """Who sends what was answered may be held up: another starts it, withdraws it, ends it all."""
    dispatcher, lane = make(), Lane("a")
    is_started, told = threading.Event(), []
    second = Recorded(lane, is_started.set)
    dispatcher.submit(Recorded(lane))
    dispatcher.submit(second)

    def between() -> None:
        if what == "start":
            dispatcher.kick()
            told.append(is_started.wait(10.0))
        elif what == "cancel":
            told.append(dispatcher.cancel(second))
        else:
            dispatcher.stop()

    dispatcher.run_quick(between)
    assert told == ([] if what == "stop" else [True])
    assert is_started.is_set() == (what == "start")
    assert dispatcher.wait_idle(10.0)


def test_the_end_is_for_good(make: Callable[..., Dispatcher]) -> None:
    dispatcher = make()
    dispatcher.stop()
    dispatcher.configure(8, 8)
    assert not dispatcher.submit(Recorded(Lane("a")))


def test_slow_lanes_go_to_workers(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(), Lane("a")
    lane.mean_s = 1.0
    seen: list[int] = []
    dispatcher.submit(Recorded(lane, lambda: seen.append(threading.get_ident())))
    dispatcher.run_quick(nothing)
    wait_until(lambda: seen)
    assert seen != [threading.get_ident()]
    assert dispatcher.wait_idle(5.0)


def test_only_what_runs_grows_old(make: Callable[..., Dispatcher]) -> None:
    """A queue as long as you like makes nobody look hung."""
    dispatcher, lane = make(1, 10), Lane("a")
    lane.mean_s = 1.0
    first, second = threading.Event(), threading.Event()
    dispatcher.submit(Recorded(lane, first.wait))
    dispatcher.submit(Recorded(lane, second.wait))
    dispatcher.kick()
    wait_until(lambda: dispatcher.oldest_call_s >= 0.3)
    first.set()
    wait_until(lambda: 0.0 < dispatcher.oldest_call_s < 0.3)
    assert dispatcher.in_flight == 1
    second.set()
    assert dispatcher.wait_idle(5.0)
    assert dispatcher.oldest_call_s == 0.0


def test_one_hiccup_does_not_make_a_lane_slow() -> None:
    lane = Lane("a")
    assert lane.is_quick()
    lane.mean_s = 0.0009
    assert lane.is_quick()
    lane.mean_s = 0.0011
    assert not lane.is_quick()
    lane.is_async = True
    assert lane.is_quick()


def test_beyond_the_queue_is_refused(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(1, 2), Lane("a")
    assert [dispatcher.submit(Recorded(lane)) for _ in range(4)] == [True, True, True, False]
    dispatcher.run_quick(nothing)
    assert dispatcher.submit(Recorded(lane))


def test_a_lane_with_a_limit_keeps_its_order(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(8, 1000), Lane("a", 1)
    seen: list[int] = []
    for number in range(100):
        dispatcher.submit(Recorded(lane, lambda number=number: seen.append(number)))  # type: ignore[misc]
        dispatcher.kick()
    assert dispatcher.wait_idle(5.0)
    assert seen == list(range(100))


def test_stuck_jobs_do_not_hold_up_others(make: Callable[..., Dispatcher]) -> None:
    dispatcher = make(2, 10)
    release = threading.Event()
    seen: list[int] = []
    dispatcher.submit(Recorded(Lane("stuck"), lambda: release.wait(10.0)))
    for number in range(3):
        dispatcher.submit(Recorded(Lane("quick"), lambda number=number: seen.append(number)))  # type: ignore[misc]
    dispatcher.kick()
    wait_until(lambda: seen == [0, 1, 2])
    assert not dispatcher.wait_idle(0.01)
    release.set()
    assert dispatcher.wait_idle(5.0)


def test_saturation(make: Callable[..., Dispatcher]) -> None:
    dispatcher = make(1, 10)
    release = threading.Event()
    dispatcher.submit(Recorded(Lane("stuck"), lambda: release.wait(10.0)))
    assert not dispatcher.is_saturated
    dispatcher.kick()
    wait_until(lambda: dispatcher.is_saturated)
    dispatcher.submit(Recorded(Lane("other")))
    assert not dispatcher.has_ready
    release.set()
    assert dispatcher.wait_idle(5.0)
    assert not dispatcher.is_saturated


def test_coroutines(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(), Lane("a", is_async=True)

    async def good() -> int:
        return 3

    async def bad() -> None:
        raise KeyError("bad")

    jobs = [Recorded(lane, good), Recorded(lane, bad)]
    for job in jobs:
        dispatcher.submit(job)
    dispatcher.run_quick(nothing)
    assert dispatcher.wait_idle(5.0)
    assert jobs[0].outcome == (3, None)
    assert jobs[1].outcome is not None
    assert isinstance(jobs[1].outcome[1], KeyError)


def test_cancelling(make: Callable[..., Dispatcher]) -> None:
    import asyncio

    dispatcher, lane = make(1, 10), Lane("a", is_async=True)

    async def wait() -> None:
        await asyncio.sleep(30.0)

    running, waiting, parked = (
        Recorded(lane, wait),
        Recorded(Lane("b")),
        Recorded(Lane("c", 1)),
    )
    parked.lane.active = 1
    for job in (running, waiting, parked):
        dispatcher.submit(job)
    dispatcher.run_quick(nothing)
    wait_until(lambda: running.task is not None)
    assert dispatcher.cancel(waiting)
    assert dispatcher.cancel(parked)
    assert not dispatcher.cancel(waiting)
    assert not dispatcher.cancel(running)
    wait_until(lambda: running.outcome is not None)
    assert running.outcome is not None
    assert isinstance(running.outcome[1], asyncio.CancelledError)
    assert dispatcher.wait_idle(5.0)
    assert dispatcher.in_flight == 0


@pytest.mark.parametrize("is_first", [True, False])
def test_a_coroutine_that_the_busy_loop_has_not_begun_is_cancelled(
    make: Callable[..., Dispatcher], is_first: bool
) -> None:
    """Wherever it is on its way there; it never begins."""
    import asyncio

    dispatcher, lane = make(), Lane("a", is_async=True)
    busy, release = threading.Event(), threading.Event()
    begun: list[int] = []

    async def hold() -> None:
        busy.set()
        release.wait(10.0)

    async def late() -> None:
        begun.append(1)

    victim = Recorded(lane, late)
    if is_first:
        # Cancelled by its own run: after it was taken, before there is any loop.
        victim.function = lambda: (dispatcher.cancel(victim), late())[1]
        dispatcher.submit(victim)
        dispatcher.run_quick(nothing)
    else:
        dispatcher.submit(Recorded(lane, hold))
        dispatcher.run_quick(nothing)
        assert busy.wait(5.0)
        dispatcher.submit(victim)
        dispatcher.run_quick(nothing)
        assert not dispatcher.cancel(victim)
        release.set()
    assert dispatcher.wait_idle(5.0)
    assert victim.outcome is not None
    assert isinstance(victim.outcome[1], asyncio.CancelledError)
    assert begun == []


def test_a_job_that_raises_is_logged_and_the_thread_lives(
    make: Callable[..., Dispatcher], caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = make()

    def bug() -> None:
        raise RuntimeError("a bug")

    dispatcher.submit(Recorded(Lane("a"), bug))
    dispatcher.run_quick(nothing)
    assert "a bug" in caplog.text
    dispatcher.count_error()
    assert dispatcher.errors == 1


def test_nothing_starts_after_the_end(make: Callable[..., Dispatcher]) -> None:
    dispatcher, lane = make(), Lane("a", 1)
    seen: list[int] = []
    release = threading.Event()
    dispatcher.submit(Recorded(lane, lambda: release.wait(10.0)))
    dispatcher.submit(Recorded(lane, lambda: seen.append(1)))
    dispatcher.kick()
    dispatcher.submit(Recorded(Lane("b"), lambda: seen.append(2)))
    dispatcher.stop()
    dispatcher.stop()
    release.set()
    assert not dispatcher.submit(Recorded(lane))
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("wampy worker")])
    assert seen == []
