"""What was given up, or taken away, stays so: at the Router, too, and after a reconnect."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import Relay
from tests.integration.wampy.scripted import (
    CALL,
    CANCEL,
    KINDS,
    REGISTER,
    REGISTERED,
    RESULT,
    SUBSCRIBE,
    SUBSCRIBED,
    UNREGISTER,
    UNSUBSCRIBE,
    Conversation,
    ScriptedRouter,
)
from tests.support import wait_until
from wampy import Session

Scripted = Callable[..., ScriptedRouter]
Open = Callable[..., Any]
Join = Callable[..., Session]
Uri = Callable[[str], str]


@pytest.mark.parametrize(
    ("method", "asked", "confirmed", "undone"),
    [
        ("register", REGISTER, REGISTERED, UNREGISTER),
        ("subscribe", SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE),
    ],
)
def test_what_is_confirmed_too_late_is_undone(
    scripted: Scripted, opened: Open, method: str, asked: int, confirmed: int, undone: int
) -> None:
    """Else the Router sends it calls and events for ever, and nobody else may register it."""
    undoing: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(asked)
        it.until(CALL)  # made when the other was given up
        it.send(confirmed, request[1], 77)
        undoing.append(it.until(undone))
        it.answer(undoing[0])
        it.serve()

    session = opened(scripted(script))
    with pytest.raises(wampy.RequestTimeout, match=r"within 0\.05 s"):
        getattr(session, method)("com.example.late", print, timeout=0.05)
    with pytest.raises(wampy.RequestTimeout):
        session.call("com.example.echo", timeout=0.05)
    wait_until(lambda: undoing)
    assert undoing[0][2] == 77
    assert session.call("com.example.echo", 7) == 7
    assert not session.registrations
    assert not session.subscriptions


def test_a_topic_that_others_listen_to_is_not_undone(scripted: Scripted, opened: Open) -> None:
    """Subscriptions to one topic share an id: a late one must not take it from the next."""

    def script(it: Conversation) -> None:
        it.welcome()
        late, second = it.until(SUBSCRIBE), it.until(SUBSCRIBE)
        it.send(SUBSCRIBED, late[1], 77)
        it.send(SUBSCRIBED, second[1], 77)
        it.serve()

    router = scripted(script)
    session = opened(router)
    with pytest.raises(wampy.RequestTimeout):
        session.subscribe("com.example.topic", print, timeout=0.05)
    subscription = session.subscribe("com.example.topic", print)
    assert session.call("com.example.echo", 7) == 7
    assert subscription.is_active
    assert UNSUBSCRIBE not in [message[0] for message in router.conversations[0].heard]


def test_a_dropped_iterator_cancels_its_call_at_once(scripted: Scripted) -> None:
    """Not with the next message that happens to come, or the next ping."""
    canceled: list[float] = []

    def script(it: Conversation) -> None:
        it.welcome()
        call = it.until(CALL)
        it.send(RESULT, call[1], {"progress": True}, [1])
        it.until(CANCEL)
        canceled.append(time.monotonic())
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as session:
        parts = session.call_progress("com.example.parts")
        assert next(parts) == 1
        dropped_at = time.monotonic()
        with session._lock:
            # It may happen anywhere, while this thread holds the lock, too.
            del parts
            gc.collect()
        wait_until(lambda: canceled)
        assert canceled[0] - dropped_at < 2.0
        assert not session._link or not session._link.pending


def test_a_dropped_iterator_of_a_task_cancels_its_call_at_once(scripted: Scripted) -> None:
    canceled: list[float] = []

    def script(it: Conversation) -> None:
        it.welcome()
        call = it.until(CALL)
        it.send(RESULT, call[1], {"progress": True}, [1])
        it.until(CANCEL)
        canceled.append(time.monotonic())
        it.serve()

    session = KINDS["asyncio"](scripted(script).url, timeout=10.0)
    session.begin()
    try:
        parts = session.call_progress("com.example.parts")
        assert session._run(parts.__anext__) == 1
        dropped_at = time.monotonic()
        del parts
        gc.collect()
        wait_until(lambda: canceled)
        assert canceled[0] - dropped_at < 2.0
    finally:
        session.end()


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_the_router_took_away_does_not_come_back(
    kind: str, builtin_router: RealRouter, uri: Uri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on purpose, and the next connection does not change that."""
    monkeypatch.setattr("wampy.session.establishing.RESTORE_PAUSE_S", 0.05)
    between = Relay(builtin_router.port)
    session = KINDS[kind](f"ws://127.0.0.1:{between.port}/ws", timeout=10.0)
    try:
        session.begin()
        kept = session.register(uri("kept"), lambda: 1)
        gone = session.register(uri("gone"), lambda: 1)
        topic = session.subscribe(uri("topic"), print)
        with Session(builtin_router.unix_url, timeout=10.0) as operator:
            operator.meta.registrations.remove_callee(gone.id, session.id)
            operator.meta.subscriptions.remove_subscriber(topic.id, session.id)
            wait_until(lambda: not gone.is_active and not topic.is_active)
            assert "revoked" in repr(gone)
            former = session.id
            between.cut()
            wait_until(lambda: session.id not in (None, former) and kept.is_active)
            assert operator.call(uri("kept")) == 1
            with pytest.raises(wampy.NoSuchProcedure):
                operator.call(uri("gone"))
            assert operator.meta.subscriptions.lookup(uri("topic")) is None
            assert not gone.is_active
    finally:
        session.end()
        between.close()
