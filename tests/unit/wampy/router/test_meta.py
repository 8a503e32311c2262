"""The meta API: what the Router tells of itself, and does for who may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.messages import Result
from wampy.router import meta
from wampy.router.authorization import Role

INVALID = "wamp.error.invalid_argument"
INVALID_URI = "wamp.error.invalid_uri"
NO_SESSION = "wamp.error.no_such_session"
NO_REGISTRATION = "wamp.error.no_such_registration"
NO_SUBSCRIPTION = "wamp.error.no_such_subscription"
NOT_AUTHORIZED = "wamp.error.not_authorized"
OTHER = Role("other", (allow("", match="prefix"),))


def events(client: Client) -> list[list[Any]]:
    """Give the arguments of the EVENTs that came."""
    return [list(one.args) for one in client.heard() if one.name == "EVENT"]


# ---------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("uri", "args", "error"),
    [
        ("wamp.session.count", ("open",), INVALID),
        ("wamp.session.count", ([], 2), INVALID),
        ("wamp.session.list", ({},), INVALID),
        ("wamp.session.get", (), INVALID),
        ("wamp.session.get", ("1",), INVALID),
        ("wamp.session.get", (True,), INVALID),
        ("wamp.session.get", (77,), NO_SESSION),
        ("wamp.session.kill", (), INVALID),
        ("wamp.session.kill", (77,), NO_SESSION),
        ("wamp.session.kill", (1002, "not a uri"), INVALID_URI),
        ("wamp.session.kill", (1002, 7), INVALID_URI),
        ("wamp.session.kill", (1002, "a.b", 7), INVALID),
        ("wamp.session.kill_by_authid", (7,), INVALID),
        ("wamp.session.kill_by_authrole", (None,), INVALID),
        ("wamp.session.kill_all", ("..",), INVALID_URI),
        ("wamp.session.add_testament", ("a",), INVALID),
        ("wamp.session.add_testament", (7, [], {}), INVALID),
        ("wamp.session.add_testament", ("a", {}, {}), INVALID),
        ("wamp.session.add_testament", ("a", [], []), INVALID),
        ("wamp.session.add_testament", ("a", [], {}, []), INVALID),
        ("wamp.session.add_testament", ("a", [], {}, {"exclude": 7}), INVALID),
        ("wamp.session.add_testament", ("a", [], {}, {"eligible": [[]]}), INVALID),
        ("wamp.session.add_testament", ("a", [], {}, {}, "other"), INVALID),
        ("wamp.session.add_testament", ("a", [], {}, {}, []), INVALID),
        ("wamp.session.flush_testaments", ("other",), INVALID),
        ("wamp.registration.list", (1,), INVALID),
        ("wamp.registration.lookup", (7,), INVALID),
        ("wamp.registration.lookup", ("a", 7), INVALID),
        ("wamp.registration.lookup", ("a", {"match": []}), INVALID),
        ("wamp.registration.match", (), INVALID),
        ("wamp.registration.match", (None,), INVALID),
        ("wamp.registration.get", ("1",), INVALID),
        ("wamp.registration.get", (77,), NO_REGISTRATION),
        ("wamp.registration.list_callees", (77,), NO_REGISTRATION),
        ("wamp.registration.count_callees", (77,), NO_REGISTRATION),
        ("wamp.registration.count_callees", (), INVALID),
        ("wamp.registration.remove_callee", (77, 1002), NO_REGISTRATION),
        ("wamp.registration.remove_callee", (1, 77), NO_SESSION),
        ("wamp.registration.remove_callee", (1, []), NO_SESSION),
        ("wamp.registration.remove_callee", (1, 1002, 7), INVALID_URI),
        ("wamp.subscription.list", (1,), INVALID),
        ("wamp.subscription.lookup", ([],), INVALID),
        ("wamp.subscription.match", ({},), INVALID),
        ("wamp.subscription.get", (1.5,), INVALID),
        ("wamp.subscription.get", (77,), NO_SUBSCRIPTION),
        ("wamp.subscription.list_subscribers", (77,), NO_SUBSCRIPTION),
        ("wamp.subscription.count_subscribers", (77,), NO_SUBSCRIPTION),
        ("wamp.subscription.remove_subscriber", (77, 1002), NO_SUBSCRIPTION),
        ("wamp.subscription.remove_subscriber", (1, 77), NO_SESSION),
        ("wamp.subscription.remove_subscriber", (1, []), NO_SESSION),
        ("wamp.subscription.remove_subscriber", (1, 1002, "a b"), INVALID_URI),
        ("wamp.subscription.get_events", (77,), NO_SUBSCRIPTION),
        ("wamp.subscription.get_events", (1, "2"), INVALID),
        ("wamp.subscription.get_events", (1,), NOT_AUTHORIZED),
        ("wampy.router.stats", (1,), INVALID),
    ],
)
def test_wrong_arguments_are_an_error_and_change_nothing(
    uri: str, args: tuple[Any, ...], error: str
) -> None:
    routing = Routing()
    caller, victim = routing.clients(2)
    victim.register("a")
    victim.subscribe("a")
    assert caller.result_of(uri, *args) == error
    assert victim.heard() == []
    assert routing.outbox.closed == {}
    assert routing.realm.stats()["registrations"] == routing.realm.stats()["subscriptions"] == 1


def test_unknown_keywords_are_wrong_arguments() -> None:
    client = Routing().join()
    assert client.result_of("wamp.session.count", other=1) == INVALID
    assert client.result_of("wamp.session.count", session=1) == INVALID
    assert client.result_of("wamp.registration.list", _=1) == INVALID


def test_the_meta_api_needs_a_permission() -> None:
    routing = Routing(OTHER)
    assert routing.join(role="other").result_of("wamp.session.count") == NOT_AUTHORIZED


# ---------------------------------------------------------------------- sessions


def test_sessions_are_counted_listed_and_told_of() -> None:
    routing = Routing(OTHER)
    client, other = routing.join("ann"), routing.join("joe", "other")
    assert client.result_of("wamp.session.count") == 2
    assert client.result_of("wamp.session.list") == [client.id, other.id]
    assert client.result_of("wamp.session.count", ["other"]) == 1
    assert client.result_of("wamp.session.list", filter_authroles=["other", 7]) == [other.id]
    assert client.result_of("wamp.session.list", []) == []
    assert client.result_of("wamp.session.get", other.id) == {
        "session": other.id,
        "authid": "joe",
        "authrole": "other",
        "authmethod": "ticket",
        "authprovider": "static",
        "transport": {"type": "test"},
    }
    assert client.result_of("wampy.router.stats")["sessions"] == 2


def test_joining_and_leaving_are_told() -> None:
    routing = Routing()
    client = routing.join()
    client.subscribe("wamp.session.on_join")
    client.subscribe("wamp.session.on_leave")
    client.heard()
    other = routing.join("ann")
    assert events(client) == [[other.session.details()]]
    other.leave()
    assert events(client) == [[other.id, "ann", "open"]]


def killable() -> tuple[Routing, Client, list[Client]]:
    routing = Routing(OTHER)
    killer = routing.join("ann")
    return routing, killer, [routing.join("joe"), routing.join("bob"), routing.join("joe", "other")]


@pytest.mark.parametrize(
    ("uri", "args", "killed"),
    [
        ("wamp.session.kill", (1002,), [0]),
        ("wamp.session.kill_by_authid", ("joe",), [0, 2]),
        ("wamp.session.kill_by_authid", ("ann",), []),
        ("wamp.session.kill_by_authrole", ("open",), [0, 1]),
        ("wamp.session.kill_all", (), [0, 1, 2]),
    ],
)
def test_killing_cuts_off_at_once(uri: str, args: tuple[Any, ...], killed: list[int]) -> None:
    """Never the killer, whatever is meant; GOODBYE need not be answered."""
    routing, killer, victims = killable()
    result = killer.result_of(uri, *args, reason="com.bad", message="why")
    assert result == (None if uri.endswith("kill") else len(killed))
    assert [n for n, victim in enumerate(victims) if victim.last_message] == killed
    for number in killed:
        goodbye = victims[number].last_message
        assert (goodbye.name, goodbye.reason) == ("GOODBYE", "com.bad")
        assert goodbye.details == {"message": "why"}
    assert routing.realm.stats()["sessions"] == 4 - len(killed)


def test_a_session_does_not_kill_itself() -> None:
    routing, killer, _ = killable()
    assert killer.result_of("wamp.session.kill", killer.id) == NO_SESSION
    assert routing.outbox.closed == {}


def test_without_a_reason_there_is_one() -> None:
    _, killer, (victim, *_) = killable()
    killer.result_of("wamp.session.kill", victim.id)
    assert victim.last_message.reason == "wamp.close.killed"
    assert victim.last_message.details == {}


def test_calls_and_registrations_of_who_was_killed_are_gone() -> None:
    routing, killer, (victim, other, _) = killable()
    victim.register("a")
    other.register("b")
    victim.subscribe("c")
    other.call("a")
    victim.call("b")
    invocation = other.one()
    killer.result_of("wamp.session.kill", victim.id)
    interrupt, error = other.heard()
    assert (interrupt.name, interrupt.request_id) == ("INTERRUPT", invocation.request_id)
    assert error.error == "wamp.error.canceled"
    other.answer(invocation)
    routing.assert_idle()
    assert killer.result_of("wamp.registration.lookup", "a") is None
    assert killer.result_of("wamp.subscription.lookup", "c") is None


def test_who_goes_because_another_is_killed_is_closed_once() -> None:
    """What waited for the authorizer is handled as that is killed, and may break the protocol."""
    routing = Routing(Role("asking", (), authorizer="auth"))
    killer, authorizer = routing.clients(2)
    client = routing.join(role="asking")
    authorizer.register("auth")
    client.call("a")
    client.say_later(Result(request_id=1))
    killer.result_of("wamp.session.kill_all")
    assert routing.outbox.closed[client.id].name == "ABORT"
    assert routing.outbox.closed[authorizer.id].name == "GOODBYE"


# ---------------------------------------------------------------------- testaments


def test_testaments_are_published_when_the_session_ends() -> None:
    routing = Routing()
    client, heir, other = routing.join(), routing.join("ann"), routing.join("bob")
    heir.subscribe("a")
    other.subscribe("a")
    add = "wamp.session.add_testament"
    assert client.result_of(add, "a", [1], {"x": 1}) is None
    assert client.result_of(add, "a", [2], {}, {"eligible_authid": ["ann"]}, "detached") is None
    assert client.result_of(add, "a", [3], {}, publish_options={"exclude": [other.id]}) is None
    assert heir.heard() == []
    client.leave()
    assert events(heir) == [[2], [1], [3]]
    assert events(other) == [[1]]


def test_testaments_are_flushed_by_scope() -> None:
    client, heir = Routing().clients(2)
    heir.subscribe("a")
    for number, scope in enumerate(("destroyed", "detached", "destroyed")):
        client.result_of("wamp.session.add_testament", "a", [number], {}, scope=scope)
    assert client.result_of("wamp.session.flush_testaments") == 2
    assert client.result_of("wamp.session.flush_testaments") == 0
    client.leave()
    assert events(heir) == [[1]]


def test_a_testament_needs_the_permission_to_publish() -> None:
    role = Role("some", (allow("wamp.", match="prefix"), allow("a", "call"), allow("b")))
    routing = Routing(role)
    client = routing.join(role="some")
    assert client.result_of("wamp.session.add_testament", "a", [], {}) == NOT_AUTHORIZED
    assert client.result_of("wamp.session.add_testament", "b", [], {}) is None
    # It is lost if that was taken away since.
    heir = routing.join()
    heir.subscribe("b")
    client.session.role = Role("none", ())
    client.leave()
    assert events(heir) == []


def test_testaments_are_limited() -> None:
    client = Routing().join()
    for _ in range(meta._MOST_TESTAMENTS):
        assert client.result_of("wamp.session.add_testament", "a", [], {}) is None
    refused = client.result_of("wamp.session.add_testament", "a", [], {})
    assert refused == "wamp.error.unavailable"


def test_the_testament_of_who_was_killed_is_published() -> None:
    killer, victim = Routing().clients(2)
    killer.subscribe("a")
    victim.result_of("wamp.session.add_testament", "a", [1], {})
    killer.call("wamp.session.kill", victim.id)
    assert events(killer) == [[1]]


# ---------------------------------------------------------------------- registrations


def test_registrations_are_told_of() -> None:
    routing = Routing()
    client, callee = routing.clients(2)
    ids = {
        match: callee.register("a.b", match=match, invoke="first")
        for match in ("exact", "prefix", "wildcard")
    }
    client.register("a.b", invoke="first")
    assert client.result_of("wamp.registration.list") == {
        match: [number] for match, number in ids.items()
    }
    for match, number in ids.items():
        assert client.result_of("wamp.registration.lookup", "a.b", {"match": match}) == number
    assert client.result_of("wamp.registration.lookup", "a.b") == ids["exact"]
    assert client.result_of("wamp.registration.lookup", "a") is None
    assert client.result_of("wamp.registration.match", "a.b") == ids["exact"]
    assert client.result_of("wamp.registration.match", "a.b.c") == ids["prefix"]
    assert client.result_of("wamp.registration.match", "b") is None
    assert client.result_of("wamp.registration.get", ids["exact"]) == {
        "id": ids["exact"],
        "created": "1970-01-01T00:01:40+00:00",
        "uri": "a.b",
        "match": "exact",
        "invoke": "first",
    }
    assert client.result_of("wamp.registration.list_callees", 1) == [callee.id, client.id]
    assert client.result_of("wamp.registration.count_callees", 1) == 2


def test_a_callee_is_removed_and_told() -> None:
    routing = Routing()
    client, callee = routing.clients(2)
    for uri in ("a", "b"):
        callee.register(uri)
    assert client.result_of("wamp.registration.remove_callee", 1, callee.id, "com.bad") is None
    assert client.result_of("wamp.registration.remove_callee", 2, callee.id) is None
    told = callee.heard()
    assert [(one.name, one.request_id) for one in told] == [("UNREGISTERED", 0)] * 2
    assert [one.details for one in told] == [
        {"registration": 1, "reason": "com.bad"},
        {"registration": 2, "reason": "wamp.error.revoked"},
    ]
    assert client.result_of("a") == "wamp.error.no_such_procedure"
    assert routing.realm.stats()["registrations"] == 0


def test_the_life_of_a_registration_is_told() -> None:
    routing = Routing()
    client, first, second = routing.clients(3)
    client.subscribe("wamp.registration.", match="prefix")
    client.heard()

    def told() -> list[tuple[str, list[Any]]]:
        return [(one.details["topic"].rpartition("_")[2], list(one.args)) for one in client.heard()]

    first.register("a", invoke="last")
    created, registered = told()
    assert created[0] == "create"
    assert created[1][0] == first.id
    assert created[1][1]["uri"] == "a"
    assert registered == ("register", [first.id, 1])
    second.register("a", invoke="last")
    assert told() == [("register", [second.id, 1])]
    first.unregister(1)
    assert told() == [("unregister", [first.id, 1])]
    second.leave()
    assert told() == [("unregister", [second.id, 1]), ("delete", [second.id, 1])]


# ---------------------------------------------------------------------- subscriptions


def test_subscriptions_are_told_of() -> None:
    client, other = Routing().clients(2)
    ids = {match: other.subscribe("a.b", match=match) for match in ("exact", "prefix", "wildcard")}
    client.subscribe("a.b")
    assert client.result_of("wamp.subscription.list") == {
        match: [number] for match, number in ids.items()
    }
    assert client.result_of("wamp.subscription.lookup", "a.b", {"match": "prefix"}) == 2
    assert client.result_of("wamp.subscription.match", "a.b") == [1, 2, 3]
    assert client.result_of("wamp.subscription.match", "b") is None
    assert client.result_of("wamp.subscription.get", 2) == {
        "id": 2,
        "created": "1970-01-01T00:01:40+00:00",
        "uri": "a.b",
        "match": "prefix",
    }
    assert client.result_of("wamp.subscription.list_subscribers", 1) == [other.id, client.id]
    assert client.result_of("wamp.subscription.count_subscribers", 1) == 2


def test_a_subscriber_is_removed_and_told() -> None:
    routing = Routing()
    client, other = routing.clients(2)
    for uri in ("a", "b"):
        other.subscribe(uri)
    assert client.result_of("wamp.subscription.remove_subscriber", 1, other.id) is None
    assert client.result_of("wamp.subscription.remove_subscriber", 2, other.id, "com.bad") is None
    told = other.heard()
    assert [(one.name, one.request_id) for one in told] == [("UNSUBSCRIBED", 0)] * 2
    assert [one.details for one in told] == [
        {"subscription": 1, "reason": "wamp.error.revoked"},
        {"subscription": 2, "reason": "com.bad"},
    ]
    client.publish("a")
    assert other.heard() == []
    assert routing.realm.stats()["subscriptions"] == 0


def test_the_life_of_a_subscription_is_told() -> None:
    client, first, second = Routing().clients(3)
    for kind in ("create", "subscribe", "unsubscribe", "delete"):
        client.subscribe(f"wamp.subscription.on_{kind}")
    client.heard()
    first.subscribe("a")
    (created, subscribed) = events(client)
    assert (created[0], created[1]["uri"], created[1]["id"]) == (first.id, "a", 5)
    assert subscribed == [first.id, 5]
    first.subscribe("a")
    assert events(client) == []
    second.subscribe("a")
    assert events(client) == [[second.id, 5]]
    first.unsubscribe(5)
    assert events(client) == [[first.id, 5]]
    second.leave()
    assert events(client) == [[second.id, 5]] * 2


# ---------------------------------------------------------------------- history


def test_the_history_is_given_newest_first_and_limited() -> None:
    routing = Routing(history=(("a", "exact", 3), ("b", "prefix", 20)))
    client, publisher = routing.clients(2)
    client.subscribe("a")
    client.subscribe("b", match="prefix")
    client.subscribe("c")
    for number in range(5):
        publisher.publish("a", number, disclose_me=number == 4)
        publisher.publish(f"b.{number % 2}", number)
    publisher.publish("c", 1)
    get = "wamp.subscription.get_events"
    kept = client.result_of(get, 1)
    assert [one["args"] for one in kept] == [[4], [3], [2]]
    assert {one["topic"] for one in kept} == {"a"}
    assert kept[0]["publisher"] == publisher.id
    assert "publisher" not in kept[1]
    assert kept[0]["kwargs"] == {}
    assert [one["args"] for one in client.result_of(get, 1, 1)] == [[4]]
    assert [one["args"] for one in client.result_of(get, 1, limit=2)] == [[4], [3]]
    assert client.result_of(get, 1, 0) == client.result_of(get, 1, -1) == []
    assert [one["topic"] for one in client.result_of(get, 2, 2)] == ["b.0", "b.1"]
    for number in range(20):
        publisher.publish("b.x", number)
    assert len(client.result_of(get, 2)) == 10
    assert client.result_of(get, 3) == []


def test_the_history_holds_publication_ids_as_they_were() -> None:
    routing = Routing(history=(("a", "exact", 3),))
    client, publisher = routing.clients(2)
    client.subscribe("a")
    publisher.publish("a")
    event = client.one()
    (kept,) = client.result_of("wamp.subscription.get_events", 1)
    assert kept["publication"] == event.publication_id


def test_the_history_gives_nobody_what_he_could_not_have_heard() -> None:
    role = Role(
        "some",
        (allow("", match="prefix"), allow("a.secret", "publish"), allow("wamp.", match="prefix")),
    )
    routing = Routing(role, history=(("a", "prefix", 10),))
    joe, publisher = routing.join("joe", "some"), routing.join()
    joe.subscribe("a", match="prefix")
    publisher.publish("a.x", 1)
    publisher.publish("a.secret", 2)
    publisher.publish("a.x", 3, eligible_authid=["ann"])
    publisher.publish("a.x", 4, exclude=[joe.id])
    publisher.publish("a.x", 5, exclude_authrole=["other"])
    kept = joe.result_of("wamp.subscription.get_events", 1)
    assert [one["args"] for one in kept] == [[5], [1]]
    joe.unsubscribe(1)
    assert joe.result_of("wamp.subscription.get_events", 1) == NO_SUBSCRIPTION
