"""Handlers that yield, at each Router, in a Session of threads and in one of tasks."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.support import wait_until
from wampy import CallResult, Peer, Session, every
from wampy.host import PeerHost

Join = Callable[..., Session]
Uri = Callable[[str], str]


def returns(number: int) -> Any:
    yield from range(number)
    return "end"


def returns_nothing(number: int) -> Any:
    yield from range(number)


def returns_false(number: int) -> Any:
    yield from range(number)
    return False


def returns_several(number: int) -> Any:
    yield CallResult([number], {"of": number})
    return CallResult([1, 2])


async def asynchronous(number: int) -> Any:
    for value in range(number):
        yield value


@pytest.mark.parametrize(
    ("handler", "number", "plain", "parts"),
    [
        (returns, 3, "end", [0, 1, 2, "end"]),
        (returns, 0, "end", ["end"]),
        (returns_nothing, 3, 2, [0, 1, 2]),
        (returns_nothing, 0, None, []),
        (returns_false, 2, False, [0, 1, False]),
        (returns_several, 3, CallResult([1, 2]), [CallResult([3], {"of": 3}), CallResult([1, 2])]),
        (asynchronous, 3, 2, [0, 1, 2]),
        (asynchronous, 0, None, []),
    ],
)
def test_who_did_not_ask_for_parts_gets_the_last_value(
    join: Join, uri: Uri, offering: Any, handler: Any, number: int, plain: Any, parts: Any
) -> None:
    caller = join()
    offering.register(uri("parts"), handler)
    assert caller.call(uri("parts"), number) == plain
    assert caller.call_async(uri("parts"), number).result() == plain
    assert list(caller.call_progress(uri("parts"), number)) == parts


class Part(dict[str, int]):
    """One that can be referred to weakly."""


@pytest.mark.parametrize("is_async", [False, True])
def test_what_nobody_wants_is_not_kept(join: Join, uri: Uri, offering: Any, is_async: bool) -> None:
    caller = join()
    most = 0

    def parts() -> Any:
        nonlocal most
        alive: weakref.WeakSet[Any] = weakref.WeakSet()
        for number in range(100):
            part = Part(number=number)
            alive_part = Held(part)
            alive.add(alive_part)
            part["held"] = alive_part  # type: ignore[assignment]
            del alive_part
            most = max(most, len(alive))
            yield part
        yield Part(number=100)

    async def aparts() -> Any:
        for part in parts():
            yield part

    offering.register(uri("parts"), aparts if is_async else parts)
    assert caller.call(uri("parts")) == {"number": 100}
    assert 0 < most <= 4


class Held:
    """Lives as long as the part that it belongs to."""

    def __init__(self, part: Any) -> None:
        self.number = part["number"]


class Endless:
    """Yields for ever, awaits nothing, and notes that it was closed."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cleaned = threading.Event()
        self.closed = threading.Event()

    def plain(self) -> Any:
        try:
            while True:
                self.begun.set()
                yield "part"
        finally:
            time.sleep(0.05)  # long enough for an answer that does not wait for it
            self.cleaned.set()
            self.closed.set()

    async def asynchronous(self) -> Any:
        try:
            while True:
                self.begun.set()
                yield "part"
        finally:
            # What takes a while is waited for, and not cut short.
            try:
                await asyncio.sleep(0.05)
                self.cleaned.set()
            finally:
                self.closed.set()


BOTH = pytest.mark.parametrize("which", ["plain", "asynchronous"])


@BOTH
def test_one_that_yields_for_ever_can_be_cancelled(
    join: Join, uri: Uri, offering: Any, which: str
) -> None:
    caller = join()
    endless = Endless()
    offering.register(uri("endless"), getattr(endless, which))
    future = caller.call_async(uri("endless"))
    assert endless.begun.wait(5.0)
    assert future.cancel("kill")
    with pytest.raises(wampy.Canceled):
        future.result(5.0)
    # Its finally was run before the caller had the answer.
    assert endless.cleaned.is_set()
    offering.register(uri("after"), lambda: 1)
    assert caller.call(uri("after")) == 1


@BOTH
def test_leaving_the_loop_over_its_parts_stops_it(
    join: Join, uri: Uri, offering: Any, which: str
) -> None:
    caller = join()
    endless = Endless()
    offering.register(uri("endless"), getattr(endless, which))
    parts = caller.call_progress(uri("endless"))
    assert [next(parts), next(parts)] == ["part", "part"]
    parts.close()
    assert endless.cleaned.wait(5.0)


@BOTH
def test_others_are_served_meanwhile(join: Join, uri: Uri, offering: Any, which: str) -> None:
    caller = join()
    endless = Endless()
    offering.register(uri("endless"), getattr(endless, which))
    offering.register(uri("other"), lambda: "other")

    async def another() -> str:
        return "another"

    offering.register(uri("another"), another)
    future = caller.call_async(uri("endless"))
    assert endless.begun.wait(5.0)
    assert caller.call(uri("other"), timeout=5.0) == "other"
    assert caller.call(uri("another"), timeout=5.0) == "another"
    assert not endless.closed.is_set()
    future.cancel()
    assert endless.closed.wait(5.0)


@BOTH
def test_it_stops_when_its_session_is_over(join: Join, uri: Uri, offering: Any, which: str) -> None:
    caller = join()
    endless = Endless()
    offering.register(uri("endless"), getattr(endless, which))
    future = caller.call_async(uri("endless"))
    assert endless.begun.wait(5.0)
    offering.end()
    assert endless.closed.wait(5.0)
    with pytest.raises(wampy.Canceled):
        future.result(5.0)


def test_one_that_cleans_up_is_told_once(join: Join, uri: Uri) -> None:
    """What its ``finally`` does with wampy is not interrupted."""
    callee, caller = join(), join()
    begun, cleaned = threading.Event(), threading.Event()

    def parts() -> Any:
        try:
            while True:
                begun.set()
                yield 1
        finally:
            assert callee.call(uri("one")) == 1
            cleaned.set()

    callee.register(uri("one"), lambda: 1)
    callee.register(uri("parts"), parts)
    future = caller.call_async(uri("parts"))
    assert begun.wait(5.0)
    future.cancel()
    assert cleaned.wait(5.0)


def test_an_error_in_the_middle(join: Join, uri: Uri, offering: Any) -> None:
    caller = join()
    closed: list[str] = []

    def fails() -> Any:
        yield 1
        raise wampy.ApplicationError(uri("broken"), ["in the middle"])

    async def cannot_be_sent() -> Any:
        try:
            yield 1
            yield object()
            yield 2
        finally:
            closed.append("async")

    offering.register(uri("fails"), fails)
    offering.register(uri("cannot"), cannot_be_sent)
    parts = caller.call_progress(uri("fails"))
    assert next(parts) == 1
    with pytest.raises(wampy.ApplicationError, match="in the middle"):
        next(parts)
    with pytest.raises(wampy.ApplicationError, match="in the middle"):
        caller.call(uri("fails"))
    parts = caller.call_progress(uri("cannot"))
    assert next(parts) == 1
    with pytest.raises(wampy.ApplicationError, match=r"args\[0\] is an object"):
        next(parts)
    assert closed == ["async"]


def test_handlers_of_events_may_yield(join: Join, uri: Uri, offering: Any) -> None:
    """They run to their end, in order."""
    publisher = join()
    heard: list[Any] = []

    def plain(number: int) -> Any:
        heard.append((number, "began"))
        yield number
        heard.append((number, "ended"))

    async def asynchronous(number: int) -> Any:
        heard.append((number, "began"))
        yield number
        heard.append((number, "ended"))

    for handler in (plain, asynchronous):
        heard.clear()
        offering.subscribe(uri(handler.__name__), handler)
        for number in range(3):
            publisher.publish(uri(handler.__name__), number, acknowledge=True)
        wait_until(lambda: len(heard) == 6)
        assert heard == [(n, what) for n in range(3) for what in ("began", "ended")]


def test_timers_may_yield(builtin_router: RealRouter) -> None:
    ended: list[str] = []

    class Ticking(Peer):
        @every("10ms")
        def plain(self) -> Any:
            yield 1
            ended.append("plain")

        @every("10ms")
        async def asynchronous(self) -> Any:
            yield 1
            ended.append("asynchronous")

    host = PeerHost(Ticking.create(), Session(builtin_router.unix_url))
    host.start()
    try:
        wait_until(lambda: {"plain", "asynchronous"} <= set(ended))
    finally:
        host.drain()
