"""The Dealer: registrations, and calls that are answered once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.ids import MAX_ID
from wampy.messages import Call, Unregister
from wampy.router import dealer as dealer_module
from wampy.router import sessions
from wampy.router.authorization import Role

UNAVAILABLE = "wamp.error.unavailable"
CANCELED = "wamp.error.canceled"
TIMEOUT = "wamp.error.timeout"
EXISTS = "wamp.error.procedure_already_exists"


def routing_of(*roles: Role, **limits: Any) -> tuple[Routing, Client, Client]:
    """Give a Realm, a callee of ``a`` and a caller."""
    routing = Routing(*roles, **limits)
    callee, caller = routing.clients(2)
    callee.register("a")
    return routing, callee, caller


def error_of(client: Client) -> str:
    message = client.one()
    assert message.name == "ERROR", message
    return str(message.error)


# ---------------------------------------------------------------------- limits


def test_a_session_has_only_so_many_calls_pending() -> None:
    routing, callee, caller = routing_of(pending_calls=2)
    for _ in range(3):
        caller.call("a")
    refusal = caller.one()
    assert refusal.error == "wamp.error.unavailable"
    assert refusal.args[0] == "2 calls are the most that a session may have pending"
    first, second = callee.heard()
    callee.answer(first)
    caller.heard()
    caller.call("a")
    third = callee.one()
    for invocation in (second, third):
        callee.answer(invocation)
    assert {message.name for message in caller.heard()} == {"RESULT"}
    routing.assert_idle()


def test_a_role_may_be_without_that_limit() -> None:
    free = Role("free", (allow("a"),), is_limited=False)
    routing, callee, _ = routing_of(free, pending_calls=2)
    caller = routing.join("joe", role="free")
    for _ in range(10):
        caller.call("a")
    assert caller.heard() == []
    assert len(callee.heard()) == 10


# ---------------------------------------------------------------------- registrations


def test_a_procedure_is_registered_called_and_unregistered() -> None:
    routing, callee, caller = routing_of()
    registration_id = callee.register("b")
    request_id = caller.call("b", 1, x=2)
    invocation = callee.one()
    assert invocation.registration_id == registration_id
    assert (tuple(invocation.args), dict(invocation.kwargs)) == ((1,), {"x": 2})
    assert invocation.details == {}
    callee.answer(invocation, 3)
    result = caller.one()
    assert (result.name, result.request_id, tuple(result.args)) == ("RESULT", request_id, (3,))
    assert result.details == {}
    (unregistered,) = callee.unregister(registration_id)
    assert (unregistered.name, unregistered.details) == ("UNREGISTERED", None)
    caller.call("b")
    assert error_of(caller) == "wamp.error.no_such_procedure"
    routing.assert_idle()


def test_invocations_are_numbered_from_one_and_begin_again_after_the_last_id() -> None:
    _, callee, caller = routing_of()
    caller.call("a")
    callee.session.last_invocation = MAX_ID
    caller.call("a")
    assert [one.request_id for one in callee.heard()] == [1, 1]


@pytest.mark.parametrize("registration_id", [1, 99])
def test_only_ones_own_registration_is_unregistered(registration_id: int) -> None:
    _, _callee, caller = routing_of()
    (answer,) = caller.say(Unregister(request_id=5, registration_id=registration_id))
    assert (answer.request_type, answer.request_id) == (66, 5)
    assert answer.error == "wamp.error.no_such_registration"


@pytest.mark.parametrize(
    ("uri", "options", "error"),
    [
        ("a..b", {}, "wamp.error.invalid_uri"),
        ("a b", {"match": "prefix"}, "wamp.error.invalid_uri"),
        ("b", {"match": "regex"}, "wamp.error.invalid_uri"),
        ("b", {"match": ["exact"]}, "wamp.error.invalid_argument"),
        ("b", {"invoke": "all"}, "wamp.error.invalid_argument"),
        ("b", {"invoke": {}}, "wamp.error.invalid_argument"),
        ("b", {"concurrency": 0}, "wamp.error.invalid_argument"),
        ("b", {"concurrency": True}, "wamp.error.invalid_argument"),
        ("b", {"concurrency": "1"}, "wamp.error.invalid_argument"),
    ],
)
def test_a_malformed_registration_is_refused(uri: str, options: dict[str, Any], error: str) -> None:
    answer = Routing().join().try_register(uri, **options)
    assert (answer.request_type, answer.error) == (64, error)


def test_a_session_has_a_limited_number_of_registrations() -> None:
    callee = Routing(registrations=1).join()
    first = callee.register("a")
    assert callee.try_register("b").error == UNAVAILABLE
    callee.unregister(first)
    callee.register("b")


@pytest.mark.parametrize(
    ("there", "new"),
    [("single", "single"), ("single", "random"), ("first", "last"), ("roundrobin", "single")],
)
def test_a_registration_is_shared_only_with_the_same_policy(there: str, new: str) -> None:
    first, second = Routing().clients(2)
    first.register("a", invoke=there)
    assert second.try_register("a", invoke=new).error == EXISTS


def test_nobody_shares_with_himself() -> None:
    callee = Routing().join()
    callee.register("a", invoke="random")
    assert callee.try_register("a", invoke="random").error == EXISTS


def test_a_match_of_null_is_exact() -> None:
    callee = Routing().join()
    callee.register("a", match=None)
    assert callee.try_register("a").error == EXISTS


def test_the_same_text_may_be_registered_once_for_each_kind_of_match() -> None:
    callee = Routing().join()
    ids = {callee.register("a.b", match=match) for match in ("exact", "prefix", "wildcard")}
    assert len(ids) == 3


# ---------------------------------------------------------------------- policies


def shared(policy: str, **options: Any) -> tuple[Routing, list[Client], Client]:
    routing = Routing()
    callees = routing.clients(3)
    for callee in callees:
        callee.register("a", invoke=policy, **options)
    return routing, callees, routing.join()


def called(caller: Client, callees: list[Client], *, answers: bool = True) -> int | None:
    """Call; gives the number of the callee that got it."""
    caller.call("a")
    for number, callee in enumerate(callees):
        for invocation in callee.heard():
            if answers:
                callee.answer(invocation)
            return number
    return None


@pytest.mark.parametrize(
    ("policy", "order"), [("first", [0] * 4), ("last", [2] * 4), ("roundrobin", [0, 1, 2, 0])]
)
def test_a_policy_chooses_the_callee(policy: str, order: list[int]) -> None:
    _, callees, caller = shared(policy)
    assert [called(caller, callees) for _ in range(4)] == order


def test_random_reaches_everybody() -> None:
    routing, callees, caller = shared("random")
    assert set(Counter(called(caller, callees) for _ in range(100))) == {0, 1, 2}
    routing.assert_idle()


@pytest.mark.parametrize(("gone", "then"), [(0, [1, 2, 1]), (1, [2, 0, 2]), (2, [1, 0, 1])])
def test_roundrobin_goes_on_with_the_next_when_one_goes(gone: int, then: list[int]) -> None:
    _, callees, caller = shared("roundrobin")
    assert called(caller, callees) == 0
    callees[gone].leave()
    assert [called(caller, callees) for _ in range(3)] == then


@pytest.mark.parametrize("policy", ["first", "last", "roundrobin", "random"])
def test_who_is_busy_is_passed_over_and_all_busy_is_an_error(policy: str) -> None:
    routing, callees, caller = shared(policy, concurrency=2)
    counted = Counter(called(caller, callees, answers=False) for _ in range(6))
    assert counted == {0: 2, 1: 2, 2: 2}
    assert caller.heard() == []
    caller.call("a")
    assert error_of(caller) == UNAVAILABLE
    assert routing.realm.pending_calls == 6


@pytest.mark.parametrize("policy", ["first", "last", "roundrobin", "random"])
def test_who_takes_nothing_is_passed_over_and_loses_no_place(policy: str) -> None:
    routing, callees, caller = shared(policy, concurrency=1)
    routing.outbox.deaf = {callees[0].id, callees[2].id}
    assert [called(caller, callees) for _ in range(3)] == [1, 1, 1]
    routing.outbox.deaf.add(callees[1].id)
    caller.heard()
    caller.call("a")
    assert error_of(caller) == UNAVAILABLE
    routing.assert_idle()
    routing.outbox.deaf.clear()
    assert called(caller, callees) is not None
    # The numbers have no gap by what was refused.
    assert callees[1].session.last_invocation in (3, 4)


# ---------------------------------------------------------------------- places of callees


@pytest.mark.parametrize("how", ["result", "error"])
def test_a_place_is_free_after_the_answer(how: str) -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    callee.register("a", concurrency=1)
    for _ in range(3):
        caller.call("a")
        invocation = callee.one()
        caller.call("a")
        assert error_of(caller) == UNAVAILABLE
        if how == "result":
            callee.answer(invocation)
        else:
            callee.fail(invocation)
        caller.one()
    routing.assert_idle()


@pytest.mark.parametrize("features", [(), ("call_canceling",)])
@pytest.mark.parametrize("how", ["timeout", "skip", "killnowait", "caller gone"])
@pytest.mark.parametrize("answer", ["result", "error", "callee gone"])
def test_a_place_is_taken_until_the_callee_has_answered(
    how: str, answer: str, features: tuple[str, ...]
) -> None:
    """The Callee is still at it when its caller has its answer already."""
    routing = Routing()
    callee, caller, other = routing.join(features=features), routing.join(), routing.join()
    callee.register("a", concurrency=1)
    request_id = caller.call("a", options={"timeout": 1500})
    invocation = callee.one()
    if how == "timeout":
        routing.wait(1.5)
    elif how == "caller gone":
        caller.leave()
    else:
        caller.cancel(request_id, how)
    if how != "caller gone":
        assert error_of(caller) == (TIMEOUT if how == "timeout" else CANCELED)
    other.call("a")
    assert error_of(other) == UNAVAILABLE
    if answer == "callee gone":
        callee.leave()
        routing.assert_idle()
        return
    interrupts = callee.heard()
    assert len(interrupts) == (1 if features and how != "skip" else 0)
    callee.answer(invocation) if answer == "result" else callee.fail(invocation)
    routing.assert_idle()
    assert caller.heard() == other.heard() == []
    other.call("a")
    assert callee.one().name == "INVOCATION"


# ---------------------------------------------------------------------- patterns


def test_exact_before_the_longest_prefix_before_wildcard() -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    offers = (("a.b", "prefix"), ("a.b.c", "exact"), ("a", "prefix"), ("..x", "wildcard"))
    names = {callee.register(uri, match=match): uri for uri, match in offers}
    for uri, expected in {"a.b.c": "a.b.c", "a.b.x": "a.b", "a.x": "a", "b.c.x": "..x"}.items():
        caller.call(uri)
        invocation = callee.one()
        assert names[invocation.registration_id] == expected
        # Who offers a pattern is told what was called.
        assert invocation.details == ({} if uri == expected else {"procedure": uri})


def test_a_pattern_gets_no_call_that_its_role_may_not_register_by_name() -> None:
    role = Role("some", (allow("a", match="prefix"), allow("a.secret", "call")))
    routing = Routing(role)
    callee, caller = routing.join(role="some"), routing.join()
    callee.register("a.", match="prefix")
    caller.call("a.secret")
    refused = caller.one()
    assert refused.error == "wamp.error.no_such_procedure"
    assert refused.args == [
        "no callee of a.secret takes this call: its role may not register that name"
    ]
    assert callee.heard() == []
    caller.call("a.other")
    assert callee.one().details == {"procedure": "a.other"}


def test_a_pattern_whose_callee_may_not_leaves_the_call_to_the_next() -> None:
    role = Role("some", (allow("a", match="prefix"), allow("a.secret", "call")))
    routing = Routing(role)
    callee, other, caller = routing.join(role="some"), routing.join(), routing.join()
    callee.register("a.s", match="prefix")
    number = other.register("a.", match="prefix")
    caller.call("a.secret")
    assert callee.heard() == []
    invocation = other.one()
    assert invocation.registration_id == number
    other.answer(invocation)
    assert caller.one().name == "RESULT"
    routing.assert_idle()


@pytest.mark.parametrize("uri", ["a b", "a..b", "", "a#"])
def test_a_call_of_what_is_no_uri_says_so(uri: str) -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    caller.call(uri)
    assert error_of(caller) == "wamp.error.invalid_uri"
    callee.register("a", match="prefix")
    caller.call(uri)
    assert error_of(caller) == "wamp.error.invalid_uri"
    assert callee.heard() == []


def test_an_option_that_python_does_not_spell() -> None:
    huge = -(1 << 20000)
    for options in ({"concurrency": huge}, {"match": huge}, {"invoke": huge}):
        answer = Routing().join().try_register("a", **options)
        assert (answer.name, answer.error) == ("ERROR", "wamp.error.invalid_argument")


def test_the_error_says_why_no_callee_takes_the_call() -> None:
    routing = Routing()
    first, second, caller = routing.clients(3)
    for callee in (first, second):
        callee.register("a", invoke="first", concurrency=1)
    routing.outbox.deaf.add(second.id)
    caller.call("a")
    caller.call("a")
    text = "no callee of a takes this call: it is at as many calls as it takes"
    assert (caller.one().args, len(first.heard())) == ([text], 1)
    routing.outbox.deaf.add(first.id)
    first.leave()
    caller.heard()
    caller.call("a")
    assert caller.one().args == ["no callee of a takes this call: it is deaf"]


# ---------------------------------------------------------------------- replacing


@pytest.mark.parametrize("option", ["force_reregister", "replace"])
def test_the_same_authid_may_replace(option: str) -> None:
    routing = Routing()
    old, new, caller = routing.join("joe"), routing.join("joe"), routing.join("ann")
    old_id = old.register("a")
    caller.call("a")
    invocation = old.one()
    new_id = new.register("a", **{option: True})
    assert new_id != old_id
    revoked = old.one()
    assert (revoked.name, revoked.request_id) == ("UNREGISTERED", 0)
    assert revoked.details == {"registration": old_id, "reason": "wamp.error.replaced"}
    old.answer(invocation)  # what it has, it still answers
    assert caller.one().name == "RESULT"
    caller.call("a")
    assert new.one().name == "INVOCATION"


def test_a_session_may_replace_its_own() -> None:
    callee = Routing().join()
    assert callee.register("a") != callee.register("a", force_reregister=True)
    assert list(callee.session.registrations) == [2]


@pytest.mark.parametrize("authids", [("ann",), ("joe", "ann")])
def test_another_authid_may_not_replace_unless_its_role_may(authids: tuple[str, ...]) -> None:
    strong = Role("strong", (allow("a"),), may_replace=True)
    routing = Routing(strong)
    old = [routing.join(authid) for authid in authids]
    for one in old:
        one.register("a", invoke="random")
    new = routing.join("joe")
    refusal = new.try_register("a", force_reregister=True)
    assert refusal.error == "wamp.error.not_authorized"
    assert new.try_register("a", force_reregister=1).error == EXISTS
    routing.join("joe", role="strong").register("a", force_reregister=True)
    for one in old:
        assert one.one().request_id == 0
        assert not one.session.registrations


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
