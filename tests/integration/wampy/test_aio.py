"""An AsyncSession, over each Router, transport and serializer; alike in all to a Session."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter, free_port
from tests.integration.wampy.relay import CERTIFICATE, Relay
from tests.integration.wampy.scripted import (
    GOODBYE,
    Conversation,
    ScriptedRouter,
)
from tests.support import wait_until
from wampy import AsyncSession, CallResult, Session, current_call, current_event
from wampy.aio.futures import AsyncWaiter
from wampy.aio.handles import AsyncRegistration, AsyncSubscription
from wampy.aio.meta import AsyncMeta
from wampy.session.handles import Registration, Subscription
from wampy.session.meta import Meta
from wampy.session.parts import CallParts

Uri = Callable[[str], str]
Open = Callable[..., AsyncSession]
VALUES: list[Any] = [None, True, 0, -(2**40), 1.5, "ä€😀", "", [], [1, [2]], {"a": {"b": None}}]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; nothing of it may take for ever."""

    async def bounded() -> None:
        await asyncio.wait_for(test, 60.0)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], (
            "tasks are left"
        )

    asyncio.run(bounded(), debug=True)


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "in vain"
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- alike


def public(cls: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("_") or name == "__init__"
    }


#: Below the public face: what other modules of the library use.
INSIDE = {
    "answer", "answer_error", "answer_progress", "answer_to", "ask_to_cancel", "check_usable",
    "close", "drained", "drop_event", "expire", "flush", "futures_changed", "give_up",
    "give_up_later", "interrupt", "is_in_loop", "is_unusable", "keep_locked", "leave", "lose",
    "part_sent", "post", "post_part", "request", "set_up", "take_back", "tear_down", "timeout_of",
    "undo", "wait_for", "wait_idle", "wake", "welcomed_locked",
}  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Session, AsyncSession),
        (Registration, AsyncRegistration),
        (Subscription, AsyncSubscription),
        *(
            (type(getattr(Meta(print), name)), type(getattr(AsyncMeta(print), name)))
            for name in ("sessions", "registrations", "subscriptions")
        ),
    ],
)
def test_both_have_the_same_names_and_parameters(one: type, other: type) -> None:
    ours, theirs = public(one), public(other)
    names = set(ours) - INSIDE
    assert names == set(theirs) - INSIDE
    waiting = set()
    for name in names:
        if not callable(ours[name]):
            continue
        parameters = [inspect.signature(member[name]).parameters for member in (ours, theirs)]
        if name != "call_parts":  # which takes an asynchronous iterable, too
            assert list(parameters[0].values()) == list(parameters[1].values()), name
        if inspect.iscoroutinefunction(theirs[name]):
            waiting.add(name)
    if one is Session:
        assert waiting == {
            "add_testament", "begin", "call", "call_parts", "call_result", "drain", "end",
            "flush_testaments", "publish", "recv", "register", "send", "send_and_receive",
            "subscribe", "wait_closed",
        }  # fmt: skip


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


# ---------------------------------------------------------------------- what ends, and when


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
