from __future__ import annotations

from wampy.messages import Result
from wampy.session.futures import CallResult, ProgressWaiter, Waiter, value_of


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
