"""What handlers may be and do, at each Router, in a Session of threads and in one of tasks."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.scripted import (
    INVOCATION,
    REGISTER,
    REGISTERED,
    YIELD,
    Conversation,
    Looped,
    ScriptedRouter,
)
from tests.support import wait_until
from wampy import CallResult, Session, current_call

Join = Callable[..., Session]
Uri = Callable[[str], str]


# ---------------------------------------------------------------------- canceled too early


def test_one_that_the_busy_loop_has_not_begun_is_cancelled(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    busy, release = threading.Event(), threading.Event()
    begun: list[int] = []

    async def hold() -> None:
        busy.set()
        release.wait(10.0)

    async def victim() -> str:
        begun.append(1)
        await asyncio.sleep(5.0)
        return "ran"

    callee.register(uri("hold"), hold)
    callee.register(uri("victim"), victim)
    first = caller.call_async(uri("hold"))
    assert busy.wait(5.0)
    future = caller.call_async(uri("victim"))
    link = callee._link
    assert link is not None

    def jobs() -> list[Any]:
        return list(link.invocations.values())

    wait_until(lambda: len(jobs()) == 2 and jobs()[1].since)
    assert future.cancel("kill")
    # Read by another thread than the one of the loop.
    wait_until(lambda: jobs()[1].is_interrupted)
    release.set()
    with pytest.raises(wampy.Canceled):
        future.result(3.0)
    assert begun == []
    first.result(5.0)


# ---------------------------------------------------------------------- what is refused at once


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("handler", "options", "error", "text"),
    [
        (nothing, {"concurrency": 0}, ValueError, "concurrency is a number from 1, got 0"),
        (nothing, {"concurrency": "2"}, ValueError, "concurrency is a number from 1, got '2'"),
        (nothing, {"concurrency": True}, ValueError, "got True"),
        (nothing, {"expected": [ValueError]}, TypeError, "a class of exceptions, or a tuple"),
        (nothing, {"expected": None}, TypeError, "got None"),
        (nothing, {"expected": (int,)}, TypeError, "got <class 'int'>"),
        (nothing, {"invoke": "all"}, wampy.LocalProtocolError, "invoke: 'all'; expected one of"),
        (nothing, {"match": "regex"}, wampy.LocalProtocolError, "match is 'regex'; expected"),
        (None, {}, TypeError, "is no function, but None"),
        ("text", {}, TypeError, "is no function, but 'text'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    join: Join, uri: Uri, offering: Any, handler: Any, options: Any, error: Any, text: str
) -> None:
    with pytest.raises(error, match=text):
        offering.register(uri("it"), handler, **options)
    if handler is not nothing:
        with pytest.raises(error, match=text):
            offering.subscribe(uri("it"), handler)
    with pytest.raises(wampy.NoSuchProcedure):
        join().call(uri("it"))
    assert offering.is_joined
    assert not offering.registrations
    assert not offering.subscriptions


# ---------------------------------------------------------------------- each call has an answer


class MuteError(Exception):
    """Says nothing of itself."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Unshown:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("no text")


def mute() -> None:
    raise MuteError


def unsendable() -> None:
    raise wampy.ApplicationError("com.example.broken", [Unshown()])


def no_uri() -> None:
    raise wampy.ApplicationError("no uri # at all", ["it"])


def broken_kwargs() -> None:
    error = wampy.ApplicationError("com.example.broken")
    error.kwargs = 7  # type: ignore[assignment]
    raise error


def broken_result() -> CallResult:
    return CallResult(7, 8)  # type: ignore[arg-type]


def leaves() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    "handler", [mute, unsendable, no_uri, broken_kwargs, broken_result, leaves]
)
@pytest.mark.parametrize("is_debug", [False, True])
def test_whatever_a_handlers_end_is_like_its_caller_is_answered(
    join: Join, uri: Uri, offering: Any, handler: Any, is_debug: bool
) -> None:
    caller = join()

    async def later() -> Any:
        return handler()

    offering.register(uri("now"), handler, debug=is_debug)
    offering.register(uri("later"), later, debug=is_debug)
    if handler is not leaves or not isinstance(
        offering, Looped
    ):  # SystemExit in a task ends the loop
        with pytest.raises(wampy.ApplicationError, match="runtime_error"):
            caller.call(uri("later"), timeout=5.0)
    with pytest.raises(wampy.ApplicationError, match="runtime_error"):
        caller.call(uri("now"), timeout=5.0)
    offering.register(uri("after"), lambda: 1)
    assert caller.call(uri("after")) == 1


# ---------------------------------------------------------------------- decorated ones


def passing(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def apassing(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def with_db(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function({"db": 1}, *args, **kwargs)

    return wrapper


def test_a_decorated_handler_gets_what_its_decorator_takes(
    join: Join, uri: Uri, offering: Any
) -> None:
    caller = join()

    @with_db
    def find(db: dict[str, int], text: str) -> list[Any]:
        return [db, text]

    def two(x: int, y: int) -> int:
        return x + y

    offering.register(uri("find"), find)
    offering.register(uri("two"), passing(two))
    offering.register(uri("atwo"), apassing(two))
    assert caller.call(uri("find"), "wamp") == [{"db": 1}, "wamp"]
    assert caller.call(uri("two"), 1, 2) == caller.call(uri("atwo"), 1, y=2) == 3
    for name in ("two", "atwo"):
        with pytest.raises(wampy.InvalidArgument, match="missing") as caught:
            caller.call(uri(name), 1)
        assert caught.value.kwargs == {"parameter": "y"}
        assert "<locals>" not in str(caught.value)
        with pytest.raises(wampy.InvalidArgument, match="too many positional arguments"):
            caller.call(uri(name), 1, 2, 3)
        # Its own mistake, or nobody can tell.
        with pytest.raises(wampy.ApplicationError, match="TypeError"):
            caller.call(uri(name), 1, "2")
    with pytest.raises(wampy.InvalidArgument, match="'text'"):
        caller.call(uri("find"))


@pytest.mark.parametrize("packer", ["native", "json"])
def test_what_is_missing_in_a_packed_call(
    builtin_router: RealRouter, uri: Uri, packer: str
) -> None:
    options = {"ppt_scheme": "x_test", "ppt_serializer": packer}
    with Session(builtin_router.unix_url) as session:
        session.register(uri("two"), lambda x, y: x + y)
        assert session.call(uri("two"), 1, 2, options=options) == 3
        with pytest.raises(wampy.InvalidArgument) as caught:
            session.call(uri("two"), 1, options=options)
        assert caught.value.kwargs == {"parameter": "y"}
        with pytest.raises(wampy.InvalidArgument, match="too many"):
            session.call(uri("two"), 1, 2, 3, options=options)
        # What it has itself got wrong stays its own.
        session.register(uri("wrong"), lambda x: x + "2")
        with pytest.raises(wampy.ApplicationError, match="TypeError"):
            session.call(uri("wrong"), 1, options=options)


# ---------------------------------------------------------------------- the loop of async handlers


def test_what_would_hold_up_the_loop_is_refused_at_once(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    notes: list[int] = []
    callee.register(uri("note"), lambda: notes.append(1))
    callee.register(uri("one"), lambda: 1)
    ways: dict[str, Callable[[], Any]] = {
        "call": lambda: callee.call(uri("note")),
        "call_result": lambda: callee.call_result(uri("note")),
        "call_progress": lambda: list(callee.call_progress(uri("note"))),
        "publish": lambda: callee.publish(uri("topic"), acknowledge=True),
        "register": lambda: callee.register(uri("other"), nothing),
        "subscribe": lambda: callee.subscribe(uri("topic"), nothing),
        "another session's": lambda: caller.call(uri("note")),
        "wait": lambda: current_call().wait(5.0),
    }

    async def blocks(way: str) -> None:
        ways[way]()

    async def waits() -> Any:
        # What needs the same loop is not there yet, whoever is quick.
        return callee.call_async(uri("awaits"), timeout=5.0).result()

    async def awaits() -> Any:
        future = await asyncio.wrap_future(callee.call_async(uri("one")))
        thread = await asyncio.to_thread(callee.call, uri("one"))
        callee.publish(uri("topic"), 1)
        return [future, thread]

    for handler in (blocks, waits, awaits):
        callee.register(uri(handler.__name__), handler)
    began = time.monotonic()
    for way in ways:
        with pytest.raises(wampy.ApplicationError, match=r"wrap_future\(session\.call_async"):
            caller.call(uri("blocks"), way)
    with pytest.raises(wampy.ApplicationError, match="wrap_future"):
        caller.call(uri("waits"))
    assert time.monotonic() - began < 4.0
    assert caller.call(uri("awaits")) == [1, 1]
    assert notes == []
    with pytest.raises(wampy.NoSuchProcedure):
        caller.call(uri("other"))


def test_an_answer_does_not_wait_for_the_next_handler(
    scripted: Callable[..., ScriptedRouter],
) -> None:
    """Both came in one segment, and in one thread the second begins when the first is answered."""
    release, answers = threading.Event(), []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(REGISTER)[1]
        it.send(REGISTERED, request, 5)
        it.octets(it.encode(INVOCATION, 1, 5, {}, [0]) + it.encode(INVOCATION, 2, 5, {}, [10]))
        answers.append(it.until(YIELD)[1])
        release.set()
        answers.append(it.until(YIELD)[1])
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as session:
        began = time.monotonic()
        session.register("com.example.wait", lambda wait_s: wait_s and release.wait(wait_s))
        wait_until(lambda: answers == [1, 2])
        assert time.monotonic() - began < 5.0
