"""What ``register`` and ``subscribe`` are told, at each Router, by each kind of Session."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter
from tests.support import wait_until
from wampy import Session, current_call, current_event

Join = Callable[..., Session]
Uri = Callable[[str], str]
Offer = Callable[..., Any]


# ---------------------------------------------------------------------- how handlers run


@pytest.mark.parametrize("concurrency", [1, 3])
def test_how_many_calls_of_one_procedure_run_at_once(
    join: Join, uri: Uri, offering: Any, concurrency: int
) -> None:
    """Never more, and as many as may; another procedure is not held up."""
    caller = join()
    running, most = 0, 0
    gate = asyncio.Event()

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    async def release() -> None:
        gate.set()

    offering.register(uri("work"), work, concurrency=concurrency)
    offering.register(uri("release"), release)
    futures = [caller.call_async(uri("work")) for _ in range(7)]
    wait_until(lambda: running == concurrency)
    caller.call(uri("release"))
    for future in futures:
        future.result(5.0)
    assert most == concurrency


@pytest.mark.parametrize("expected", [ValueError, (KeyError, ValueError), ()])
def test_expected_errors_are_the_callers(
    join: Join, uri: Uri, offering: Any, expected: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = join()

    def fail() -> None:
        raise ValueError("your fault")

    offering.register(uri("fail"), fail, expected=expected)
    with pytest.raises(wampy.ApplicationError, match="ValueError: your fault") as caught:
        caller.call(uri("fail"))
    assert caught.value.kwargs == {}
    (record,) = [record for record in caplog.records if uri("fail") in record.message]
    if expected:
        assert (record.levelname, record.exc_info) == ("WARNING", None)
    else:
        assert (record.levelname, bool(record.exc_info)) == ("ERROR", True)
    assert offering.dispatcher.errors == (0 if expected else 1)


@pytest.mark.parametrize("is_debug", [False, True])
def test_tracebacks_travel_where_that_is_wanted(
    join: Join, uri: Uri, offering: Any, is_debug: bool
) -> None:
    caller = join()

    def fail() -> None:
        raise ValueError("it")

    offering.register(uri("fail"), fail, debug=is_debug)
    with pytest.raises(wampy.ApplicationError) as caught:
        caller.call(uri("fail"))
    assert ("traceback" in caught.value.kwargs) is is_debug
    if is_debug:
        assert "in fail" in caught.value.kwargs["traceback"]


# ---------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("match", "pattern", "hits", "misses"),
    [
        ("prefix", "shop.", ["shop.buy", "shop.buy.now"], ["sho", "other"]),
        ("wildcard", "shop..now", ["shop.buy.now", "shop.sell.now"], ["shop.buy", "shop.now"]),
        ("exact", "shop.buy", ["shop.buy"], ["shop.buy.now"]),
    ],
)
def test_patterns_of_procedures_and_topics(
    join: Join, uri: Uri, offering: Any, match: str, pattern: str, hits: Any, misses: Any
) -> None:
    """A handler learns which URI was called, and to which topic was published."""
    caller = join()
    heard: list[tuple[str, int]] = []
    offering.register(uri(pattern), lambda: current_call().procedure, match=match)
    offering.subscribe(uri(pattern), lambda n: heard.append((current_event().topic, n)), match)
    for name in hits:
        assert caller.call(uri(name)) == uri(name)
    for name in misses:
        with pytest.raises(wampy.NoSuchProcedure):
            caller.call(uri(name))
    for number, name in enumerate([*misses, *hits]):
        caller.publish(uri(name), number, acknowledge=True)
    wait_until(lambda: len(heard) == len(hits))
    assert heard == [(uri(name), len(misses) + number) for number, name in enumerate(hits)]


# ---------------------------------------------------------------------- several callees


@pytest.mark.parametrize("invoke", ["first", "last", "roundrobin", "random"])
def test_who_of_several_is_invoked(join: Join, uri: Uri, offer: Offer, invoke: str) -> None:
    caller = join()
    callees = [offer() for _ in range(3)]
    for number, callee in enumerate(callees):
        callee.register(uri("who"), lambda number=number: number, invoke=invoke)
    got = [caller.call(uri("who")) for _ in range(60)]
    match invoke:
        case "first":
            assert got == [0] * 60
        case "last":
            assert got == [2] * 60
        case "roundrobin":
            assert Counter(got) == {0: 20, 1: 20, 2: 20}
            assert got[:3] * 20 == got
        case "random":
            # Each of them at least once: but for one run in ten thousand million.
            assert set(got) == {0, 1, 2}
            assert got[:3] * 20 != got
    # Crossbar has an error of its own for it.
    with pytest.raises(wampy.RequestError, match=r"procedure_(already_)?exists"):
        callees[0].register(uri("who"), lambda: 7)


@pytest.mark.sockets
def test_one_that_replaces_another(uri: Uri, offer: Offer, join: Join, router: RealRouter) -> None:
    joe = {"authid": "joe", "ticket": TICKETS["joe"]}
    former, latter = offer(router.ticket_url, **joe), offer(router.ticket_url, **joe)
    registration = former.register(uri("who"), lambda: "former")
    with pytest.raises(wampy.ProcedureAlreadyExists):
        latter.register(uri("who"), lambda: "latter")
    latter.register(uri("who"), lambda: "latter", replace=True)
    assert join().call(uri("who")) == "latter"
    wait_until(lambda: not registration.is_active)


# ---------------------------------------------------------------------- who calls, who publishes


@pytest.mark.sockets
def test_who_calls_and_who_publishes(
    uri: Uri, join: Join, offering: Any, router: RealRouter
) -> None:
    joe, anonymous = join(router.ticket_url, authid="joe", ticket=TICKETS["joe"]), join()
    told: list[Any] = []

    def who() -> Any:
        call = current_call()
        return [call.caller, call.caller_authid, call.caller_authrole]

    def heard() -> None:
        event = current_event()
        told.append([event.publisher, event.publisher_authid, event.publisher_authrole])

    offering.register(uri("who"), who)
    offering.subscribe(uri("topic"), heard)
    options = {"disclose_me": True}
    for session, authid, role in ((joe, "joe", "joe"), (anonymous, None, "anonymous")):
        expected = [session.id, authid or session.details["authid"], role]
        assert session.call(uri("who"), options=options) == expected
        session.publish(uri("topic"), acknowledge=True, options=options)
        wait_until(lambda: bool(told))
        assert told.pop() == expected


def test_who_does_not_say_is_not_told(uri: Uri, builtin_router: RealRouter) -> None:
    told: list[Any] = []
    with Session(builtin_router.unix_url) as session, Session(builtin_router.url) as other:

        def who() -> Any:
            call = current_call()
            return [call.caller, call.caller_authid, call.caller_authrole]

        def heard() -> None:
            event = current_event()
            told.append([event.publisher, event.publisher_authid, event.publisher_authrole])

        session.register(uri("who"), who)
        session.subscribe(uri("topic"), heard)
        assert other.call(uri("who")) == [None, None, None]
        other.publish(uri("topic"), acknowledge=True)
        wait_until(lambda: told == [[None, None, None]])


# ---------------------------------------------------------------------- what is retained


@pytest.mark.parametrize(
    ("match", "pattern", "expected"),
    [
        ("exact", "kept.a.x", {1}),
        ("prefix", "kept.", {1, 2, 3}),
        ("wildcard", "kept..x", {1, 3}),
    ],
)
def test_retained_events_come_by_pattern(
    uri: Uri, builtin_router: RealRouter, join: Join, match: Any, pattern: str, expected: set[int]
) -> None:
    url = builtin_router.unix_url
    publisher, subscriber = join(url), join(url)
    for number, name in enumerate(["kept.a.x", "kept.a.y", "kept.b.x", "other"], 1):
        publisher.publish(uri(name), 0, acknowledge=True, options={"retain": True})
        publisher.publish(uri(name), number, acknowledge=True, options={"retain": True})
    heard: list[tuple[str, int, bool]] = []

    def note(number: int) -> None:
        heard.append((current_event().topic, number, current_event().is_retained))

    subscriber.subscribe(uri(pattern), note, match, options={"get_retained": True})
    wait_until(lambda: len(heard) >= len(expected))
    # What comes after it says that there was no more.
    publisher.publish(uri("kept.a.x"), 7, acknowledge=True)
    wait_until(lambda: heard[-1][1] == 7)
    assert {number for _, number, is_retained in heard if is_retained} == expected
    assert len(heard) == len(expected) + 1
    assert heard[-1] == (uri("kept.a.x"), 7, False)
