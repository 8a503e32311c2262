"""An AsyncSession, over each Router, transport and serializer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter, free_port
from tests.integration.wampy.relay import CERTIFICATE, Relay
from tests.integration.wampy.tasks import eventually, run
from wampy import AsyncSession, CallResult, Session, current_call, current_event
from wampy.session.parts import CallParts

Uri = Callable[[str], str]
VALUES: list[Any] = [None, True, 0, -(2**40), 1.5, "ä€😀", "", [], [1, [2]], {"a": {"b": None}}]


# ---------------------------------------------------------------------- calls and events


def test_calls_and_events_arrive_as_they_were_sent(way: dict[str, Any], uri: Uri) -> None:
    async def test() -> None:
        async with AsyncSession(**way) as callee, AsyncSession(**way) as caller:
            assert isinstance(callee.id, int)
            await callee.register(uri("echo"), lambda *args, **kwargs: [list(args), kwargs])

            async def slowly(value: Any) -> Any:
                await asyncio.sleep(0.01)
                return value

            await callee.register(uri("slowly"), slowly)
            for value in VALUES:
                assert await caller.call(uri("echo"), value, key=value) == [[value], {"key": value}]
            got = await asyncio.gather(*(caller.call(uri("slowly"), n) for n in range(100)))
            assert got == list(range(100))
            long = "0123456789" * 200_000
            assert await caller.call(uri("slowly"), long) == long
            result = await caller.call_result(uri("slowly"), 7)
            assert result == CallResult([7])

            events: list[Any] = []

            async def heard(number: int) -> None:
                # In order, however long each takes.
                await asyncio.sleep(0.01 if number % 2 else 0)
                events.append((number, current_event().topic))

            subscription = await callee.subscribe(uri("topic"), heard)
            for number in range(20):
                await caller.publish(uri("topic"), number)
            assert await caller.publish(uri("topic"), 20, acknowledge=True)
            await eventually(lambda: len(events) == 21)
            assert events == [(number, uri("topic")) for number in range(21)]
            await subscription.unsubscribe()
            await caller.publish(uri("topic"), 21, acknowledge=True)
            assert len(events) == 21
        assert not caller.is_joined

    run(test())


def test_a_session_of_threads_and_one_of_tasks_meet(router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        with Session(router.unix_url) as blocking:
            blocking.register(uri("threads"), lambda value: value + 1)
            async with AsyncSession(router.url) as session:
                await session.register(uri("tasks"), lambda value: value - 1)
                assert await session.call(uri("threads"), 1) == 2
                assert await asyncio.to_thread(blocking.call, uri("tasks"), 1) == 0

    run(test())


def test_errors_hints_and_progress(router: RealRouter, uri: Uri) -> None:
    @wampy.error(uri("full"))
    class FullError(Exception):
        pass

    def halve(number: int) -> float:
        if number % 2:
            raise FullError("odd", number)
        return number / 2

    async def count(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number
            await asyncio.sleep(0)

    def parts(to: int) -> Any:
        yield from range(to)
        return CallResult([], {"of": to})

    async def test() -> None:
        async with AsyncSession(router.unix_url) as session:
            await session.register(uri("halve"), halve)
            await session.register(uri("count"), count)
            await session.register(uri("parts"), parts)
            assert await session.call(uri("halve"), 4) == 2.0
            with pytest.raises(FullError) as caught:
                await session.call(uri("halve"), 3)
            assert caught.value.args == ("odd", 3)
            with pytest.raises(FullError):
                await session.call_async(uri("halve"), 3)
            with pytest.raises(wampy.InvalidArgument, match="number: expected `int`"):
                await session.call(uri("halve"), "x")
            with pytest.raises(wampy.NoSuchProcedure):
                await session.call(uri("nothing"))
            assert [part async for part in session.call_progress(uri("count"), 4)] == [0, 1, 2, 3]
            assert await session.call(uri("count"), 3) == 2
            got = [part async for part in session.call_progress(uri("parts"), 2)]
            assert got == [0, 1, CallResult([], {"of": 2})]

    run(test())


@pytest.mark.parametrize("mode", ["skip", "kill", "killnowait"])
def test_each_mode_of_canceling(router: RealRouter, uri: Uri, mode: Any) -> None:
    async def test() -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def slow() -> str:
            assert current_call().procedure == uri("slow")
            began.set()
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return "not canceled"

        async with AsyncSession(router.unix_url) as callee, AsyncSession(router.url) as caller:
            await callee.register(uri("slow"), slow)
            future = caller.call_async(uri("slow"))
            await began.wait()
            assert future.cancel(mode)
            with pytest.raises(wampy.Canceled if mode == "kill" else asyncio.CancelledError):
                await future
            if mode == "skip":
                await asyncio.sleep(0.2)
                assert not cancelled.is_set()
            else:
                await asyncio.wait_for(cancelled.wait(), 5.0)
            assert await callee.drain()
            # Who is cancelled while it waits cancels the call.
            await callee.register(uri("slow"), slow)
            began.clear()
            cancelled.clear()
            task = asyncio.create_task(caller.call(uri("slow")))
            await began.wait()
            task.cancel()
            await asyncio.wait_for(cancelled.wait(), 5.0)
            began.clear()
            cancelled.clear()
            with pytest.raises(wampy.RequestTimeout):
                await caller.call(uri("slow"), timeout=0.1)
            await asyncio.wait_for(cancelled.wait(), 5.0)

    run(test())


def test_parts_of_a_call(builtin_router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        async def total(parts: CallParts) -> int:
            return sum([part async for part in parts])

        async def give(to: int) -> AsyncIterator[int]:
            for number in range(to):
                yield number
                await asyncio.sleep(0)

        url = builtin_router.unix_url
        async with AsyncSession(url) as callee, AsyncSession(url) as caller:
            await callee.register(uri("total"), total, progressive=True)
            assert await caller.call_parts(uri("total"), range(1000)) == 499_500
            assert await caller.call_parts(uri("total"), give(10)) == 45
            assert await caller.call(uri("total"), 7) == 7

    run(test())


def test_how_many_run_at_once(router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        running, most = 0, 0

        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

        async with AsyncSession(router.unix_url) as callee, AsyncSession(router.url) as caller:
            await callee.register(uri("work"), work, concurrency=3)
            await asyncio.gather(*(caller.call(uri("work")) for _ in range(20)))
            assert most == 3
            assert callee.dispatcher.calls == 20
            assert callee.dispatcher.in_flight == 0

    run(test())


def test_drained_it_has_lost_no_call(router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        async def slow() -> int:
            await asyncio.sleep(0.2)
            return 7

        async with AsyncSession(router.unix_url) as caller:
            callee = AsyncSession(router.url)
            await callee.begin()
            await callee.register(uri("slow"), slow)
            await callee.subscribe(uri("topic"), print)
            future = caller.call_async(uri("slow"))
            await eventually(lambda: callee.dispatcher.in_flight == 1)
            assert not await callee.drain(0.05)
            assert await callee.drain()
            await callee.end()
            assert await future == 7
            with pytest.raises(wampy.NoSuchProcedure):
                await caller.call(uri("slow"))

    run(test())


# ---------------------------------------------------------------------- life


def test_a_lost_connection_comes_back(
    router: RealRouter, relay: Callable[..., Relay], uri: Uri
) -> None:
    between = relay()

    async def test() -> None:
        story: list[str] = []

        async def note() -> None:
            story.append(f"back {await session.call(uri('one'))}")

        session = AsyncSession(
            f"ws://127.0.0.1:{between.port}/ws",
            timeout=10.0,
            on_join=lambda: story.append("joined"),
            on_leave=lambda: story.append("left"),
            on_reconnect=note,
        )
        async with session, AsyncSession(router.unix_url) as other:
            heard: list[int] = []
            await session.register(uri("one"), lambda: 1)
            await session.register(uri("slow"), lambda: asyncio.sleep(5.0))
            await session.subscribe(uri("topic"), heard.append)
            former = session.id
            pending = session.call_async(uri("nobody.answers"), timeout=20.0)
            waiting = asyncio.create_task(session.call(uri("slow")))
            await asyncio.sleep(0.1)
            between.refuse()
            between.cut()
            with pytest.raises(wampy.ConnectionLost):
                await waiting
            with pytest.raises((wampy.ConnectionLost, wampy.NoSuchProcedure)):
                await pending
            with pytest.raises(wampy.ConnectionLost):
                await session.publish(uri("topic"), 1)
            with pytest.raises(wampy.RequestTimeout, match="not connected to"):
                await session.call(uri("one"), timeout=0.2)
            late = asyncio.create_task(session.call(uri("one")))
            await asyncio.sleep(0.05)
            between.accept()
            await eventually(lambda: story[-1] == "back 1")
            assert session.id != former
            assert await other.call(uri("one")) == 1
            await other.publish(uri("topic"), 2, acknowledge=True)
            await eventually(lambda: heard == [2])
            # The one that was waiting may have been there before the procedure was.
            with contextlib.suppress(wampy.NoSuchProcedure):
                assert await late == 1
        assert story == ["joined", "left", "joined", "back 1", "left"]
        with pytest.raises(wampy.SessionClosed):
            await session.call(uri("one"))
        assert await session.wait_closed()

    run(test())


def test_a_half_open_connection_is_found(router: RealRouter, relay: Callable[..., Relay]) -> None:
    between = relay()

    async def test() -> None:
        url = f"ws://127.0.0.1:{between.port}/ws"
        session = AsyncSession(url, ping_interval=0.2, reconnect=False)
        async with session:
            await asyncio.sleep(0.5)
            assert session.is_joined
            between.freeze()
            assert await session.wait_closed(3.0)
            with pytest.raises(wampy.ConnectionLost, match="no sign of life"):
                await session.call("com.example.any")
            between.thaw()

    run(test())


def test_who_joins_and_who_does_not(router: RealRouter, relay: Callable[..., Relay]) -> None:
    tls = relay(is_tls=True)

    async def test() -> None:
        joe: dict[str, Any] = {"authid": "joe", "ticket": TICKETS["joe"]}
        async with AsyncSession(router.ticket_url, **joe) as session:
            assert session.details["authid"] == "joe"
            assert await session.meta.sessions.count() >= 1
            assert (await session.meta.sessions.get(session.id or 0)).authid == "joe"
            await session.add_testament("com.example.will", 1)
            await session.flush_testaments()
        with pytest.raises(wampy.NotAuthenticated):
            async with AsyncSession(router.ticket_url, authid="joe", ticket="mistaken"):
                pass
        with pytest.raises(wampy.NoSuchRealm):
            async with AsyncSession(router.url, "nowhere"):
                pass
        async with AsyncSession(f"wss://localhost:{tls.port}/ws", ca=str(CERTIFICATE)) as session:
            assert session.is_joined
        with pytest.raises(wampy.ConnectFailed, match="certificate"):
            await AsyncSession(f"wss://localhost:{tls.port}/ws").begin()
        with pytest.raises(wampy.ConnectFailed, match="refused"):
            await AsyncSession(f"ws://127.0.0.1:{free_port()}/ws").begin()
        with pytest.raises(wampy.ConnectFailed, match=r"404|hung up"):
            await AsyncSession(f"ws://127.0.0.1:{router.port}/nothing").begin()
        with pytest.raises(wampy.SessionClosed, match="has not begun"):
            await AsyncSession(router.url).call("com.example.any")

    run(test())


def test_what_waits_is_refused_in_the_loop(router: RealRouter, uri: Uri) -> None:
    async def test() -> None:
        async with AsyncSession(router.unix_url) as session:
            await session.register(uri("wait"), lambda: current_call().wait(1.0))
            with pytest.raises(wampy.ApplicationError, match="would hold up the event loop"):
                await session.call(uri("wait"))

    run(test())
