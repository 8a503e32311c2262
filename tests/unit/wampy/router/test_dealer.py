"""The Dealer: registrations, and whom a call reaches."""

from __future__ import annotations

from collections import Counter
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
from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.ids import MAX_ID
from wampy.messages import Unregister
from wampy.router.authorization import Role

EXISTS = "wamp.error.procedure_already_exists"


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
