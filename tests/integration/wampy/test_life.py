"""The life of a Session: hooks, ghosts, ends, forks; over both Routers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

import wampy
from tests.conftest import TICKETS, RealCrossbar, RealRouter
from tests.integration.wampy.relay import Relay
from tests.support import TIME_SCALE, wait_until
from wampy import AsyncSession, Session

Join = Callable[..., Session]
Uri = Callable[[str], str]


def test_on_reconnect_comes_when_all_is_as_it_was(
    relay: Callable[..., Relay], join: Join, uri: Uri
) -> None:
    between = relay()
    story: list[str] = []
    sessions: list[Session] = []

    def note_reconnect() -> None:
        # It may call, for nothing waits for it.
        story.append(f"reconnected {sessions[0].call(uri('one'))}")

    session = join(
        f"ws://127.0.0.1:{between.port}/ws",
        on_join=lambda: story.append("joined"),
        on_leave=lambda: story.append("left"),
        on_reconnect=note_reconnect,
    )
    sessions.append(session)
    session.register(uri("one"), lambda: 1)
    for count in (1, 2):
        between.cut()
        wait_until(lambda count=count: story.count("reconnected 1") == count)  # type: ignore[misc]
    assert story == ["joined", *["left", "joined", "reconnected 1"] * 2]


def test_on_reconnect_with_nothing_to_restore(relay: Callable[..., Relay], join: Join) -> None:
    between = relay()
    back = threading.Event()
    join(f"ws://127.0.0.1:{between.port}/ws", on_reconnect=back.set)
    assert not back.is_set()
    between.cut()
    assert back.wait(5.0)


def test_a_ghost_of_our_own_is_replaced(
    relay: Callable[..., Relay],
    join: Join,
    uri: Uri,
    router: RealRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Router has not missed our former Session, which holds the procedure; ours is told."""
    monkeypatch.setattr("wampy.session.establishing.GHOST_S", 0.3)
    between = relay(target=urlsplit(router.ticket_url).port)
    joe = {"authid": "joe", "ticket": TICKETS["joe"]}
    session = join(f"ws://127.0.0.1:{between.port}/ws", **joe)
    registration = session.register(uri("mine"), lambda: "here")
    former = session.id
    between.abandon()
    wait_until(lambda: session.is_joined and session.id != former)
    caller = join()
    if isinstance(router, RealCrossbar):
        assert former in caller.meta.sessions.list()
    wait_until(lambda: registration.is_active)
    assert caller.call(uri("mine")) == "here"


def test_the_built_in_router_ends_our_ghost_when_we_are_back(
    builtin_router: RealRouter, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, for whoever it was: nobody in particular, too, and without asking for anything."""
    between = Relay(builtin_router.port)
    caller = Session(builtin_router.url, timeout=10.0)
    session = Session(f"ws://127.0.0.1:{between.port}/ws", timeout=10.0)
    with caller, session:
        registration = session.register(uri("mine"), lambda: "here")
        former = session.id
        between.abandon()
        wait_until(lambda: session.id not in (None, former) and registration.is_active)
        assert former not in caller.meta.sessions.list()
        assert caller.call(uri("mine")) == "here"
    between.close()
    assert "cannot restore" not in caplog.text


def test_the_ghost_of_an_async_session_is_replaced(
    relay: Callable[..., Relay],
    join: Join,
    uri: Uri,
    router: RealRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wampy.aio.establishing.GHOST_S", 0.3)
    between = relay(target=urlsplit(router.ticket_url).port)
    caller = join()

    async def story() -> None:
        url = f"ws://127.0.0.1:{between.port}/ws"
        async with AsyncSession(url, authid="joe", ticket=TICKETS["joe"], timeout=10.0) as session:
            registration = await session.register(uri("mine"), lambda: "here")
            former = session.id
            between.abandon()
            async with asyncio.timeout(20.0 * TIME_SCALE):
                while session.id in (None, former) or not registration.is_active:
                    await asyncio.sleep(0.01)
            async with AsyncSession(router.url, timeout=10.0) as other:
                assert await other.call(uri("mine")) == "here"

    asyncio.run(story())
    assert caller.call("wamp.registration.lookup", uri("mine")) is None


def test_nobody_else_is_replaced(
    relay: Callable[..., Relay],
    join: Join,
    uri: Uri,
    router: RealRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wampy.session.establishing.GHOST_S", 0.1)
    between = relay(target=urlsplit(router.ticket_url).port)
    joe = {"authid": "joe", "ticket": TICKETS["joe"]}
    session = join(f"ws://127.0.0.1:{between.port}/ws", **joe)
    registration = session.register(uri("mine"), lambda: "here")
    between.refuse()
    between.cut()
    wait_until(lambda: not session.is_joined)
    other = join(router.ticket_url, **joe)
    other.register(uri("mine"), lambda: "there")
    between.accept()
    wait_until(lambda: session.is_joined and registration.error is not None)
    time.sleep(1.5)  # another round
    assert not registration.is_active
    assert isinstance(registration.error, wampy.ProcedureAlreadyExists)
    assert join().call(uri("mine")) == "there"
    other.end()
    wait_until(lambda: registration.is_active)


def test_wait_closed(join: Join, relay: Callable[..., Relay]) -> None:
    between = relay()
    session, once = join(), join(f"ws://127.0.0.1:{between.port}/ws", reconnect=False)
    assert not session.wait_closed(0.05)
    assert not once.wait_closed(0.05)
    between.cut()
    assert once.wait_closed(5.0)
    threading.Timer(0.1, session.end).start()
    assert session.wait_closed()
    assert session.wait_closed(0.0)


def test_who_ends_a_session_is_told_with_reason_and_message(join: Join) -> None:
    session, killer = join(reconnect=False), join()
    killer.meta.sessions.kill(session.id or 0, "com.example.enough", "go away")
    assert session.wait_closed(5.0)
    with pytest.raises(wampy.ConnectionLost, match=r"com\.example\.enough: go away"):
        session.call("com.example.any")


FORK = """
import os, sys, threading
from wampy import Session, SessionClosed

session = Session(sys.argv[1], timeout=5.0)
session.begin()
session.register(sys.argv[2], lambda: os.getpid())
print(session.call(sys.argv[2]) == os.getpid(), flush=True)
child = os.fork()
if child == 0:
    uses = [
        lambda: session.call(sys.argv[2]),
        lambda: session.call_async(sys.argv[2]),
        lambda: session.publish("com.example.topic"),
        lambda: session.register("com.example.more", print),
        lambda: session.subscribe("com.example.topic", print),
        lambda: session.recv(1.0),
        session.begin,
        session.drain,
        session.registrations[0].unregister,
    ]
    for use in uses:
        try:
            use()
        except SessionClosed as error:
            assert "before a fork" in str(error), error
        else:
            os._exit(1)
    assert session.wait_closed(0.0) and not session.is_joined
    session.end()
    with Session(sys.argv[1], timeout=5.0) as own:
        assert own.call(sys.argv[2]) == os.getppid()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print(session.call(sys.argv[2]) == os.getpid(), flush=True)
session.end()
"""


@pytest.mark.sockets
def test_a_session_in_the_child_of_a_fork_says_so(router: RealRouter, uri: Uri) -> None:
    """And the parent's lives on."""
    result = subprocess.run(
        [sys.executable, "-c", FORK, router.unix_url, uri("pid")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.stdout.split() == ["True", "0", "True"], result.stderr


@pytest.mark.sockets
def test_a_message_that_is_too_long_costs_no_session(
    router: RealRouter, join: Join, uri: Uri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the caller's, nor the callee's: the call fails, and says by how much."""
    small = "wampy.transports.websocket.MAX_RECEIVE_BYTES"
    other, events = join(), []
    monkeypatch.setattr(small, 20_000)
    for serializer in ("msgpack", "json", "cbor"):
        session = join(router.url, serializer=serializer)
        first = session.id
        session.register(uri(f"take.{serializer}"), len)
        session.subscribe(uri("topic"), lambda text: events.append(len(text)))
        other.register(uri(f"give.{serializer}"), lambda size: "x" * size)
        other.register(uri(f"fail.{serializer}"), fail)
        for name in ("give", "fail"):
            with pytest.raises(wampy.MessageTooLong, match=r"30\d\d\d bytes, the limit is 20000"):
                session.call(uri(f"{name}.{serializer}"), 30_000)
        future = session.call_async(uri(f"give.{serializer}"), 30_000)
        assert isinstance(future.exception(5), wampy.MessageTooLong)
        with pytest.raises(wampy.InvalidArgument, match="the limit is 20000"):
            other.call(uri(f"take.{serializer}"), "x" * 30_000)
        other.publish(uri("topic"), "x" * 30_000)
        other.publish(uri("topic"), "x" * 300, acknowledge=True)
        wait_until(lambda: events == [300])
        assert other.call(uri(f"take.{serializer}"), "x" * 10_000) == 10_000
        assert session.call(uri(f"give.{serializer}"), 10_000) == "x" * 10_000
        assert session.id == first
        session.end()
        events.clear()


def fail(size: int) -> None:
    raise ValueError("x" * size)
