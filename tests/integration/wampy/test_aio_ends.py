"""What ends in an AsyncSession, and when; who is cancelled on the way; where nothing ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import Relay
from tests.integration.wampy.scripted import (
    GOODBYE,
    Conversation,
    ScriptedRouter,
)
from tests.integration.wampy.tasks import eventually, run
from tests.support import wait_until
from wampy import AsyncSession, Session
from wampy.aio.futures import AsyncWaiter
from wampy.session.parts import CallParts

Uri = Callable[[str], str]


def test_what_is_there_is_in_time(builtin_router: RealRouter, uri: Uri) -> None:
    """Though no time is left: as with a Session."""

    async def test() -> None:
        session = AsyncSession(builtin_router.unix_url)
        async with session:
            await session.publish(uri("topic"), timeout=0)
            assert await session.drain(0)
        assert await session.wait_closed(0)

    run(test())


def test_a_cancelling_that_comes_with_the_answer_is_not_forgotten(
    builtin_router: RealRouter, uri: Uri, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AsyncWaiter.wake

    async def test() -> None:
        async with AsyncSession(builtin_router.unix_url) as session:
            await session.register(uri("slow"), lambda: asyncio.sleep(0.1))
            future = session.call_async(uri("slow"))

            def wake(waiter: AsyncWaiter) -> None:
                real(waiter)
                future._task.cancel()

            await asyncio.sleep(0.01)
            with monkeypatch.context() as patched:
                patched.setattr(AsyncWaiter, "wake", wake)
                with pytest.raises(asyncio.CancelledError):
                    await future

    run(test())


def test_two_that_begin_and_one_that_ends_meanwhile(builtin_router: RealRouter) -> None:
    async def test() -> None:
        session = AsyncSession(builtin_router.unix_url)
        first = asyncio.create_task(session.begin())
        await asyncio.sleep(0)
        with pytest.raises(wampy.SessionClosed, match="begins the session at this moment"):
            await session.begin()
        await first
        await session.begin()
        await session.end()
        with pytest.raises(wampy.SessionClosed):
            await session.begin()

        session = AsyncSession(builtin_router.unix_url)
        first = asyncio.create_task(session.begin())
        await asyncio.sleep(0)
        await session.end()
        with pytest.raises(wampy.SessionClosed, match="has ended"):
            await first
        assert not session.is_joined

    run(test())


def test_who_is_cancelled_while_he_ends_it_has_ended_it(
    builtin_router: RealRouter, uri: Uri
) -> None:
    async def test() -> None:
        session = AsyncSession(builtin_router.unix_url)
        await session.begin()
        cancelled = asyncio.Event()

        async def slow() -> None:
            try:
                await asyncio.sleep(30.0)
            finally:
                cancelled.set()

        await session.register(uri("slow"), slow)
        future = session.call_async(uri("slow"))
        await eventually(lambda: session.dispatcher.in_flight == 1)
        ending = asyncio.create_task(session.end())
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert await session.wait_closed(1.0)
        assert not session.is_joined
        await asyncio.wait_for(cancelled.wait(), 1.0)
        with pytest.raises(wampy.SessionClosed):
            await future

    run(test())


def test_it_ends_while_it_sends_parts_without_end(builtin_router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        async def take(parts: CallParts) -> None:
            async for _ in parts:
                pass

        url = builtin_router.unix_url
        async with AsyncSession(url) as callee:
            await callee.register(uri("take"), take, progressive=True)
            session = AsyncSession(url)
            await session.begin()
            sending = asyncio.create_task(session.call_parts(uri("take"), itertools.count()))
            await asyncio.sleep(0.1)
            await session.end()
            with pytest.raises(wampy.SessionClosed):
                await sending

    run(test())


def test_who_publishes_much_leaves_the_loop_to_others(builtin_router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with AsyncSession(builtin_router.unix_url) as session:
            counting = asyncio.create_task(count())
            for _ in range(100):
                await session.publish(uri("topic"))
            counting.cancel()
        assert turns >= 50

    run(test())


def test_hooks_come_in_order_though_they_wait(
    builtin_router: RealRouter, relay: Callable[..., Relay], uri: Uri
) -> None:
    """``on_join`` is over when the Session has begun, and the others do not overtake it."""
    between = relay(target=builtin_router.port)

    async def test() -> None:
        story: list[str] = []
        joined = 0

        async def on_join() -> None:
            nonlocal joined
            joined += 1
            story.append("joins")
            await asyncio.sleep(0.1)
            await session.call("wamp.session.count")
            story.append("joined")

        async def on_leave() -> None:
            await asyncio.sleep(0.05)
            story.append("left")

        session = AsyncSession(
            f"ws://127.0.0.1:{between.port}/ws",
            on_join=on_join,
            on_leave=on_leave,
            on_reconnect=lambda: story.append("back"),
        )
        async with session:
            assert story == ["joins", "joined"]
            await session.register(uri("one"), lambda: 1)
            between.cut()
            await eventually(lambda: story[-1] == "back")
        assert story == ["joins", "joined", "left", "joins", "joined", "back", "left"]

    run(test())


def test_a_hook_that_raises_or_never_ends_leaves_the_session_alone(
    builtin_router: RealRouter, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async def never() -> None:
            await asyncio.sleep(3600.0)

        async def raises() -> None:
            raise ValueError("odd")

        started = time.monotonic()
        session = AsyncSession(builtin_router.unix_url, on_join=never, on_leave=raises, timeout=0.5)
        async with session:
            assert session.is_joined
        assert time.monotonic() - started < 5.0
        async with AsyncSession(builtin_router.unix_url, on_join=raises) as session:
            assert await session.call("wamp.session.count")
        assert "odd" in caplog.text

    run(test())


def test_a_router_that_leaves_with_its_welcome_is_over_without_reconnect() -> None:
    def script(it: Conversation) -> None:
        it.shake_hands()
        it.recv()
        it.octets(it.encode(2, 1000, {}) + it.encode(GOODBYE, {}, "wamp.close.killed"))

    async def test() -> None:
        async with AsyncSession(router.url, reconnect=False) as session:
            assert await session.wait_closed(5.0)

    router = ScriptedRouter(script, is_websocket=False)
    try:
        run(test())
    finally:
        router.close()


def test_what_a_former_session_still_holds_is_replaced(
    router: RealRouter, relay: Callable[..., Relay], uri: Uri
) -> None:
    """The Router has not missed it yet, for it never heard of the end."""
    between = relay()

    async def test() -> None:
        session = AsyncSession(f"ws://127.0.0.1:{between.port}/ws", timeout=10.0)
        async with session, AsyncSession(router.unix_url) as other:
            registration = await session.register(uri("one"), lambda: session.id)
            former = session.id
            between.abandon()
            await eventually(lambda: session.id not in (None, former))
            await eventually(lambda: registration.is_active, 20.0)
            assert await other.call(uri("one")) == session.id

    run(test())


def test_a_connection_is_not_left_by_who_ends_it_while_it_comes_back(
    builtin_router: RealRouter, relay: Callable[..., Relay], uri: Uri
) -> None:
    between = relay(target=builtin_router.port)

    async def test() -> None:
        session = AsyncSession(f"ws://127.0.0.1:{between.port}/ws")
        async with AsyncSession(builtin_router.unix_url) as other:
            await session.begin()

            async def stubborn() -> None:
                try:
                    await asyncio.sleep(30.0)
                finally:
                    await asyncio.sleep(0.5)

            await session.register(uri("stubborn"), stubborn)
            future = session.call_async(uri("stubborn"))
            await eventually(lambda: session.dispatcher.in_flight == 1)
            between.cut()
            await asyncio.sleep(0.01)
            await session.end()
            assert not session.is_joined
            with pytest.raises(wampy.WampyError):
                await future
            until = time.monotonic() + 5.0
            while await other.meta.sessions.count() > 1:
                assert time.monotonic() < until, "it is still joined"
                await asyncio.sleep(0.05)

    run(test())


def test_a_bug_in_the_task_that_keeps_it_is_loud(
    builtin_router: RealRouter,
    relay: Callable[..., Relay],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between = relay(target=builtin_router.port)

    async def odd(*args: Any) -> Any:
        raise ZeroDivisionError("a bug")

    async def test() -> None:
        async with AsyncSession(f"ws://127.0.0.1:{between.port}/ws") as session:
            monkeypatch.setattr("wampy.aio.engine.connect_async", odd)
            between.cut()
            assert await session.wait_closed(5.0)
            with pytest.raises(wampy.ConnectionLost, match="a bug"):
                await session.call("com.example.any")
        assert "ZeroDivisionError" in caplog.text

    run(test())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"ws://{'a' * 64}.example/ws", "63 characters"),
        (f"unix:///tmp/{'a' * 200}", "too long"),
    ],
)
def test_a_place_that_cannot_be_is_told(url: str, reason: str) -> None:
    async def test() -> None:
        with pytest.raises(wampy.ConnectFailed, match=reason):
            await AsyncSession(url).begin()

    run(test())


def test_paths_and_hosts_of_the_world(builtin_router: RealRouter) -> None:
    """They are said as HTTP wants them: an answer comes, that there is no such path."""

    async def test() -> None:
        for path in ("/bücher und mehr", "/a%20b?c=d|e"):
            with pytest.raises(wampy.ConnectFailed, match=r"404|hung up"):
                await AsyncSession(f"ws://127.0.0.1:{builtin_router.port}{path}").begin()

    run(test())


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as others:
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(3):
            other = others.enter_context(socket.socket(socket.AF_UNIX))
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(str(path))

        async def test() -> None:
            with pytest.raises(wampy.ConnectFailed, match="no answer in time"):
                await AsyncSession(f"unix://{path}", timeout=0.3).begin()

        run(test())


def endless() -> Iterator[int]:
    yield from itertools.count()


async def endless_async() -> AsyncIterator[int]:
    for number in itertools.count():
        yield number


@pytest.mark.parametrize("handler", [endless, endless_async])
def test_parts_without_end_leave_the_loop_to_others(
    kind: Any, builtin_router: RealRouter, uri: Uri, handler: Callable[[], Any]
) -> None:
    """And it ends when its caller wants no more."""
    with kind(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:
        callee.register(uri("endless"), handler)
        callee.register(uri("one"), lambda: 1)
        parts = caller.call_progress(uri("endless"), timeout=10.0)
        assert [next(parts) for _ in range(3)] == [0, 1, 2]
        assert caller.call(uri("one"), timeout=10.0) == 1
        parts.close()
        wait_until(lambda: callee.dispatcher.in_flight == 0, 10.0)
