"""Generators run to their end: what is taken, what it comes to, and that each is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from wampy.session.yielding import Taker, exhaust, exhaust_async, exhaust_in_turns


class Noting(Taker):
    """Notes what it takes; will not have 3."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def take(self, part: Any) -> None:
        if part == 3:
            raise ArithmeticError("no more")
        self.taken.append(part)

    def result(self, returned: Any) -> Any:
        return (returned, len(self.taken))


story: list[str] = []


def plain(number: int) -> Any:
    try:
        yield from range(number)
        return "end"
    finally:
        story.append("closed")


async def asynchronous(number: int) -> Any:
    try:
        for value in range(number):
            yield value
    finally:
        await asyncio.sleep(0)
        story.append("closed")


WAYS: list[tuple[Callable[[int], Any], Callable[[Any, Taker], Any], Any]] = [
    (plain, exhaust, "end"),
    (plain, lambda parts, taker: asyncio.run(exhaust_in_turns(parts, taker)), "end"),
    (asynchronous, lambda parts, taker: asyncio.run(exhaust_async(parts, taker)), None),
]


@pytest.mark.parametrize(("handler", "run", "returned"), WAYS)
def test_every_part_is_taken_and_the_end(handler: Any, run: Any, returned: Any) -> None:
    story.clear()
    taker = Noting()
    assert run(handler(3), taker) == (returned, 3)
    assert taker.taken == [0, 1, 2]
    assert run(handler(0), taker) == (returned, 3)
    assert run(handler(2), Taker()) == returned
    assert story == ["closed"] * 3


@pytest.mark.parametrize(("handler", "run", "returned"), WAYS)
def test_one_that_is_stopped_is_closed_before_that_is_told(
    handler: Any, run: Any, returned: Any
) -> None:
    story.clear()
    with pytest.raises(ArithmeticError) as caught:
        run(handler(9), Noting())
    # While the error, and with it the frames that hold the generator, are still there.
    assert story == ["closed"]
    assert caught.value.args == ("no more",)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_loop_gets_a_turn_after_each_part(is_async: bool) -> None:
    async def test() -> None:
        ticks: list[int] = []

        async def tick() -> None:
            while True:
                ticks.append(len(taker.taken))
                await asyncio.sleep(0)

        class Counting(Noting):
            def take(self, part: Any) -> None:
                self.taken.append(part)

        taker = Counting()
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        if is_async:
            await exhaust_async(asynchronous(50), taker)
        else:
            await exhaust_in_turns(plain(50), taker)
        ticking.cancel()
        assert set(range(50)) <= set(ticks)

    asyncio.run(asyncio.wait_for(test(), 10.0))
