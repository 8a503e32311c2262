"""Results in parts at the end of who takes them: how the rest is canceled, by both Sessions."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.tasks import eventually, run
from wampy import AsyncSession, Session, current_call

Join = Callable[..., Session]
Uri = Callable[[str], str]


class Streaming:
    """A handler that gives a part, waits until it is let on, gives another, and ends."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.go_on = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> Any:
        yield 1
        try:
            while not self.go_on.is_set():
                current_call().wait(0.01)
        except wampy.Interrupted:
            self.told.set()
            raise
        finally:
            self.ended.set()
        yield 2


@pytest.fixture
def streaming(join: Join, uri: Uri) -> Streaming:
    handler = Streaming()
    callee = join()
    callee.register(uri("parts"), handler)
    # It answers when what was sent before has reached the callee.
    callee.register(uri("after"), lambda: None)
    return handler


def test_close_tells_the_callee(join: Join, uri: Uri, streaming: Streaming) -> None:
    caller = join()
    parts = caller.call_progress(uri("parts"))
    assert next(parts) == 1
    parts.close()
    assert streaming.told.wait(5.0)
    assert list(parts) == []
    parts.close()
    parts.close("kill")
    with pytest.raises(wampy.LocalProtocolError, match="expected one of skip, kill, killnowait"):
        parts.close("quickly")  # type: ignore[arg-type]


def test_close_with_skip_does_not_tell_it(join: Join, uri: Uri, streaming: Streaming) -> None:
    caller = join()
    parts = caller.call_progress(uri("parts"))
    assert next(parts) == 1
    parts.close("skip")
    assert list(parts) == []
    caller.call(uri("after"))
    streaming.go_on.set()
    assert streaming.ended.wait(5.0)
    assert not streaming.told.is_set()


def test_close_with_kill_goes_on_until_the_callee_has_ended(
    join: Join, uri: Uri, streaming: Streaming
) -> None:
    caller = join()
    parts = caller.call_progress(uri("parts"))
    assert next(parts) == 1
    parts.close("kill")
    with pytest.raises(wampy.Canceled):
        next(parts)
    assert streaming.told.is_set()
    assert list(parts) == []


def test_one_that_is_dropped_is_canceled(join: Join, uri: Uri, streaming: Streaming) -> None:
    caller = join(ping_interval=0.2)
    parts = caller.call_progress(uri("parts"))
    assert next(parts) == 1
    del parts
    assert streaming.told.wait(5.0)


# ---------------------------------------------------------------------- asyncio


@pytest.mark.parametrize("how", ["close", "aclose", "aclosing", "skip", "kill", "task", "dropped"])
def test_each_way_to_leave_the_parts_of_an_async_session(
    router: RealRouter, uri: Uri, streaming: Streaming, how: Any
) -> None:
    async def take(session: AsyncSession, begun: asyncio.Event) -> None:
        async for part in session.call_progress(uri("parts")):
            assert part == 1
            begun.set()

    async def test() -> None:
        async with AsyncSession(router.unix_url) as session:
            parts = session.call_progress(uri("parts"))
            if how != "task":
                assert await anext(parts) == 1
            match how:
                case "close":
                    parts.close()
                    parts.close()
                case "aclose":
                    await parts.aclose()
                    await parts.aclose()
                case "aclosing":
                    async with contextlib.aclosing(parts):
                        pass
                case "skip" | "kill":
                    parts.close(how)
                case "task":
                    begun = asyncio.Event()
                    task = asyncio.create_task(take(session, begun))
                    await begun.wait()
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                case "dropped":
                    del parts
                    gc.collect()
            if how == "skip":
                await session.call(uri("after"))
                streaming.go_on.set()
                await eventually(streaming.ended.is_set)
                assert not streaming.told.is_set()
                return
            if how == "kill":
                with pytest.raises(wampy.Canceled):
                    await anext(parts)
            elif how == "dropped":
                # Told with the next message that comes.
                await session.call(uri("after"))
            await eventually(streaming.told.is_set)
            if how not in ("dropped", "task"):
                assert [part async for part in parts] == []
                with pytest.raises(wampy.LocalProtocolError, match="expected one of skip"):
                    parts.close("quickly")  # type: ignore[arg-type]

    run(test())


@pytest.mark.parametrize("mode", ["skip", "kill", "killnowait"])
def test_a_call_that_was_not_sent_yet_never_is(
    router: RealRouter, join: Join, uri: Uri, mode: Any
) -> None:
    called: list[int] = []
    join().register(uri("note"), called.append)

    async def test() -> None:
        async with AsyncSession(router.unix_url) as session:
            future = session.call_async(uri("note"), 1)
            assert future.cancel(mode) is True
            with pytest.raises(asyncio.CancelledError):
                await future
            assert (future.done(), future.cancelled(), future.cancel(mode)) == (True, True, False)
            await session.call(uri("note"), 2)

    run(test())
    assert called == [2]
