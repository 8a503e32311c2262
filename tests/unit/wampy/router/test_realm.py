"""A Realm: joining and leaving, what a session may do, and who is asked about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.messages import (
    MESSAGES,
    Authenticate,
    Call,
    Challenge,
    Error,
    Event,
    Hello,
    Interrupt,
    Invocation,
    Message,
    Published,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregistered,
    Unsubscribed,
    Welcome,
)
from wampy.router import realm as realm_module
from wampy.router.authorization import Role
from wampy.router.realm import PlainPayloads
from wampy.router.sessions import RouterSession

VIOLATION = "wamp.error.protocol_violation"
NOT_AUTHORIZED = "wamp.error.not_authorized"
FAILED = "wamp.error.authorization_failed"

# ---------------------------------------------------------------------- joining


def test_a_session_is_welcomed_with_who_it_is_and_what_the_router_can() -> None:
    routing = Routing()
    session = routing.join("ann").session
    details = routing.realm.join(session, routing.now)
    assert {key: details[key] for key in details if key != "roles"} == {
        "realm": "realm1",
        "authid": "ann",
        "authrole": "open",
        "authmethod": "ticket",
        "authprovider": "static",
    }
    assert set(details["roles"]) == {"broker", "dealer"}
    for role in details["roles"].values():
        assert set(role["features"].values()) == {True}
    assert details["roles"]["dealer"]["features"]["call_canceling"] is True


@pytest.mark.parametrize(
    "roles",
    [None, [], {}, {"callee": 1}, {"callee": {"features": []}}, {"callee": {"features": {"x": 1}}}],
)
def test_malformed_features_are_none(roles: Any) -> None:
    session = RouterSession(
        id=1, authid="a", authrole="b", authmethod="c", authprovider="d", roles=roles, transport={}
    )
    assert session.features == frozenset()


def test_a_session_of_an_unknown_role_may_do_nothing() -> None:
    routing = Routing()
    client = routing.join(role="stranger")
    client.call("a")
    assert client.one().error == NOT_AUTHORIZED
    assert client.try_register("a").error == NOT_AUTHORIZED
    client.publish("a")
    assert client.heard() == []


SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("former", "anew"),
    [
        ({"authid": "joe"}, {"authid": "joe"}),
        (
            {"authid": "a1", "authmethod": "anonymous"},
            {"authid": "b2", "authmethod": "anonymous"},
        ),
    ],
)
def test_a_client_that_has_reconnected_ends_its_own_ghost(
    former: dict[str, Any], anew: dict[str, Any]
) -> None:
    """What the ghost held is free; who waits for an answer of it has one."""
    routing = Routing()
    caller = routing.join("ann")
    ghost = routing.join(**former, client=SECRET)
    ghost.register("a")
    caller.call("a")
    client = routing.join(**anew, client=SECRET)
    assert list(routing.realm.sessions) == [caller.session.id, client.session.id]
    assert routing.outbox.closed[ghost.session.id].reason == "wamp.close.killed"
    assert caller.one().error == "wamp.error.canceled"
    assert client.try_register("a").WAMP_CODE == 65
    # And once more, by the one that took its place.
    again = routing.join(**anew, client=SECRET)
    assert list(routing.realm.sessions) == [caller.session.id, again.session.id]
    assert again.try_register("a").WAMP_CODE == 65


@pytest.mark.parametrize(
    "other",
    [
        {"authid": "joe"},
        {"authid": "joe", "client": SECRET[::-1]},
        {"authid": "ann", "client": SECRET},
        {"authid": "joe", "client": SECRET, "authmethod": "anonymous"},
        {"authid": "joe", "client": SECRET.encode()},
        {"authid": "joe", "client": [SECRET]},
        {"authid": "joe", "client": ""},
    ],
)
def test_nobody_else_ends_a_session_by_joining(other: dict[str, Any]) -> None:
    """Neither the secret alone nor the authid alone does."""
    routing = Routing()
    holder = routing.join("joe", client=SECRET)
    holder.register("a")
    stranger = routing.join(**other)
    assert holder.session.id in routing.realm.sessions
    assert stranger.try_register("a").error == "wamp.error.procedure_already_exists"
    # The holder is still known by its secret.
    assert holder.session.client == SECRET
    routing.join("joe", client=SECRET)
    assert holder.session.id not in routing.realm.sessions


@pytest.mark.parametrize("secret", ["", "short", "x" * 129, 5, None, {}])
def test_what_is_no_secret_tells_nobody_apart(secret: Any) -> None:
    routing = Routing()
    routing.join("joe", client=secret)
    routing.join("joe", client=secret)
    assert len(routing.realm.sessions) == 2
    assert not routing.realm._clients


def test_the_secret_of_a_client_is_told_to_nobody() -> None:
    routing = Routing()
    client = routing.join("joe", client=SECRET)
    welcome = routing.realm.join(client.session, routing.now)
    assert SECRET not in repr((welcome, client.session.details()))


def test_a_client_that_has_left_is_forgotten() -> None:
    routing = Routing()
    client = routing.join("joe", client=SECRET)
    assert len(routing.realm._clients) == 1
    routing.realm.leave(client.session, routing.now)
    assert not routing.realm._clients


def test_the_realm_counts() -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    callee.register("a")
    callee.subscribe("b")
    caller.publish("b")
    caller.call("a")
    assert routing.realm.stats() == {
        "sessions": 2,
        "registrations": 1,
        "subscriptions": 1,
        "pending_calls": 1,
        "calls": 1,
        "publications": 1,
        "events": 1,
        "calls_per_s": 0.0,
        "events_per_s": 0.0,
    }
    assert routing.realm.pending_calls == 1


def test_nothing_is_left_when_all_have_left() -> None:
    routing = Routing()
    clients = routing.clients(4)
    for client in clients:
        for match in ("exact", "prefix", "wildcard"):
            client.register("a.b", match=match, invoke="roundrobin", concurrency=2)
            client.subscribe("a.b", match=match)
    for client in clients:
        client.call("a.b", options={"timeout": 1000, "progress": True})
    for client in clients:
        client.leave()
    routing.assert_empty()


# ---------------------------------------------------------------------- the protocol

FROM_THE_ROUTER: list[Message] = [
    Welcome(session_id=1, details={}),
    Challenge(authmethod="ticket", extra={}),
    Published(request_id=1, publication_id=1),
    Subscribed(request_id=1, subscription_id=1),
    Unsubscribed(request_id=1),
    Event(subscription_id=1, publication_id=1),
    Result(request_id=1),
    Registered(request_id=1, registration_id=1),
    Unregistered(request_id=1),
    Invocation(request_id=1, registration_id=1),
    Interrupt(request_id=1),
    Hello(realm="realm1", details={}),
    Authenticate(signature="x", extra={}),
    *(Error(request_type=code, request_id=1, error="a") for code in MESSAGES if code != 68),
]


@pytest.mark.parametrize("message", FROM_THE_ROUTER, ids=lambda one: one.name)
def test_what_no_client_may_send_now_ends_the_session(message: Message) -> None:
    routing = Routing()
    client, other = routing.clients(2)
    client.register("a")
    client.say(message)
    assert client.last_message.name == "ABORT"
    assert client.last_message.reason == VIOLATION
    assert routing.outbox.closed.keys() == {client.id}
    other.call("a")
    assert other.one().error == "wamp.error.no_such_procedure"


def test_a_call_with_an_id_in_use_ends_the_session() -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    callee.register("a")
    request_id = caller.call("a")
    caller.more(request_id, "a")
    assert caller.last_message.reason == VIOLATION
    assert [one.name for one in callee.heard()] == ["INVOCATION", "INTERRUPT"]


def test_an_id_may_be_used_again_after_the_answer() -> None:
    routing = Routing()
    callee, caller = routing.clients(2)
    callee.register("a")
    request_id = caller.call("a")
    callee.answer(callee.one())
    caller.more(request_id, "a")
    assert callee.one().name == "INVOCATION"


def test_answers_to_nothing_are_ignored() -> None:
    client = Routing().join()
    client.answer(Invocation(request_id=7, registration_id=1))
    client.fail(Invocation(request_id=7, registration_id=1))
    assert client.heard() == []
    assert client.last_message is None


def test_the_router_s_own_procedures_are_nobody_else_s() -> None:
    client = Routing().join()
    answer = client.try_register("wamp.session.count")
    assert answer.error == "wamp.error.procedure_already_exists"


# ---------------------------------------------------------------------- permissions

CALLER = Role("caller", (allow("", "call", match="prefix"),))


@pytest.mark.parametrize("action", ["register", "publish", "subscribe", "call"])
def test_what_is_not_allowed_is_refused(action: str) -> None:
    others = [one for one in ("call", "register", "publish", "subscribe") if one != action]
    routing = Routing(Role("some", (allow("", *others, match="prefix"),)))
    client, other = routing.join(role="some"), routing.join()
    other.register("there")
    other.subscribe("a")
    refusal = did(client, action, "a", acknowledge=True)
    assert (refusal.name, refusal.error) == ("ERROR", NOT_AUTHORIZED)
    codes = {"register": 64, "publish": 16, "subscribe": 32, "call": 48}
    assert refusal.request_type == codes[action]
    assert other.heard() == []


def did(client: Client, action: str, uri: str, **options: Any) -> Any:
    """Do it; gives the only answer, None for none."""
    if action == "call":
        client.call(uri)
    elif action == "publish":
        client.publish(uri, **options)
    elif action == "register":
        return client.try_register(uri)
    else:
        try:
            client.subscribe(uri)
        except StopIteration:
            return client.one()
    heard = client.heard()
    return heard[0] if heard else None


@pytest.mark.parametrize("action", ["call", "register", "subscribe", "publish"])
def test_wamp_needs_a_permission_that_spells_it(action: str) -> None:
    general = Role("some", (allow("", match="prefix"),))
    client = Routing(general).join(role="some")
    uri = "wamp.session.list" if action == "call" else "wamp.other"
    assert did(client, action, uri, acknowledge=True).error == NOT_AUTHORIZED


def test_nobody_is_told_of_a_publication_refused_that_asked_for_no_answer() -> None:
    client = Routing(CALLER).join(role="caller")
    client.publish("a")
    assert client.heard() == []


# ---------------------------------------------------------------------- the authorizer

ASKING = Role("asking", (allow("free", "call", "register"),), authorizer="auth")


def asking(*, has_authorizer: bool = True) -> tuple[Routing, Client, Client, Client]:
    """Give a Realm, an authorizer, a session that it is asked about and a callee of all."""
    routing = Routing(ASKING)
    authorizer, client, callee = routing.join("auth"), routing.join("ann", "asking"), routing.join()
    if has_authorizer:
        authorizer.register("auth")
    callee.register("", match="prefix")
    callee.subscribe("topic")
    callee.heard()
    return routing, authorizer, client, callee


@pytest.mark.parametrize("answer", [True, {"allow": True}, {"allow": True, "cache": True}])
@pytest.mark.parametrize("action", ["call", "register", "publish", "subscribe"])
def test_the_authorizer_allows(action: str, answer: Any) -> None:
    routing, authorizer, client, callee = asking()
    uri = "topic" if action == "publish" else "a"
    with_answer = action in ("register", "subscribe")
    if action == "call":
        client.call(uri)
    elif action == "publish":
        client.publish(uri, acknowledge=True)
    else:
        kinds: Any = {
            "register": Register(request_id=1, procedure="a"),
            "subscribe": Subscribe(request_id=1, topic="a"),
        }
        client.say_later(kinds[action])
    assert client.heard() == callee.heard() == []
    question = authorizer.one()
    options = {"acknowledge": True} if action == "publish" else {}
    assert question.args == [client.session.details(), uri, action, options]
    authorizer.answer(question, answer)
    names = [one.name for one in client.heard()]
    if with_answer:
        assert names == [{"register": "REGISTERED", "subscribe": "SUBSCRIBED"}[action]]
    else:
        assert names == (["PUBLISHED"] if action == "publish" else [])
        assert [one.name for one in callee.heard()] == [
            "EVENT" if action == "publish" else "INVOCATION"
        ]
    assert client.session.parked is None
    assert routing.realm.next_deadline() is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (False, NOT_AUTHORIZED),
        ({"allow": False}, NOT_AUTHORIZED),
        (1, FAILED),
        ("true", FAILED),
        ({}, FAILED),
        ({"allow": 1}, FAILED),
        (None, FAILED),
    ],
)
def test_the_authorizer_denies_or_says_nonsense(answer: Any, error: str) -> None:
    _, authorizer, client, callee = asking()
    request_id = client.call("a")
    authorizer.answer(authorizer.one(), answer)
    refusal = client.one()
    assert (refusal.request_type, refusal.request_id, refusal.error) == (48, request_id, error)
    assert callee.heard() == []


def test_an_empty_answer_allows_nothing() -> None:
    _, authorizer, client, _ = asking()
    client.call("a")
    authorizer.answer(authorizer.one())
    assert client.one().error == FAILED


def test_an_authorizer_that_reports_progress_is_waited_for() -> None:
    _, authorizer, client, _ = asking()
    client.call("a")
    question = authorizer.one()
    authorizer.answer(question, False, progress=True)
    assert client.heard() == []
    authorizer.answer(question, False)
    assert client.one().error == NOT_AUTHORIZED


@pytest.mark.parametrize("how", ["error", "gone", "timeout", "not there", "deaf"])
def test_an_authorizer_that_fails_allows_nothing(how: str) -> None:
    routing, authorizer, client, callee = asking(has_authorizer=how != "not there")
    if how == "not there":
        callee.leave()
    if how == "deaf":
        routing.outbox.deaf.add(authorizer.id)
    client.call("a")
    if how == "error":
        authorizer.fail(authorizer.one())
    elif how == "gone":
        authorizer.leave()
    elif how == "timeout":
        routing.wait(4.9)
        assert client.heard() == []
        routing.wait(0.1)
        question, interrupt = authorizer.heard()
        assert (interrupt.name, interrupt.request_id) == ("INTERRUPT", question.request_id)
    assert client.one().error == FAILED
    assert client.session.parked is None
    if how == "timeout":
        authorizer.answer(question, True)  # too late
        assert client.heard() == callee.heard() == []
    routing.assert_idle()


def test_a_publication_that_is_denied_is_answered_only_if_it_asked() -> None:
    _, authorizer, client, _ = asking()
    for acknowledge in (True, False):
        client.publish("topic", acknowledge=acknowledge)
        authorizer.answer(authorizer.one(), False)
        assert [one.name for one in client.heard()] == ["ERROR"] * acknowledge


def test_what_comes_behind_is_handled_after_it_in_its_order() -> None:
    routing, authorizer, client, callee = asking()
    first = client.call("a")
    client.call("free", 2)
    second = client.call("b")
    for number in (4, 5):
        client.call("free", number)
    (question,) = authorizer.heard()
    assert callee.heard() == []
    authorizer.answer(question, True)
    # The second that has to be asked about parks what is behind it again.
    assert [one.details["procedure"] for one in callee.heard()] == ["a", "free"]
    client.call("free", 6)
    authorizer.answer(authorizer.one(), False)
    assert client.one().request_id == second != first
    assert [tuple(one.args) for one in callee.heard()] == [(4,), (5,), (6,)]
    assert client.session.parked is None
    assert routing.realm.pending_calls == 5


def test_a_call_that_is_parked_can_be_canceled_in_its_turn() -> None:
    _, authorizer, client, callee = asking()
    client.cancel(client.call("a"))
    authorizer.answer(authorizer.one(), True)
    assert [one.name for one in callee.heard()] == ["INVOCATION", "INTERRUPT"]
    assert client.one().error == "wamp.error.canceled"


def test_too_much_behind_a_question_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realm_module, "_MOST_PARKED", 3)
    _, authorizer, client, callee = asking()
    for _ in range(5):
        client.call("a")
    assert client.last_message.reason == VIOLATION
    authorizer.answer(authorizer.heard()[0], True)
    assert callee.heard() == []


def test_nothing_more_is_handled_of_who_broke_the_protocol_behind_a_question() -> None:
    routing, authorizer, client, callee = asking()
    client.call("a")
    client.say_later(Result(request_id=1))
    client.call("free")
    client.publish("topic")
    authorizer.answer(authorizer.one(), True)
    assert client.last_message.reason == VIOLATION
    assert [one.name for one in callee.heard()] == ["INVOCATION", "INTERRUPT"]
    assert client.session.parked is None
    assert routing.realm.pending_calls == 1


def test_who_left_while_the_authorizer_was_asked_does_nothing() -> None:
    routing, authorizer, client, callee = asking()
    client.call("a")
    client.call("free")
    client.leave()
    authorizer.answer(authorizer.one(), True)
    assert callee.heard() == []
    routing.assert_idle()


def test_an_authorizer_that_is_asked_about_itself_can_answer() -> None:
    """Its answer is not parked behind its own question."""
    routing = Routing(
        Role("auth", (allow("auth", "register"),), authorizer="auth"),
    )
    client, callee = routing.join(role="auth"), routing.join()
    client.register("auth")
    callee.register("a")
    client.call("a")
    client.answer(client.one(), True)
    assert callee.one().name == "INVOCATION"
    assert client.session.parked is None


def test_other_answers_wait_behind_the_question() -> None:
    routing, authorizer, client, _ = asking()
    client.register("free")
    caller = routing.join()
    caller.call("free")
    invocation = client.one()
    client.call("a")
    client.answer(invocation)
    assert caller.heard() == []
    authorizer.answer(authorizer.one(), False)
    assert caller.one().name == "RESULT"


def test_an_authorizer_that_goes_takes_no_call_that_was_parked() -> None:
    """Its callers are answered when it is gone in full: what they ask next is not for it."""
    routing, authorizer, client, callee = asking()
    callee.leave()
    authorizer.register("free")
    client.call("a")
    client.call("free")
    client.call("b")
    authorizer.heard()
    authorizer.leave()
    errors = [one.error for one in client.heard()]
    assert errors == [FAILED, "wamp.error.no_such_procedure", FAILED]
    routing.assert_idle()


def test_a_session_that_is_cut_off_as_its_authorizer_goes_leaves_nothing() -> None:
    routing, authorizer, client, callee = asking()
    authorizer.register("free")
    client.call("free")
    client.call("a")
    client.say_later(Result(request_id=1))
    authorizer.leave()
    assert client.last_message.reason == VIOLATION
    callee.leave()
    routing.assert_empty()


def test_payloads_that_are_decoded_already() -> None:
    call = Call(request_id=1, procedure="a", args=(1,), kwargs={"x": 2})
    assert PlainPayloads.decode(call) == ([1], {"x": 2})
