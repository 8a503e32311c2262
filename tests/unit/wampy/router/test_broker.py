"""The Broker: subscriptions, and who hears a publication."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.ids import MAX_ID
from wampy.messages import Subscribe, Unsubscribe
from wampy.router.authorization import Role

ROLES = (Role("red", (allow("", match="prefix"),)), Role("blue", (allow("", match="prefix"),)))


def heard_by(*clients: Client) -> list[int]:
    """Count the EVENTs that each of them got."""
    return [sum(one.name == "EVENT" for one in client.heard()) for client in clients]


# ---------------------------------------------------------------------- subscriptions


def test_a_topic_is_subscribed_published_and_unsubscribed() -> None:
    subscriber, publisher = Routing().clients(2)
    subscription_id = subscriber.subscribe("a")
    publisher.publish("a", 1, 2)
    event = subscriber.one()
    assert event.subscription_id == subscription_id
    assert 1 <= event.publication_id <= MAX_ID
    assert (tuple(event.args), event.details) == ((1, 2), {})
    assert publisher.heard() == []
    (unsubscribed,) = subscriber.unsubscribe(subscription_id)
    assert (unsubscribed.name, unsubscribed.details) == ("UNSUBSCRIBED", None)
    publisher.publish("a")
    assert subscriber.heard() == []


def test_twice_the_same_is_one_subscription() -> None:
    routing = Routing(subscriptions=1)
    subscriber, publisher = routing.clients(2)
    assert subscriber.subscribe("a") == subscriber.subscribe("a")
    publisher.publish("a")
    assert heard_by(subscriber) == [1]
    subscriber.unsubscribe(1)
    assert len(routing.realm.broker.table) == 0


def test_sessions_share_a_subscription() -> None:
    first, second, publisher = Routing().clients(3)
    assert first.subscribe("a") == second.subscribe("a")
    first.unsubscribe(1)
    publisher.publish("a")
    assert heard_by(first, second) == [0, 1]


def test_a_session_has_a_limited_number_of_subscriptions() -> None:
    subscriber = Routing(subscriptions=1).join()
    subscriber.subscribe("a")
    publisher = subscriber.routing.join()
    assert subscribe_error(subscriber, "b") == "wamp.error.unavailable"
    publisher.publish("b")
    assert heard_by(subscriber) == [0]


def subscribe_error(client: Client, uri: str, **options: Any) -> str:
    with pytest.raises(StopIteration):
        client.subscribe(uri, **options)
    answer = client.one()
    assert (answer.name, answer.request_type) == ("ERROR", 32)
    return str(answer.error)


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("a..b", {}),
        ("a b", {"match": "wildcard"}),
        ("a", {"match": "regex"}),
        ("a", {"match": []}),
    ],
)
def test_a_malformed_subscription_is_refused(uri: str, options: dict[str, Any]) -> None:
    assert subscribe_error(Routing().join(), uri, **options) == "wamp.error.invalid_uri"


@pytest.mark.parametrize("subscription_id", [1, 99])
def test_only_ones_own_subscription_is_unsubscribed(subscription_id: int) -> None:
    first, second = Routing().clients(2)
    first.subscribe("a")
    (answer,) = second.say(Unsubscribe(request_id=5, subscription_id=subscription_id))
    assert (answer.request_type, answer.request_id) == (34, 5)
    assert answer.error == "wamp.error.no_such_subscription"


# ---------------------------------------------------------------------- patterns


def test_every_pattern_that_matches_hears_it_once_under_one_publication_id() -> None:
    routing = Routing()
    subscriber, publisher = routing.clients(2)
    patterns = [("a.b.c", "exact"), ("a.b", "prefix"), ("a", "prefix"), ("a..c", "wildcard")]
    ids = [subscriber.subscribe(uri, match=match) for uri, match in patterns]
    subscriber.subscribe("b", match="prefix")
    subscriber.subscribe("..d", match="wildcard")
    publisher.publish("a.b.c", acknowledge=True)
    events = subscriber.heard()
    assert [one.subscription_id for one in events] == ids
    published = publisher.one()
    assert {one.publication_id for one in events} == {published.publication_id}
    # Who subscribed to a pattern is told the topic.
    assert [one.details for one in events] == [{}] + [{"topic": "a.b.c"}] * 3


def test_a_match_of_null_is_exact() -> None:
    routing = Routing()
    subscriber, publisher = routing.clients(2)
    assert subscriber.subscribe("a", match=None) == subscriber.subscribe("a")
    publisher.publish("a.b")
    assert not subscriber.heard()


def test_a_pattern_hears_only_what_its_role_may_subscribe_to_by_name() -> None:
    role = Role("some", (allow("", match="prefix"), allow("a.secret", "publish")))
    routing = Routing(role)
    subscriber, publisher = routing.join(role="some"), routing.join()
    subscriber.subscribe("a", match="prefix")
    subscriber.subscribe("", match="prefix")
    for topic in ("a.secret", "a.open"):
        publisher.publish(topic)
    routing.join()  # wamp.session.on_join
    assert [one.details for one in subscriber.heard()] == [{"topic": "a.open"}] * 2


# ---------------------------------------------------------------------- who hears it


def test_the_publisher_is_excluded_unless_it_says_otherwise() -> None:
    publisher = Routing().join()
    publisher.subscribe("a")
    publisher.publish("a")
    publisher.publish("a", exclude_me=True)
    publisher.publish("a", disclose_me=True)
    publisher.publish("a", exclude_me=0)
    assert publisher.heard() == []
    publisher.publish("a", exclude_me=False)
    assert heard_by(publisher) == [1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 1, 1]),
        ({"exclude": []}, [1, 1, 1]),
        ({"exclude": [1001]}, [0, 1, 1]),
        ({"exclude_authid": ["joe"]}, [0, 1, 0]),
        ({"exclude_authrole": ["red"]}, [0, 0, 1]),
        ({"eligible": [1001, 1003, 77]}, [1, 0, 1]),
        ({"eligible": []}, [0, 0, 0]),
        ({"eligible": ()}, [0, 0, 0]),
        ({"eligible_authid": ["ann"]}, [0, 1, 0]),
        ({"eligible_authrole": ["blue", "green"]}, [0, 0, 1]),
        ({"eligible": [1001, 1002], "exclude_authid": ["ann"]}, [1, 0, 0]),
        ({"eligible_authid": ["joe"], "eligible_authrole": ["red"]}, [1, 0, 0]),
        ({"eligible": None}, [1, 1, 1]),
    ],
)
def test_exclusion_and_eligibility(options: dict[str, Any], expected: list[int]) -> None:
    """Every list has to let a session; exclusion is stronger."""
    routing = Routing(*ROLES)
    clients = [routing.join("joe", "red"), routing.join("ann", "red"), routing.join("joe", "blue")]
    for client in clients:
        client.subscribe("a")
        client.subscribe("", match="prefix")
    routing.join().publish("a", **options)
    assert heard_by(*clients) == [2 * count for count in expected]


@pytest.mark.parametrize(
    "key",
    [f"{kind}{what}" for kind in ("exclude", "eligible") for what in ("", "_authid", "_authrole")],
)
@pytest.mark.parametrize("listed", ["joe", 7, {}, ["joe", 7], [None], [[]], [True], [1.0]])
def test_a_malformed_list_reaches_nobody(key: str, listed: Any) -> None:
    subscriber, publisher = Routing().clients(2)
    subscriber.subscribe("a")
    publisher.publish("a", **{key: listed})
    assert publisher.heard() == []
    request_id = publisher.publish("a", **{key: listed, "acknowledge": True})
    answer = publisher.one()
    assert (answer.name, answer.request_type, answer.request_id) == ("ERROR", 16, request_id)
    assert answer.error == "wamp.error.invalid_argument"
    assert heard_by(subscriber) == [0]


@pytest.mark.parametrize("uri", ["a b", "a..b", "", "a#"])
def test_nobody_hears_of_a_topic_that_is_no_uri(uri: str) -> None:
    routing = Routing()
    publisher, subscriber = routing.clients(2)
    subscriber.subscribe("a", match="prefix")
    publisher.publish(uri)
    assert publisher.heard() == []
    publisher.publish(uri, acknowledge=True)
    assert publisher.one().error == "wamp.error.invalid_uri"
    assert subscriber.heard() == []


def test_a_publication_is_acknowledged_for_who_asks() -> None:
    publisher = Routing().join()
    publisher.publish("a")
    publisher.publish("a", acknowledge=1)
    assert publisher.heard() == []
    request_id = publisher.publish("a", acknowledge=True)
    published = publisher.one()
    assert (published.name, published.request_id) == ("PUBLISHED", request_id)


@pytest.mark.parametrize("discloses", [True, False])
def test_the_publisher_is_identified(discloses: bool) -> None:
    routing = Routing(Role("some", (allow("a", disclose=discloses),)))
    subscriber, publisher = routing.join(), routing.join("ann", "some")
    subscriber.subscribe("a")
    publisher.publish("a", disclose_me=True)
    publisher.publish("a", disclose_me=1)
    told = {
        "publisher": publisher.id,
        "publisher_authid": "ann",
        "publisher_authrole": "some",
    }
    details = [one.details for one in subscriber.heard()]
    assert details == [told if discloses else {}, {}]


def test_payload_passthru_is_passed_on() -> None:
    subscriber, publisher = Routing().clients(2)
    subscriber.subscribe("a")
    publisher.publish("a", ppt_scheme="x_cbor", other=1)
    assert subscriber.one().details == {"ppt_scheme": "x_cbor"}


def test_events_of_one_publisher_keep_their_order() -> None:
    subscriber, publisher = Routing().clients(2)
    subscriber.subscribe("", match="prefix")
    subscriber.heard()  # of its subscription
    for number in range(20):
        publisher.publish("ab"[number % 2], number)
    assert [one.args[0] for one in subscriber.heard()] == list(range(20))


def test_who_takes_nothing_is_passed_over_and_not_counted() -> None:
    routing = Routing()
    slow, fast, publisher = routing.clients(3)
    for client in (slow, fast):
        client.subscribe("a")
    routing.outbox.deaf.add(slow.id)
    publisher.publish("a")
    assert heard_by(slow, fast) == [0, 1]
    stats = routing.realm.stats()
    assert (stats["publications"], stats["events"]) == (1, 1)


# ---------------------------------------------------------------------- retained events


def test_the_last_retained_event_is_given_to_who_asks() -> None:
    subscriber, publisher = Routing().clients(2)
    for number in (1, 2):
        publisher.publish("a", number, retain=True, disclose_me=True)
    publisher.publish("a", 3)
    publisher.publish("b", 4, retain=1)
    subscription_id = subscriber.subscribe("a", get_retained=True)
    event = subscriber.one()
    assert (event.subscription_id, tuple(event.args)) == (subscription_id, (2,))
    assert event.details["retained"] is True
    assert event.details["publisher"] == publisher.id
    for topic in ("a", "b"):
        subscriber.subscribe(topic)
    subscriber.subscribe("b", get_retained=True)
    assert subscriber.heard() == []


def test_subscribed_comes_before_the_retained_event() -> None:
    subscriber, publisher = Routing().clients(2)
    publisher.publish("a", retain=True)
    message = Subscribe(request_id=1, topic="a", options={"get_retained": True})
    assert [one.name for one in subscriber.say(message)] == ["SUBSCRIBED", "EVENT"]


def test_a_retained_event_keeps_its_lists() -> None:
    routing = Routing()
    joe, ann, publisher = routing.join("joe"), routing.join("ann"), routing.join()
    publisher.publish("a", retain=True, eligible_authid=["ann"])
    for client in (joe, ann):
        client.subscribe("a", get_retained=True)
        client.subscribe("a", match="prefix", get_retained=True)
    assert heard_by(joe, ann) == [0, 2]


@pytest.mark.parametrize(("uri", "match"), [("a", "prefix"), ("a.", "wildcard")])
def test_a_pattern_is_given_the_retained_events_that_its_role_may_hear(
    uri: str, match: str
) -> None:
    role = Role("some", (allow("", match="prefix"), allow("a.secret", "publish")))
    routing = Routing(role)
    subscriber, publisher = routing.join(role="some"), routing.join()
    for topic in ("a.x", "a.secret", "a.y", "b.x"):
        publisher.publish(topic, retain=True)
    subscriber.subscribe(uri, match=match, get_retained=True)
    assert [one.details for one in subscriber.heard()] == [
        {"topic": "a.x", "retained": True},
        {"topic": "a.y", "retained": True},
    ]


def test_the_topic_that_is_retained_longest_makes_room() -> None:
    routing = Routing(retained=2)
    publisher = routing.join()
    for topic in ("a", "b", "a", "c"):
        publisher.publish(topic, retain=True)
    assert list(routing.realm.broker.retained) == ["a", "c"]


def test_nothing_is_retained_where_nothing_may_be() -> None:
    routing = Routing(retained=0)
    routing.join().publish("a", retain=True)
    assert not routing.realm.broker.retained


# ---------------------------------------------------------------------- leaving


def test_who_left_hears_nothing_and_leaves_nothing() -> None:
    routing = Routing()
    subscriber, publisher = routing.clients(2)
    for match in ("exact", "prefix", "wildcard"):
        subscriber.subscribe("a", match=match)
    subscriber.leave()
    publisher.publish("a")
    publisher.leave()
    routing.assert_empty()


def test_who_leaves_hears_nothing_of_that_itself() -> None:
    routing = Routing()
    subscriber, other = routing.clients(2)
    for topic in ("a", "wamp.subscription.on_unsubscribe", "wamp.subscription.on_delete"):
        subscriber.subscribe(topic)
    other.subscribe("wamp.subscription.on_unsubscribe")
    subscriber.heard()
    other.heard()
    subscriber.leave()
    assert subscriber.heard() == []
    assert heard_by(other) == [3]
