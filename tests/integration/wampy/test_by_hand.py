"""Messages by hand, of a Session of threads and of one of tasks."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.scripted import (
    CALL,
    CANCEL,
    EVENT,
    SUBSCRIBE,
    SUBSCRIBED,
    Conversation,
    ScriptedRouter,
)
from tests.support import wait_until
from wampy import AsyncSession, Session
from wampy.messages import (
    Call,
    Error,
    Hello,
    Publish,
    Register,
    Registered,
    Result,
    Subscribe,
    Unregister,
    Unregistered,
    Yield,
)

Uri = Callable[[str], str]
Scripted = Callable[..., ScriptedRouter]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """Make a Router with a script."""
    made: list[ScriptedRouter] = []

    def make(script: Callable[[Conversation], None]) -> ScriptedRouter:
        made.append(ScriptedRouter(script, is_websocket=False))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_caller_by_hand(
    kind: Any, router: RealRouter, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    with kind(router.url, timeout=10.0) as session, Session(router.unix_url) as other:
        other.register(uri("echo"), lambda *args, **kwargs: [list(args), kwargs])
        with caplog.at_level(logging.INFO, "wampy.wamp.session"):
            sent = session.send(Call(procedure=uri("echo"), args=["x"], kwargs={"y": 1}))
            got = session.recv(5.0)
        assert isinstance(got, Result)
        assert got.request_id == sent.request_id
        assert list(got.args or ()) == [[["x"], {"y": 1}]]
        lines = [record.getMessage() for record in caplog.records]
        assert lines == ['sending "CALL" message', 'received "RESULT" message']
        # An error is a message, too, whichever way it comes.
        session.send(Call(procedure=uri("none")))
        for failed in (session.recv(5.0), session.send_and_receive(Call(procedure=uri("none")))):
            assert isinstance(failed, Error)
            assert failed.error == "wamp.error.no_such_procedure"
            assert failed.request_type == Call.WAMP_CODE
        with pytest.raises(wampy.RequestTimeout, match=r"no message within 0\.05 s"):
            session.recv(0.05)
        with pytest.raises(wampy.RequestTimeout):
            session.recv(0)
        with pytest.raises(wampy.LocalProtocolError, match="HELLO"):
            session.send(Hello(realm="realm1", details={}))


def test_a_subscriber_and_a_publisher_by_hand(kind: Any, router: RealRouter, uri: Uri) -> None:
    with kind(router.url, timeout=10.0) as session, kind(router.unix_url) as other:
        session.send_and_receive(Subscribe(topic=uri("topic")))
        assert other.send_and_receive(Publish(topic=uri("topic"), args=[7])) is None
        event = session.recv(5.0)
        assert list(event.args) == [7]
        published = other.send_and_receive(
            Publish(topic=uri("topic"), args=[8], options={"acknowledge": True})
        )
        assert session.recv(5.0).publication_id == published.publication_id
        # What is by hand and what is not, beside each other.
        heard: list[int] = []
        session.subscribe(uri("more"), heard.append)
        other.publish(uri("more"), 1, acknowledge=True)
        wait_until(lambda: heard == [1])
        with pytest.raises(wampy.RequestTimeout):
            session.recv(0.05)


def test_a_callee_by_hand(kind: Any, router: RealRouter, uri: Uri) -> None:
    with kind(router.url, timeout=10.0) as callee, Session(router.unix_url) as caller:
        callee.send(Register(procedure=uri("many")))
        registered = callee.recv(5.0)
        assert isinstance(registered, Registered)
        future = caller.call_async(uri("many"), 1)
        invocation = callee.recv(5.0)
        assert list(invocation.args) == [1]
        callee.send(Yield(request_id=invocation.request_id, args=[1, 2], kwargs={"three": 3}))
        assert future.result() == wampy.CallResult([1, 2], {"three": 3})
        future = caller.call_async(uri("many"), 2)
        request_id = callee.recv(5.0).request_id
        callee.send(
            Error(request_type=68, request_id=request_id, details={}, error=uri("odd"), args=["x"])
        )
        with pytest.raises(wampy.RequestError, match=uri("odd")):
            future.result()
        gone = callee.send_and_receive(Unregister(registration_id=registered.registration_id))
        assert isinstance(gone, Unregistered)


def test_what_is_lost_while_it_is_received(kind: Any, scripted: Scripted) -> None:
    """Who waits is told at once: of what he sent, and then that nothing more will come."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.until(CALL)
        it.until(CALL)

    with kind(scripted(script).url, reconnect=False, timeout=10.0) as session:
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(session.recv, 8.0) for _ in range(2)]
            session.send(Call(procedure="com.example.one"))
            with pytest.raises(wampy.ConnectionLost):
                session.send_and_receive(Call(procedure="com.example.two"))
            failures = [one.exception(10.0) for one in waiting]
        assert [type(one) for one in failures] == [wampy.ConnectionLost] * 2
        with pytest.raises(wampy.ConnectionLost, match="not connected to"):
            session.recv()
        assert time.monotonic() - started < 5.0


def test_the_end_while_it_is_received(kind: Any, router: RealRouter) -> None:
    with kind(router.unix_url, timeout=10.0) as session:
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(session.recv, 8.0)
            threading.Event().wait(0.1)
            started = time.monotonic()
            ending = pool.submit(session.end)
            assert type(waiting.exception(10.0)) is wampy.SessionClosed
            ending.result(10.0)
        assert time.monotonic() - started < 5.0


def test_an_answer_that_does_not_come_in_time(kind: Any, scripted: Scripted) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        assert it.until(CANCEL)[1] == request
        it.serve()

    with kind(scripted(script).url, timeout=10.0) as session:
        with pytest.raises(wampy.RequestTimeout, match="CALL: no answer"):
            session.send_and_receive(Call(procedure="com.example.slow"), 0.1)
        got = session.send_and_receive(Call(procedure="com.example.echo", args=[1]))
        assert list(got.args) == [1]


def test_what_nobody_takes_is_bounded(kind: Any, scripted: Scripted) -> None:
    """The oldest go first."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(SUBSCRIBED, it.until(SUBSCRIBE)[1], 5)
        it.octets(b"".join(it.encode(EVENT, 5, n + 1, {}, [n]) for n in range(10_050)))
        it.serve()

    with kind(scripted(script).url, timeout=10.0) as session:
        session.send_and_receive(Subscribe(topic="com.example.topic"))
        session.call("com.example.echo")
        assert len(session._inbox) == 10_000
        assert list(session.recv().args) == [50]


def test_many_coroutines_receive_and_none_that_is_cancelled_takes_one_away(
    builtin_router: RealRouter, uri: Uri
) -> None:
    async def test() -> None:
        async with AsyncSession(builtin_router.unix_url, timeout=10.0) as session:
            await session.register(uri("echo"), lambda value: value)
            waiting = [asyncio.create_task(session.recv()) for _ in range(4)]
            await asyncio.sleep(0.05)
            waiting.pop(1).cancel()
            for number in range(3):
                await session.send(Call(procedure=uri("echo"), args=[number]))
            got: list[Any] = await asyncio.gather(*waiting)
            assert sorted(one.args[0] for one in got) == [0, 1, 2]
            assert not session._receivers
            asked = asyncio.create_task(session.send_and_receive(Call(procedure=uri("none"))))
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            with pytest.raises(wampy.RequestTimeout):
                await session.recv(0.05)
            await session.end()
            with pytest.raises(wampy.SessionClosed):
                await session.recv()
            with pytest.raises(wampy.ConnectionLost, match="not connected"):
                await AsyncSession(builtin_router.unix_url).recv()

    asyncio.run(asyncio.wait_for(test(), 30.0), debug=True)
