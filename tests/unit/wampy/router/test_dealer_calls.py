"""The Dealer: calls that are answered once, in parts or not, canceled, late, by who has gone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wampy.router.dealing import (
    CANCELED,
    TIMEOUT,
    UNAVAILABLE,
    error_of,
    routing_of,
    shared,
)
from tests.unit.wampy.router.routing import Routing, allow
from wampy.messages import Call
from wampy.router import dealer as dealer_module
from wampy.router import sessions
from wampy.router.authorization import Role

# ---------------------------------------------------------------------- progress


def test_progressive_results_reach_who_asked_for_them() -> None:
    routing, callee, caller = routing_of()
    caller.call("a", options={"receive_progress": True})
    invocation = callee.one()
    assert invocation.details == {"receive_progress": True}
    for number in range(3):
        callee.answer(invocation, number, progress=True)
    callee.answer(invocation, 3)
    answers = caller.heard()
    assert [tuple(one.args) for one in answers] == [(0,), (1,), (2,), (3,)]
    assert [one.details for one in answers] == [{"progress": True}] * 3 + [{}]
    routing.assert_idle()


def test_progressive_results_are_dropped_for_who_did_not_ask() -> None:
    routing, callee, caller = routing_of()
    caller.call("a")
    invocation = callee.one()
    callee.answer(invocation, progress=True)
    assert caller.heard() == []
    callee.answer(invocation, 1)
    assert tuple(caller.one().args) == (1,)
    routing.assert_idle()


def test_progress_after_the_end_is_ignored() -> None:
    _, callee, caller = routing_of()
    request_id = caller.call("a", options={"receive_progress": True})
    invocation = callee.one()
    caller.cancel(request_id, "skip")
    caller.one()
    callee.answer(invocation, progress=True)
    callee.answer(invocation)
    callee.answer(invocation)
    callee.fail(invocation)
    assert caller.heard() == []


def test_a_progressive_call_goes_to_one_callee_under_one_request() -> None:
    routing, callees, caller = shared("roundrobin")
    request_id = caller.call("a", 0, options={"progress": True})
    caller.more(request_id, "a", 1, options={"progress": True, "ppt_scheme": "x_s"})
    caller.more(request_id, "a", 2, options={"progress": False})
    invocations = callees[0].heard()
    assert {one.request_id for one in invocations} == {1}
    assert [one.details["progress"] for one in invocations] == [True, True, False]
    assert invocations[1].details["ppt_scheme"] == "x_s"
    callees[0].answer(invocations[0])
    assert caller.one().request_id == request_id
    assert routing.realm.stats()["calls"] == 1
    routing.assert_idle()


def test_the_last_of_a_progressive_call_need_not_say_so() -> None:
    _, callee, caller = routing_of()
    request_id = caller.call("a", options={"progress": True})
    caller.say_later(Call(request_id=request_id, procedure="a"))
    assert [one.details for one in callee.heard()] == [{"progress": True}, {}]
    caller.more(request_id, "a")
    assert caller.last_message.reason == "wamp.error.protocol_violation"


def test_more_of_a_call_is_of_the_same_procedure() -> None:
    """Otherwise a pattern would be called by a name that nobody was asked about."""
    routing = Routing(Role("some", (allow("a.open", "call"),)))
    callee, caller = routing.join(), routing.join(role="some")
    callee.register("a.", match="prefix")
    request_id = caller.call("a.open", options={"progress": True})
    callee.one()
    caller.more(request_id, "a.secret", options={"progress": True})
    assert [one.name for one in callee.heard()] == ["INTERRUPT"]
    assert caller.last_message.reason == "wamp.error.protocol_violation"


@pytest.mark.parametrize("how", ["answered", "timeout", "canceled"])
@pytest.mark.parametrize("last", [{"progress": False}, {}])
def test_more_of_a_call_that_is_over_is_ignored(how: str, last: dict[str, Any]) -> None:
    """The caller could not know yet; it is no new call."""
    routing, callee, caller = routing_of()
    request_id = caller.call("a", options={"progress": True, "timeout": 10})
    invocation = callee.one()
    if how == "timeout":
        routing.wait(1)
    elif how == "canceled":
        caller.cancel(request_id)
    callee.answer(invocation)
    callee.heard()
    caller.one()
    for options in ({"progress": True}, {"progress": True}, last):
        caller.more(request_id, "a", options=options)
    assert callee.heard() == caller.heard() == []
    assert not caller.session.cut_off
    routing.assert_idle()


@pytest.mark.parametrize("uri", ["nobody", "wamp.session.count", "denied", "deaf"])
def test_more_of_a_call_that_was_answered_by_the_router_is_ignored(uri: str) -> None:
    permissions = (allow("", match="prefix"), allow("denied", "register"))
    role = Role("some", (*permissions, allow("wamp.", match="prefix")))
    routing = Routing(role)
    caller, callee = routing.join(role="some"), routing.join()
    callee.register("deaf")
    routing.outbox.deaf.add(callee.id)
    request_id = caller.call(uri, options={"progress": True})
    for is_more in (True, False):
        caller.more(request_id, uri, options={"progress": is_more})
    assert caller.one().request_id == request_id
    assert not caller.session.cut_off


def test_progressive_calls_that_are_over_are_remembered_within_bounds() -> None:
    routing, callee, caller = routing_of()
    for _ in range(sessions._MOST_CUT_OFF + 10):
        caller.call("a", options={"progress": True})
        callee.answer(callee.one())
    assert len(caller.session.cut_off) == sessions._MOST_CUT_OFF
    assert max(caller.session.cut_off) == sessions._MOST_CUT_OFF + 10
    routing.assert_idle()


def test_a_callee_that_takes_no_more_ends_the_progressive_call() -> None:
    routing, callee, caller = routing_of()
    request_id = caller.call("a", options={"progress": True})
    invocation = callee.one()
    routing.outbox.deaf.add(callee.id)
    caller.more(request_id, "a", options={"progress": True})
    assert error_of(caller) == UNAVAILABLE
    # Nobody sends it the rest: it is told to stop.
    assert callee.one().name == "INTERRUPT"
    callee.fail(invocation, CANCELED)
    routing.assert_idle()


# ---------------------------------------------------------------------- canceling, timeouts


@pytest.mark.parametrize("features", [(), ("call_canceling",)])
@pytest.mark.parametrize("mode", ["skip", "kill", "killnowait", None, "other", 7, []])
def test_canceling(mode: Any, features: tuple[str, ...]) -> None:
    routing = Routing()
    callee, caller = routing.join(features=features), routing.join()
    callee.register("a")
    request_id = caller.call("a")
    invocation = callee.one()
    caller.cancel(request_id, mode)
    interrupts = callee.heard()
    if mode == "skip" or not features:
        assert interrupts == []
    else:
        (interrupt,) = interrupts
        expected = mode if mode == "kill" else "killnowait"
        assert (interrupt.request_id, interrupt.options) == (
            invocation.request_id,
            {"mode": expected, "reason": CANCELED},
        )
    if mode == "kill" and features:
        assert caller.heard() == []
        callee.fail(invocation, CANCELED)
    answer = caller.one()
    assert (answer.request_type, answer.request_id, answer.error) == (48, request_id, CANCELED)
    callee.answer(invocation)
    assert caller.heard() == []
    routing.assert_idle()


def test_a_killed_call_may_still_have_a_result() -> None:
    _, callee, caller = routing_of()
    caller.cancel(caller.call("a"), "kill")
    callee.answer(callee.heard()[0], 1)
    assert caller.one().name == "RESULT"


def test_canceling_what_is_over_does_nothing() -> None:
    _, callee, caller = routing_of()
    request_id = caller.call("a")
    callee.answer(callee.one())
    caller.heard()
    for number in (request_id, 99):
        caller.cancel(number)
    assert caller.heard() == callee.heard() == []
    assert caller.last_message is None


def test_a_killed_call_still_has_its_timeout() -> None:
    routing, _callee, caller = routing_of()
    caller.cancel(caller.call("a", options={"timeout": 100}), "kill")
    routing.wait(0.1)
    assert error_of(caller) == TIMEOUT


def test_a_timeout_is_in_milliseconds() -> None:
    routing, callee, caller = routing_of()
    caller.call("a", options={"timeout": 1500})
    callee.one()
    assert routing.realm.next_deadline() == pytest.approx(101.5)
    routing.wait(1.4)
    assert caller.heard() == []
    routing.wait(0.11)
    assert error_of(caller) == TIMEOUT
    interrupt = callee.one()
    assert interrupt.options == {"mode": "killnowait", "reason": TIMEOUT}
    assert routing.realm.next_deadline() is None


@pytest.mark.parametrize("timeout", [0, -1, 1.5, "100", True, None, 10**400])
def test_what_is_no_timeout_is_none(timeout: Any) -> None:
    routing, callee, caller = routing_of()
    caller.call("a", options={"timeout": timeout})
    assert callee.one().name == "INVOCATION"
    assert routing.realm.next_deadline() is None


def test_timeouts_pass_in_order() -> None:
    routing, _callee, caller = routing_of()
    ids = [caller.call("a", options={"timeout": timeout}) for timeout in (300, 100, 200)]
    routing.wait(0.25)
    assert [one.request_id for one in caller.heard()] == [ids[1], ids[2]]
    routing.wait(0.1)
    assert caller.one().request_id == ids[0]


def test_deadlines_of_calls_that_are_over_do_not_pile_up() -> None:
    routing, callee, caller = routing_of()
    caller.call("a", options={"timeout": 1})
    first = callee.one()
    for _ in range(1000):
        caller.call("a", options={"timeout": 3_600_000})
        callee.answer(callee.one())
    assert len(routing.realm.dealer._due) < 2 * dealer_module._MOST_STALE + 2
    caller.heard()
    routing.wait(1)
    assert error_of(caller) == TIMEOUT
    callee.answer(first)
    routing.assert_idle()
    assert routing.realm.dealer._stale == 0


# ---------------------------------------------------------------------- details


@pytest.mark.parametrize(
    ("registers", "calls", "is_told"),
    [
        ({}, {}, False),
        ({}, {"disclose_me": True}, True),
        ({"disclose_caller": True}, {}, True),
        ({"disclose_caller": True}, {"disclose_me": False}, True),
        ({"disclose_caller": 1}, {"disclose_me": 1}, False),
    ],
)
@pytest.mark.parametrize("discloses", [True, False])
def test_the_caller_is_identified(
    registers: dict[str, Any], calls: dict[str, Any], is_told: bool, discloses: bool
) -> None:
    routing = Routing(Role("some", (allow("a", "call", disclose=discloses),)))
    callee, caller = routing.join(), routing.join("ann", role="some")
    callee.register("a", **registers)
    caller.call("a", options=calls)
    expected = {"caller": caller.id, "caller_authid": "ann", "caller_authrole": "some"}
    assert callee.one().details == (expected if is_told and discloses else {})


def test_payload_passthru_is_passed_on() -> None:
    _, callee, caller = routing_of()
    ppt = {"ppt_scheme": "x_cbor", "ppt_serializer": "cbor"}
    caller.call("a", options={**ppt, "other": 1})
    invocation = callee.one()
    assert invocation.details == ppt
    callee.answer(invocation, b"1", **ppt, other=1)
    assert caller.one().details == ppt
    caller.call("a")
    callee.fail(callee.one(), **ppt, other=1)
    assert caller.one().details == ppt


def test_an_error_is_passed_on() -> None:
    routing, callee, caller = routing_of()
    request_id = caller.call("a")
    callee.fail(callee.one(), "com.myapp.error")
    error = caller.one()
    assert (error.request_type, error.request_id, error.error) == (
        48,
        request_id,
        "com.myapp.error",
    )
    assert error.args == ["why"]
    routing.assert_idle()


# ---------------------------------------------------------------------- coming and going


def test_a_callee_that_goes_answers_its_callers_at_once() -> None:
    routing, callee, caller = routing_of()
    for _ in range(3):
        caller.call("a", options={"timeout": 1000, "receive_progress": True})
    callee.leave()
    assert [one.error for one in caller.heard()] == [CANCELED] * 3
    routing.assert_idle()
    routing.wait(2)
    assert caller.heard() == []
    caller.call("a")
    assert error_of(caller) == "wamp.error.no_such_procedure"


def test_a_caller_that_goes_interrupts_its_callees() -> None:
    routing, callee, caller = routing_of()
    caller.call("a", options={"timeout": 1000})
    invocation = callee.one()
    caller.leave()
    interrupt = callee.one()
    assert (interrupt.name, interrupt.request_id) == ("INTERRUPT", invocation.request_id)
    assert interrupt.options["mode"] == "killnowait"
    assert routing.realm.pending_calls == 1
    routing.wait(2)
    assert callee.heard() == []
    callee.answer(invocation)
    routing.assert_idle()


def test_a_session_that_calls_itself_leaves_nothing() -> None:
    routing = Routing()
    client = routing.join()
    client.register("a")
    client.call("a", options={"timeout": 1000})
    client.leave()
    routing.assert_empty()


def test_who_unregistered_still_answers_what_it_has() -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    registration_id = callee.register("a")
    caller.call("a")
    invocation = callee.one()
    callee.unregister(registration_id)
    callee.answer(invocation)
    assert caller.one().name == "RESULT"
    routing.assert_idle()


def test_pending_calls_of_a_session_are_limited() -> None:
    routing, callee, caller = routing_of(pending_calls=2)
    caller.call("a")
    caller.call("a")
    caller.call("a")
    assert error_of(caller) == UNAVAILABLE
    routing.join().call("a")
    invocations = callee.heard()
    assert len(invocations) == 3
    callee.answer(invocations[0])
    caller.heard()
    caller.call("a")
    assert caller.heard() == []


def test_draining_refuses_new_calls_and_finishes_the_pending_ones() -> None:
    routing, callee, caller = routing_of()
    caller.call("a")
    invocation = callee.one()
    routing.realm.drain(routing.now)
    caller.call("a")
    assert error_of(caller) == UNAVAILABLE
    caller.call("b")
    assert error_of(caller) == "wamp.error.no_such_procedure"
    callee.answer(invocation)
    assert caller.one().name == "RESULT"
    routing.assert_idle()
