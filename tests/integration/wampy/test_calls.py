"""Calls in all their forms, over both Routers: canceled, in parts, timed, packed, with errors."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter
from tests.support import wait_until
from wampy import CallResult, Session, current_call, current_event
from wampy.session.parts import CallParts

Join = Callable[..., Session]
Uri = Callable[[str], str]


# ---------------------------------------------------------------------- canceling


class Slow:
    """A handler that waits for something of wampy, and notes what became of it."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def __call__(self) -> str:
        self.began.set()
        try:
            current_call().wait(8.0)
        except wampy.WampyError as error:
            self.error = error
            raise
        finally:
            self.ended.set()
        return "not canceled"


@pytest.mark.parametrize("mode", ["skip", "kill", "killnowait"])
def test_each_mode_of_canceling(join: Join, uri: Uri, mode: Any) -> None:
    callee, caller = join(), join()
    slow = Slow()
    callee.register(uri("slow"), slow)
    future = caller.call_async(uri("slow"))
    assert slow.began.wait(5.0)
    began = time.monotonic()
    assert future.cancel(mode)
    if mode == "kill":
        # The answer comes when the handler has ended.
        with pytest.raises(wampy.Canceled):
            future.result(5.0)
        assert slow.ended.is_set()
    else:
        assert future.cancelled()
    if mode == "skip":
        assert not slow.ended.wait(0.3)
    else:
        assert slow.ended.wait(5.0)
        assert isinstance(slow.error, wampy.Interrupted)
    assert time.monotonic() - began < 5.0


def test_a_mode_that_is_none_sends_nothing(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    slow = Slow()
    callee.register(uri("slow"), slow)
    future = caller.call_async(uri("slow"))
    assert slow.began.wait(5.0)
    with pytest.raises(wampy.LocalProtocolError, match="expected one of skip, kill, killnowait"):
        future.cancel("quickly")  # type: ignore[arg-type]
    assert not future.cancelled()
    future.cancel()


def test_an_interrupted_handler_interrupts_what_it_calls(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    slow = Slow()
    callee.register(uri("slow"), slow)
    outer: list[BaseException] = []

    def relay() -> Any:
        try:
            return callee.call(uri("slow"))
        except wampy.WampyError as error:
            outer.append(error)
            # Told once: what a handler does to clean up is not interrupted again.
            callee.call(uri("note"))
            raise

    notes: list[int] = []
    callee.register(uri("relay"), relay)
    callee.register(uri("note"), lambda: notes.append(1))
    future = caller.call_async(uri("relay"))
    assert slow.began.wait(5.0)
    future.cancel()
    assert slow.ended.wait(5.0)
    wait_until(lambda: notes == [1])
    assert isinstance(outer[0], wampy.Interrupted)
    assert isinstance(slow.error, wampy.Interrupted)


def test_a_handler_that_waits_for_nothing_may_look(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    began, seen = threading.Event(), threading.Event()

    def spin() -> None:
        call = current_call()
        began.set()
        until = time.monotonic() + 8.0
        while time.monotonic() < until:
            try:
                call.check_canceled()
            except wampy.Interrupted:
                assert call.is_canceled
                seen.set()
                raise
            time.sleep(0.01)

    callee.register(uri("spin"), spin)
    future = caller.call_async(uri("spin"))
    assert began.wait(5.0)
    future.cancel()
    assert seen.wait(5.0)


def test_an_async_handler_is_cancelled(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    began, cancelled = threading.Event(), threading.Event()

    async def slow() -> None:
        assert current_call().procedure == uri("slow")
        began.set()
        try:
            await asyncio.sleep(8.0)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    callee.register(uri("slow"), slow)
    future = caller.call_async(uri("slow"))
    assert began.wait(5.0)
    assert future.cancel("kill")
    with pytest.raises(wampy.Canceled):
        future.result(5.0)
    assert cancelled.is_set()


def test_outside_of_a_handler_there_is_no_current_call() -> None:
    with pytest.raises(wampy.LocalProtocolError, match="no handler of a procedure"):
        current_call()
    with pytest.raises(wampy.LocalProtocolError, match="no handler of an event"):
        current_event()


# ---------------------------------------------------------------------- time


def test_a_timeout_is_told_to_a_router_that_keeps_the_time(
    join: Join, uri: Uri, router: RealRouter
) -> None:
    """In its own unit: milliseconds by the spec, seconds for Crossbar; and kept here, too."""
    callee, caller = join(), join()
    slow = Slow()
    callee.register(uri("slow"), slow)
    began = time.monotonic()
    with pytest.raises(wampy.RequestTimeout, match="slow"):
        caller.call(uri("slow"), timeout=0.4)
    assert 0.3 < time.monotonic() - began < 3.0
    assert slow.ended.wait(5.0)  # interrupted
    assert isinstance(slow.error, wampy.Interrupted)


def test_a_timeout_of_the_router_is_the_same_error(builtin_router: RealRouter, uri: Uri) -> None:
    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:
        callee.register(uri("slow"), Slow())
        with pytest.raises(wampy.RequestTimeout):
            caller.call(uri("slow"), options={"timeout": 200})


# ---------------------------------------------------------------------- who calls


def test_who_calls_and_who_publishes(builtin_router: RealRouter, uri: Uri) -> None:
    told: list[Any] = []
    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:

        def who() -> Any:
            call = current_call()
            return [call.caller, call.caller_authid, call.caller_authrole, call.procedure]

        def heard(*args: Any) -> None:
            event = current_event()
            told.append((event.topic, event.publisher, event.publication, event.is_retained))

        callee.register(uri("who"), who, match="prefix")
        callee.subscribe(uri("topic"), heard, match="prefix")
        got = caller.call(uri("who") + ".am.i", options={"disclose_me": True})
        assert got[0] == caller.id
        assert got[1]
        assert got[3] == uri("who") + ".am.i"
        publication = caller.publish(
            uri("topic") + ".x", acknowledge=True, options={"disclose_me": True}
        )
        wait_until(lambda: bool(told))
        assert told == [(uri("topic") + ".x", caller.id, publication, False)]


# ---------------------------------------------------------------------- results


def test_several_values_and_values_by_name_both_ways(
    way: dict[str, Any], join: Join, uri: Uri
) -> None:
    callee, caller = join(**way), join(**way)

    def both(*args: Any, **kwargs: Any) -> CallResult:
        return CallResult(list(args), kwargs)

    callee.register(uri("both"), both)
    result = caller.call(uri("both"), 1, 2, three=3)
    assert (result.args, result.kwargs) == ([1, 2], {"three": 3})
    assert caller.call(uri("both"), 1) == 1
    assert caller.call(uri("both")) is None
    whole = caller.call_result(uri("both"), 1)
    assert (whole.args, whole.kwargs) == ([1], {})
    assert isinstance(whole.details, dict)


def test_a_generator_sends_progress_or_its_last_value(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()

    def count(number: int) -> Iterator[int]:
        yield from range(number)
        return "end"  # type: ignore[return-value]  # a generator may

    async def acount(number: int) -> AsyncIterator[Any]:
        for value in range(number):
            yield value
        yield CallResult([1], {"two": 2})

    def by_hand(number: int) -> str:
        for value in range(number):
            current_call().progress(value)
        return "end"

    for name, handler in (("count", count), ("acount", acount), ("by_hand", by_hand)):
        callee.register(uri(name), handler)
    assert list(caller.call_progress(uri("count"), 3)) == [0, 1, 2, "end"]
    assert list(caller.call_progress(uri("by_hand"), 3)) == [0, 1, 2, "end"]
    parts = list(caller.call_progress(uri("acount"), 2))
    assert parts[:2] == [0, 1]
    assert (parts[2].args, parts[2].kwargs) == ([1], {"two": 2})
    assert caller.call(uri("by_hand"), 3) == "end"


# ---------------------------------------------------------------------- calls in parts


def test_a_call_in_parts(builtin_router: RealRouter, uri: Uri) -> None:
    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:

        async def atotal(parts: CallParts) -> int:
            return sum([part async for part in parts])

        callee.register(uri("sum"), sum, progressive=True)
        callee.register(uri("atotal"), atotal, progressive=True)
        callee.register(uri("kinds"), lambda parts: list(map(repr, parts)), progressive=True)
        callee.register(uri("first"), lambda parts: next(parts), progressive=True)
        callee.register(uri("plain"), lambda *args: list(args))
        for name in ("sum", "atotal"):
            assert caller.call_parts(uri(name), range(1000)) == sum(range(1000))
            assert caller.call_parts(uri(name), [7]) == 7
            assert caller.call(uri(name), 7) == 7
        assert caller.call_parts(uri("kinds"), [1, CallResult([1], {"a": 2})]) == [
            "1",
            "CallResult(args=[1], kwargs={'a': 2}, details={'progress': False})",
        ]
        assert caller.call_parts(uri("kinds"), []) == ["None"]
        assert caller.call_parts(uri("first"), iter(range(1000))) == 0
        with pytest.raises(wampy.InvalidArgument, match="does not take its arguments in parts"):
            caller.call_parts(uri("plain"), range(10))
        assert caller.call(uri("plain"), 1) == [1]
        assert caller.is_joined
        assert callee.is_joined


def test_parts_that_fail_cancel_the_call(builtin_router: RealRouter, uri: Uri) -> None:
    ended: list[BaseException] = []
    begun = threading.Event()

    def take(parts: CallParts) -> None:
        begun.set()
        try:
            for _ in parts:
                pass
        except wampy.WampyError as error:
            ended.append(error)
            raise

    def give() -> Iterator[int]:
        yield 1
        yield 2
        yield 3
        assert begun.wait(5.0)
        raise ZeroDivisionError

    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:
        callee.register(uri("take"), take, progressive=True)
        with pytest.raises(ZeroDivisionError):
            caller.call_parts(uri("take"), give())
        wait_until(lambda: bool(ended))
        assert isinstance(ended[0], wampy.Interrupted)


def test_a_caller_that_is_lost_ends_the_parts(builtin_router: RealRouter, uri: Uri) -> None:
    ended: list[BaseException] = []
    begun = threading.Event()

    def take(parts: CallParts) -> None:
        begun.set()
        try:
            list(parts)
        except wampy.WampyError as error:
            ended.append(error)
            raise

    def give() -> Iterator[int]:
        yield from range(3)
        assert begun.wait(5.0)
        caller.end()
        yield from range(3)

    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:
        callee.register(uri("take"), take, progressive=True)
        with pytest.raises((wampy.SessionClosed, wampy.ConnectionLost)):
            caller.call_parts(uri("take"), give())
        wait_until(lambda: bool(ended))
        assert isinstance(ended[0], wampy.Interrupted)


def test_a_router_that_takes_no_parts(crossbar: RealRouter, uri: Uri) -> None:
    with Session(crossbar.unix_url) as caller:
        with pytest.raises(wampy.LocalProtocolError, match="progressive_call_invocations"):
            caller.call_parts(uri("sum"), range(3))
        assert caller.is_joined


# ---------------------------------------------------------------------- errors


def test_an_error_is_gone_when_nobody_holds_it(builtin_router: RealRouter, uri: Uri) -> None:
    """At once, and not when the garbage collector comes by: nothing of ours refers to it."""

    def fail() -> None:
        raise ZeroDivisionError

    with Session(builtin_router.unix_url) as callee, Session(builtin_router.unix_url) as caller:
        callee.register(uri("fail"), fail)
        ways: list[Callable[[], Any]] = [
            lambda: caller.call(uri("fail")),
            lambda: caller.call_async(uri("fail")).result(),
            lambda: list(caller.call_progress(uri("fail"))),
            lambda: caller.call("no uri, for it has blanks"),
            lambda: caller.call(uri("nobody.has.it")),
        ]
        gc.disable()
        try:
            for way in ways:
                with pytest.raises(wampy.WampyError) as raised:
                    way()
                error = weakref.ref(raised.value)
                del raised
                assert error() is None
        finally:
            gc.enable()


@wampy.error("com.example.errors.full")
class FullError(Exception):
    """Takes what it is raised with."""


@wampy.error("com.example.errors.picky")
class PickyError(wampy.WampyError):
    """Wants other arguments than it passes on."""

    def __init__(self, one: int, two: int, three: int) -> None:
        super().__init__(one)


class FullerError(FullError):
    """Goes by its base class."""


def test_declared_errors_go_both_ways(
    join: Join, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    callee, caller = join(), join()

    def fail(which: str) -> None:
        raise {
            "full": FullError("no room", 3),
            "fuller": FullerError("none at all"),
            "picky": PickyError(1, 2, 3),
        }[which]

    callee.register(uri("fail"), fail)
    with pytest.raises(FullError) as caught:
        caller.call(uri("fail"), "full")
    assert caught.value.args == ("no room", 3)
    assert isinstance(caught.value.__cause__, wampy.ApplicationError)
    assert caught.value.__cause__.uri == "com.example.errors.full"
    with pytest.raises(FullError, match="none at all"):
        caller.call_async(uri("fail"), "fuller").result(5.0)
    with pytest.raises(FullError, match="none at all"):
        list(caller.call_progress(uri("fail"), "fuller"))
    with pytest.raises(wampy.ApplicationError) as unlike:
        caller.call(uri("fail"), "picky")
    assert unlike.value.uri == "com.example.errors.picky"
    assert callee.dispatcher.errors == 0
    assert "Traceback" not in caplog.text


# ---------------------------------------------------------------------- arguments


@dataclass
class Point:
    """What a handler wants."""

    x: int
    y: float = 0.5


def test_arguments_are_checked_and_converted(way: dict[str, Any], join: Join, uri: Uri) -> None:
    callee, caller = join(**way), join(**way)

    def draw(points: list[Point], *, name: str = "", width: float = 1) -> str:
        return f"{name} {width} {points}"

    callee.register(uri("draw"), draw)
    got = caller.call(uri("draw"), [{"x": 1}, {"x": 2, "y": 3}], width=2)
    assert got == " 2.0 [Point(x=1, y=0.5), Point(x=2, y=3.0)]"
    with pytest.raises(wampy.InvalidArgument, match=r"points\[1\]\.x: expected `int`, got `str`"):
        caller.call(uri("draw"), [{"x": 1}, {"x": "2"}])
    with pytest.raises(wampy.InvalidArgument) as caught:
        caller.call(uri("draw"), [], name=3)
    assert caught.value.kwargs == {"parameter": "name"}
    with pytest.raises(wampy.InvalidArgument, match="points"):
        caller.call(uri("draw"))
    assert callee.dispatcher.errors == 0


def test_an_event_that_does_not_fit_is_logged_and_the_next_one_comes(
    join: Join, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    session, publisher = join(), join()
    seen: list[int] = []

    def heard(value: int) -> None:
        seen.append(value)

    session.subscribe(uri("topic"), heard)
    publisher.publish(uri("topic"), "text")
    publisher.publish(uri("topic"), 7, acknowledge=True)
    wait_until(lambda: seen == [7])
    assert "value: expected `int`, got `str`" in caplog.text


# ---------------------------------------------------------------------- registering


@pytest.mark.sockets
def test_one_that_replaces_another(join: Join, uri: Uri, router: RealRouter) -> None:
    joe = {"authid": "joe", "ticket": TICKETS["joe"]}
    former, session = join(router.ticket_url, **joe), join(router.ticket_url, **joe)
    caller = join()
    registration = former.register(uri("who"), lambda: "former")
    with pytest.raises(wampy.ProcedureAlreadyExists):
        session.register(uri("who"), lambda: "new")
    session.register(uri("who"), lambda: "new", replace=True)
    assert caller.call(uri("who")) == "new"
    wait_until(lambda: not registration.is_active)
    assert former.is_joined


# ---------------------------------------------------------------------- packed payloads


@pytest.mark.parametrize("packer", ["native", "json", "msgpack", "cbor"])
def test_packed_payloads(builtin_router: RealRouter, uri: Uri, packer: str) -> None:
    options = {"ppt_scheme": "x_test", "ppt_serializer": packer}
    seen: list[Any] = []
    with Session(builtin_router.url) as callee, Session(builtin_router.unix_url) as caller:

        def echo(*args: Any, **kwargs: Any) -> CallResult:
            assert current_call().details["ppt_scheme"] == "x_test"
            return CallResult(list(args), kwargs, options)

        callee.register(uri("echo"), echo)
        callee.subscribe(uri("topic"), lambda *args, **kwargs: seen.append((args, kwargs)))
        result = caller.call(uri("echo"), 1, "ä", key=[None], options=options)
        assert (result.args, result.kwargs) == ([1, "ä"], {"key": [None]})
        assert caller.call(uri("echo"), 1, options=options) == 1
        assert caller.call_async(uri("echo"), 1, options=options).result(5) == 1
        caller.publish(uri("topic"), 1, two=2, options=options, acknowledge=True)
        wait_until(lambda: seen == [((1,), {"two": 2})])


def test_a_payload_packed_by_the_program_is_left_alone(
    builtin_router: RealRouter, uri: Uri
) -> None:
    options = {"ppt_scheme": "x_test", "ppt_serializer": "cbor", "ppt_cipher": "x_mine"}
    with Session(builtin_router.unix_url) as session:
        session.register(uri("echo"), lambda data: data)
        assert session.call(uri("echo"), b"\x00secret", options=options) == b"\x00secret"
        with pytest.raises(wampy.LocalProtocolError, match="one argument"):
            session.call(uri("echo"), "text", options=options)
        # A lie of the sender's, not the end of the session.
        raw = {**options, "ppt_cipher": "", "ppt_serializer": "x_raw"}
        assert session.call(uri("echo"), b"\xff", options=raw) == b"\xff"


def test_a_router_that_passes_no_packed_payloads(crossbar: RealRouter, uri: Uri) -> None:
    with Session(crossbar.unix_url) as session:
        with pytest.raises(wampy.LocalProtocolError, match="payload_passthru_mode"):
            session.call(uri("echo"), 1, options={"ppt_scheme": "x_test"})
        assert session.is_joined
