from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from wampy.errors import ConnectionLost, LocalProtocolError
from wampy.messages import Result
from wampy.session.engine import Engine
from wampy.session.futures import CallFuture, CallResult, ProgressWaiter, Waiter, value_of


def test_the_value_of_a_result() -> None:
    assert value_of(Result(request_id=1)) is None
    assert value_of(Result(request_id=1, args=[3])) == 3
    assert value_of(Result(request_id=1, args=[1, 2])) == CallResult([1, 2], {})
    assert value_of(Result(request_id=1, kwargs={"a": 1})) == CallResult([], {"a": 1})


def test_a_waiter_woken_before_it_waits_does_not_wait() -> None:
    waiter = Waiter()
    waiter.wake()
    gate = waiter.prepare()
    assert not gate.acquire(blocking=False)
    waiter.wake()
    waiter.wake()
    assert gate.acquire(blocking=False)
    assert waiter.prepare() is gate
    assert not gate.acquire(blocking=False)
    assert not waiter.settle("message", None)
    assert waiter.is_ready
    assert waiter.message == "message"


def test_progress_is_ready_with_each_part() -> None:
    waiter = ProgressWaiter()
    waiter.settle(Result(request_id=1, details={"progress": True}, args=[1]), None)
    assert waiter.is_ready
    assert not waiter.is_done
    waiter.parts.clear()
    assert not waiter.is_ready
    waiter.settle(Result(request_id=1), None)
    assert waiter.is_done


# ---------------------------------------------------------------------- as concurrent.futures


class FakeEngine:
    """What a CallFuture uses of an Engine: waiting here is for what other threads do."""

    def check_usable(self) -> None:
        """It always is."""

    def __init__(self) -> None:
        self.futures_changed = threading.Condition()
        self.lock = threading.Lock()
        self.given_up: list[tuple[int, str]] = []

    def wait_for(self, link: Any, waiter: Waiter, deadline: float) -> bool:
        with self.lock:
            if waiter.is_ready:
                return True
            gate = waiter.prepare()
        return gate.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def wake(self, waiters: list[Waiter]) -> None:
        with self.lock:
            for waiter in waiters:
                waiter.is_done = True
                waiter.wake()

    def give_up(self, link: Any, request_id: int, mode: str) -> None:
        self.given_up.append((request_id, mode))

    def ask_to_cancel(self, link: Any, request_id: int) -> bool:
        return True

    def expire(self, future: CallFuture) -> None:
        future.resolve(None, ConnectionLost("expired"))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make(engine: FakeEngine) -> Callable[[], CallFuture]:
    def future() -> CallFuture:
        made = CallFuture(cast(Engine, engine), "com.example.add", 10.0)
        made.link, made.request_id = cast(Any, object()), 7
        return made

    return future


@pytest.fixture(autouse=True)
def nothing_is_logged_as_a_bug(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [
        record for record in caplog.get_records("call") if record.levelno >= logging.ERROR
    ] == []


Make = Callable[[], CallFuture]


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        return [one.result(10.0) for one in [pool.submit(function) for function in functions]]


def test_what_a_future_tells_of_itself(make: Make) -> None:
    future, failed = make(), make()
    assert (future.done(), future.running(), future.cancelled()) == (False, False, False)
    assert "state=pending" in repr(future)
    future.resolve(Result(request_id=7, args=[3]), None)
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert "state=finished returned int" in repr(future)
    assert (future.result(), future.result(0), future.exception()) == (3, 3, None)
    error = ConnectionLost("gone")
    failed.resolve(None, error)
    assert failed.exception() is error
    with pytest.raises(ConnectionLost):
        failed.result()
    assert "state=finished raised ConnectionLost" in repr(failed)
    assert future.cancel() is False


@pytest.mark.parametrize("mode", ["killnowait", "skip"])
def test_cancelling_twice_is_cancelling_once(make: Make, engine: FakeEngine, mode: Any) -> None:
    future = make()
    called: list[Any] = []
    future.add_done_callback(called.append)
    assert [future.cancel(mode), future.cancel(mode), future.cancel("kill")] == [True, True, True]
    assert called == [future]
    assert engine.given_up == [(7, mode)]
    assert future.cancelled()
    assert "state=cancelled" in repr(future)
    for wait in (future.result, future.exception):
        with pytest.raises(concurrent.futures.CancelledError):
            wait()
    with pytest.raises(LocalProtocolError):
        future.cancel("quickly")  # type: ignore[arg-type]
    # What comes nevertheless changes nothing.
    future.resolve(Result(request_id=7, args=[3]), None)
    assert future.cancelled()


def test_cancelling_from_many_threads_at_once(make: Make, engine: FakeEngine) -> None:
    for _ in range(50):
        future, start = make(), threading.Barrier(4)
        engine.given_up.clear()

        def cancel(future: CallFuture = future, start: threading.Barrier = start) -> bool:
            start.wait(5.0)
            return future.cancel()

        assert in_threads(*[cancel] * 4) == [True] * 4
        assert engine.given_up == [(7, "killnowait")]


def test_wrapped_for_asyncio(make: Make, engine: FakeEngine) -> None:
    async def test() -> None:
        good, bad, cancelled, other = make(), make(), make(), make()
        wrapped = [asyncio.wrap_future(one) for one in (good, bad, cancelled, other)]

        def resolve() -> None:
            good.resolve(Result(request_id=7, args=[1]), None)
            bad.resolve(None, ConnectionLost("gone"))

        threading.Thread(target=resolve).start()
        assert await asyncio.wait_for(wrapped[0], 5.0) == 1
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(wrapped[1], 5.0)
        # From either end; each tells the other, which cancels this one again.
        assert cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wrapped[2]
        wrapped[3].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert other.cancelled()

    asyncio.run(asyncio.wait_for(test(), 10.0))
    assert engine.given_up == [(7, "killnowait")] * 2


def test_waiting_for_several(make: Make) -> None:
    futures = [make() for _ in range(20)]

    def settle() -> None:
        for number, future in enumerate(futures):
            if number == 3:
                future.cancel()
            elif number == 4:
                future.resolve(None, ConnectionLost("gone"))
            else:
                future.resolve(Result(request_id=7, args=[number]), None)

    def wait() -> Any:
        return concurrent.futures.wait(futures, 5.0)

    def complete() -> Any:
        return set(concurrent.futures.as_completed(futures, 5.0))

    _, waited, completed, again = in_threads(settle, wait, complete, wait)
    assert waited.not_done == again.not_done == set()
    assert completed == set(futures)
    first = concurrent.futures.wait(
        [make(), futures[4]], 5.0, return_when=concurrent.futures.FIRST_EXCEPTION
    )
    assert first.done == {futures[4]}
    late = concurrent.futures.wait([make()], 0.01)
    assert len(late.not_done) == 1


def test_a_result_is_waited_for_in_many_threads(make: Make) -> None:
    future = make()
    called: list[Any] = []
    future.add_done_callback(lambda done: called.append(done.result()))

    def resolve() -> None:
        future.resolve(Result(request_id=7, args=[3]), None)

    got = in_threads(future.result, lambda: future.result(5.0), future.exception, resolve)
    assert got == [3, 3, None, None]
    future.add_done_callback(lambda done: called.append(done.result()))
    assert called == [3, 3]
    with pytest.raises(concurrent.futures.TimeoutError):
        make().result(0.01)


def test_a_callback_that_fails_stops_nobody(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    future = make()
    called: list[Any] = []
    future.add_done_callback(lambda done: 1 / 0)
    future.add_done_callback(called.append)
    future.resolve(Result(request_id=7), None)
    assert called == [future]
    assert "exception calling callback" in caplog.text
    caplog.clear()
