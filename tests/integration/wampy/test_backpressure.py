"""A handler that yields faster than its link takes: it waits, and what waits for it goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import wampy
from tests.integration.wampy.relay import Relay
from tests.support import wait_until
from wampy import Session, current_call
from wampy.session.link import Link

Join = Callable[..., Session]
Uri = Callable[[str], str]
KINDS = ["generator", "async_generator", "by_hand"]
PART_BYTES, PARTS, QUEUED_BYTES = 2**16, 200, 2**18


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, each Link has too much to send, as far as handlers that yield can see."""
    is_full = threading.Event()
    monkeypatch.setattr(Link, "is_full", property(lambda link: link.is_alive and is_full.is_set()))
    return is_full


class Handlers:
    """Yield without end, in each way; note what they gave and how they ended."""

    def __init__(self) -> None:
        self.given = 0
        self.ends: list[str] = []

    def generator(self) -> Iterator[int]:
        try:
            while True:
                self.given += 1
                yield self.given
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise

    async def async_generator(self) -> AsyncIterator[int]:
        try:
            while True:
                self.given += 1
                yield self.given
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise

    def by_hand(self) -> None:
        try:
            while True:
                self.given += 1
                current_call().progress(self.given)
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_to_be_sent_is_bounded(
    relay: Callable[..., Relay], join: Join, uri: Uri, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("wampy.session.link.QUEUED_BYTES", QUEUED_BYTES)
    between = relay(rate=20_000_000)
    callee, caller = join(f"ws://127.0.0.1:{between.port}/ws"), join()
    part, waiting = "x" * PART_BYTES, []
    began, may_go_on = threading.Event(), threading.Event()

    def note() -> None:
        link: Any = callee._link
        waiting.append(link.posted_bytes - link.transport.sent_bytes)

    def generator() -> Iterator[str]:
        began.set()
        may_go_on.wait(10.0)
        for _ in range(PARTS):
            note()
            yield part

    async def async_generator() -> AsyncIterator[str]:
        for one in generator():
            yield one

    def by_hand() -> None:
        for one in generator():
            current_call().progress(one)

    handlers = {"generator": generator, "async_generator": async_generator, "by_hand": by_hand}
    callee.register(uri("count"), handlers[kind])
    parts = caller.call_progress(uri("count"))
    assert began.wait(10.0)
    between.freeze()
    may_go_on.set()
    wait_until(lambda: callee._link is not None and callee._link.is_full)
    assert len(waiting) < PARTS
    between.thaw()
    assert [len(one) for one in parts] == [PART_BYTES] * PARTS
    assert max(waiting) <= QUEUED_BYTES + 2 * PART_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_for_room_is_told_that_the_caller_canceled(
    join: Join, uri: Uri, full: threading.Event, kind: str
) -> None:
    """And meanwhile the Session reads on, and answers others, though this handler is quick."""
    callee, caller = join(), join()
    handlers = Handlers()
    callee.register(uri("count"), getattr(handlers, kind))
    callee.register(uri("echo"), lambda value: value)
    assert caller.call(uri("echo"), 1) == 1
    parts = caller.call_progress(uri("count"), timeout=20.0)
    assert next(parts) == 1
    full.set()

    def waits() -> bool:
        """Others are answered all the time."""
        given = handlers.given
        assert caller.call(uri("echo"), 2) == 2
        return handlers.given == given

    wait_until(waits)
    parts.close()
    wait_until(lambda: handlers.ends)
    expected = {"generator": "GeneratorExit", "by_hand": "Interrupted"}
    assert handlers.ends[0] == expected.get(kind, handlers.ends[0])
    assert caller.call(uri("echo"), 3) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_for_room_waits_no_longer_than_for_stall_s(
    join: Join, uri: Uri, full: threading.Event, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("wampy.session.answering.STALL_S", 0.1)
    callee, caller = join(), join()
    callee.register(uri("count"), getattr(Handlers(), kind))
    full.set()
    with pytest.raises(wampy.RequestError, match="takes nothing more"):
        list(caller.call_progress(uri("count")))


def test_who_waits_for_room_ends_when_the_connection_is_lost(
    relay: Callable[..., Relay], join: Join, uri: Uri, full: threading.Event
) -> None:
    between = relay()
    callee = join(f"ws://127.0.0.1:{between.port}/ws", reconnect=False)
    ended = threading.Event()

    def count() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            ended.set()

    callee.register(uri("count"), count)
    parts = join().call_progress(uri("count"))
    full.set()
    wait_until(lambda: callee.dispatcher.in_flight == 1)
    between.cut()
    assert ended.wait(10.0)
    with pytest.raises(wampy.RequestError):
        list(parts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_cannot_be_sent_is_told_in_one_line(
    join: Join, uri: Uri, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """As a whole result is: the handler's lines say nothing of it."""
    closed = threading.Event()

    def generator() -> Iterator[Any]:
        try:
            yield object()
        finally:
            closed.set()

    async def async_generator() -> AsyncIterator[Any]:
        for one in generator():
            yield one

    def by_hand() -> None:
        for one in generator():
            current_call().progress(one)

    handlers = {"generator": generator, "async_generator": async_generator, "by_hand": by_hand}
    callee, caller = join(), join()
    callee.register(uri("count"), handlers[kind])
    text = f"a part of the result of {uri('count')} cannot be sent: YIELD: args"
    with pytest.raises(wampy.RequestError, match=f"SerializationError: {text}"):
        list(caller.call_progress(uri("count")))
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.getMessage().startswith(text)
    assert record.exc_info is None
    assert callee.dispatcher.errors == 1
    assert closed.wait(5.0)
