"""What may be given as a timeout, everywhere alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.wampy.scripted import Conversation, ScriptedRouter
from wampy import AsyncSession, LocalProtocolError, Session
from wampy.durations import MAX_TIMEOUT_S, seconds_of
from wampy.session.futures import CallFuture

WRONG: list[Any] = [float("nan"), -1, -0.001, True, "1", [1]]


@pytest.fixture
def session(scripted: Callable[..., ScriptedRouter]) -> Iterator[Session]:
    """Give a Session at a Router that does as it should."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as made:
        yield made


@pytest.mark.parametrize(("given", "waited"), [(0, 0.0), (1, 1.0), (2.5, 2.5)])
def test_seconds(given: float, waited: float) -> None:
    assert seconds_of(given) == waited


@pytest.mark.parametrize("given", [1e10, float("inf"), 10**30])
def test_what_no_system_can_wait_is_as_long_as_it_can(given: float) -> None:
    assert seconds_of(given) == MAX_TIMEOUT_S
    gate = threading.Lock()
    assert gate.acquire(timeout=seconds_of(given))


def test_a_call_may_wait_for_ever(session: Session) -> None:
    for timeout in (float("inf"), 1e10):
        assert session.call("com.example.echo", 1, timeout=timeout) == 1
        assert session.call_async("com.example.echo", 1, timeout=timeout).result(timeout) == 1
        session.register("com.example.mine", print, timeout=timeout).unregister(timeout)
        assert session.drain(timeout)


@pytest.mark.parametrize("given", WRONG)
def test_what_is_none_says_so(given: Any, session: Session) -> None:
    kind = ValueError if isinstance(given, float | int) and given is not True else TypeError
    for action in (
        lambda: Session("unix:///nowhere", timeout=given),
        lambda: AsyncSession("unix:///nowhere", timeout=given),
        lambda: session.begin(given),
        lambda: session.call("com.example.x", timeout=given),
        lambda: session.call_async("com.example.x", timeout=given),
        lambda: session.call_progress("com.example.x", timeout=given),
        lambda: session.publish("com.example.x", timeout=given),
        lambda: session.register("com.example.x", print, timeout=given),
        lambda: session.drain(given),
        lambda: session.recv(given),
        lambda: session.wait_closed(given),
        lambda: asyncio.run(AsyncSession("unix:///nowhere").call("com.example.x", timeout=given)),
    ):
        with pytest.raises(kind, match=r"^timeout is a number of seconds.*, got "):
            action()
    with pytest.raises(LocalProtocolError, match=r"^ping_interval is .+; expected seconds"):
        Session("unix:///nowhere", ping_interval=given)


def test_no_timeout_is_no_timeout_of_a_session() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="timeout is a number of seconds, got None"):
        Session("unix:///nowhere", timeout=nothing)


def test_a_future_waits_no_longer_than_its_call(session: Session) -> None:
    future = CallFuture(session, "com.example.x", 0.01)
    for timeout in (-1.0, 0.0):
        with pytest.raises(TimeoutError):
            future.result(timeout)
