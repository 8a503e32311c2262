"""The Router in memory: what only it has; all else it has in common with the others' tests."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from tests.support import wait_until
from wampy import AsyncSession, ConnectFailed, ConnectionLost, RequestTimeout, Session
from wampy.messages import Hello, Message, Subscribe
from wampy.serializers import MSGPACK
from wampy.testing.routers import MemoryRouter
from wampy.transports import connect, parse_url


def sockets() -> set[str]:
    """Give what sockets this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # of the listing itself
        if target.startswith("socket:"):
            found.add(target)
    return found


def test_it_has_no_socket_and_no_thread() -> None:
    threads, before = threading.active_count(), sockets()
    with MemoryRouter() as router:
        assert threading.active_count() == threads
        with Session(router) as session:
            assert session.call("wamp.session.count") == 1
            assert sockets() <= before


def test_the_name_is_its_own() -> None:
    with MemoryRouter("one", realm="here") as router:
        router.start()  # nothing
        with pytest.raises(ValueError, match="memory://one in this process already"):
            MemoryRouter("one").start()
        with Session("memory://one", realm="here") as session:
            assert session.is_joined
    router.stop()  # nothing
    with pytest.raises(ConnectFailed, match="no router of that name runs in this process"):
        Session(router)
    with MemoryRouter("one"):
        pass


def test_a_timeout_at_the_router_passes_while_somebody_waits() -> None:
    with MemoryRouter() as router, Session(router) as callee, Session(router) as caller:
        release = threading.Event()
        callee.register("slow", lambda: release.wait(30.0))
        with pytest.raises(RequestTimeout, match=r"wamp\.error\.timeout"):
            caller.call("slow", timeout=30.0, options={"timeout": 50})
        # And for one who waits for something else already.
        future = caller.call_async("slow", timeout=30.0)
        waiting = threading.Thread(target=future.result)
        waiting.start()
        other = caller.call_async("slow", timeout=30.0, options={"timeout": 50})
        assert isinstance(other.exception(20.0), RequestTimeout)
        release.set()
        assert future.result() is True
        waiting.join(30.0)


def test_a_stop_lets_calls_end_and_says_goodbye() -> None:
    router = MemoryRouter()
    router.start()
    left: list[str] = []
    callee = Session(router, reconnect=False)
    caller = Session(router, reconnect=False, on_leave=lambda: left.append("left"))
    for session in (callee, caller):
        session.begin()
    entered, release = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        release.wait(30.0)
        return "done"

    callee.register("slow", slow)
    future = caller.call_async("slow")
    assert entered.wait(30.0)
    stopping = threading.Thread(target=router.stop)
    stopping.start()
    wait_until(lambda: repr(router).endswith("stopped>"), 10.0)
    with pytest.raises(ConnectFailed, match="no router of that name"):
        Session(router)
    release.set()
    assert future.result() == "done"
    stopping.join(30.0)
    assert not stopping.is_alive()
    wait_until(lambda: left == ["left"], 10.0)
    with pytest.raises(ConnectionLost, match="system_shutdown"):
        caller.call("slow")
    for session in (callee, caller):
        session.end()


def test_who_was_lost_comes_back_when_it_is_there_again() -> None:
    with MemoryRouter("again") as router:
        session = Session(router)
        session.begin()
        session.register("echo", lambda value: value)
    with MemoryRouter("again") as router, Session(router) as caller:
        wait_until(lambda: session.is_joined and session.registrations[0].is_active, 20.0)
        assert caller.call("echo", 1) == 1
        session.end()


def test_tasks_and_threads_meet() -> None:
    async def tasks(router: MemoryRouter, caller: Session) -> None:
        async with AsyncSession(router) as session:
            await session.register("double", lambda value: value * 2)
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(None, caller.call, "double", "ab") == "abab"
            began = time.monotonic()
            with pytest.raises(RequestTimeout, match=r"wamp\.error\.timeout"):
                await session.call("deaf", timeout=30.0, options={"timeout": 50})
            assert time.monotonic() - began < 20.0

    with MemoryRouter() as router, Session(router) as caller:
        release = threading.Event()
        caller.register("deaf", lambda: release.wait(30.0))
        asyncio.run(tasks(router, caller))
        release.set()


def test_what_a_client_does_not_take_waits_at_the_router() -> None:
    """No more than a socket's buffer waits at the client; it gets the rest once it takes that."""
    with MemoryRouter() as router, Session(router) as publisher:
        slow = connect(parse_url(router.url), ("msgpack",), 0.0)
        messages: list[Message] = []

        def say(message: Message) -> None:
            slow.send(slow.codec.message(MSGPACK.encode(message)), 0.0)

        def take() -> None:
            messages.extend(MSGPACK.decode(payload) for _, payload in slow.receive(10.0))

        say(Hello(realm="realm1", details={"roles": {"subscriber": {}}}))
        say(Subscribe(request_id=1, topic="topic"))
        take()
        assert [message.name for message in messages] == ["WELCOME", "SUBSCRIBED"]
        for _ in range(50):
            publisher.publish("topic", "x" * 100_000, acknowledge=True)
        assert slow.waiting_bytes < 500_000  # type: ignore[attr-defined]  # it is one in memory
        while len(messages) < 52:
            take()
        assert {message.name for message in messages[2:]} == {"EVENT"}
        slow.close()
