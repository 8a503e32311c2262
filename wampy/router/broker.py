"""The Broker: subscriptions, and events from Publishers to Subscribers.

Rules:

- one publication id, and for each subscription one EVENT, whoever gets it;
- SUBSCRIBED goes out before the first EVENT of the subscription;
- who subscribed to a pattern hears only topics that its role may subscribe to by name;
- an event that a slow consumer cannot take is dropped by the outbox, which counts it.

Spec: Basic Profile, "Publish and Subscribe"; Advanced Profile, "Advanced PubSub".
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wampy.ids import MAX_ID
from wampy.messages import Error, Event, Published, Subscribed, Unsubscribed
from wampy.router.calls import shown
from wampy.router.patterns import PatternTable, match_in
from wampy.uris import uri_fault

if TYPE_CHECKING:
    from random import Random

    from wampy.router.calls import Outbox
    from wampy.router.sessions import RouterSession

_PUBLISH, _SUBSCRIBE, _UNSUBSCRIBE = 16, 32, 34
_PASSED_ON = "ppt_"
#: Options of PUBLISH that list sessions, and those that list texts; and what a session has of it.
_LISTS = {
    "exclude": ("id", int),
    "exclude_authid": ("authid", str),
    "exclude_authrole": ("authrole", str),
    "eligible": ("id", int),
    "eligible_authid": ("authid", str),
    "eligible_authrole": ("authrole", str),
}


class Subscription:
    """A topic, or a pattern of them, and who hears it."""

    __slots__ = ("created_at", "id", "match", "sessions", "uri")

    def __init__(self, id: int, uri: str, match: str, created_at: float) -> None:
        self.id = id
        self.uri = uri
        self.match = match
        self.created_at = created_at
        #: In the order in which they subscribed.
        self.sessions: dict[int, RouterSession] = {}


class Filter:
    """Who is meant by a publication: lists of exclusion and of eligibility.

    Spec: Advanced Profile, "Subscriber Black- and Whitelisting".
    """

    __slots__ = ("_lists",)

    def __init__(self, lists: list[tuple[str, frozenset[Any], bool]]) -> None:
        self._lists = lists

    def lets(self, session: RouterSession) -> bool:
        """Whether a session may hear it."""
        return all(
            (getattr(session, what) in listed) is is_eligible
            for what, listed, is_eligible in self._lists
        )


class Kept:
    """A publication that is kept: retained, or in a history."""

    __slots__ = ("args", "details", "filter", "kwargs", "publication_id", "topic")

    def __init__(
        self, message: Any, publication_id: int, details: dict[str, Any], whom: Filter | None
    ) -> None:
        self.topic = message.topic
        self.args = message.args
        self.kwargs = message.kwargs
        self.publication_id = publication_id
        self.details = details
        self.filter = whom


class Broker:
    """Subscriptions and events of one Realm.

    Args:
        outbox: where messages go.
        random: for publication ids.
        most_subscriptions: that one session may have.
        history: patterns whose events are kept: (uri, match, how many).
        most_retained: topics whose last event is retained.
        changed: told ``(kind, subscription, session)`` for kind create, subscribe, unsubscribe,
            delete.
    """

    def __init__(
        self,
        outbox: Outbox,
        random: Random,
        *,
        most_subscriptions: int,
        most_retained: int,
        history: tuple[tuple[str, str, int], ...],
        changed: Callable[[str, Subscription, RouterSession], None],
    ) -> None:
        self.table: PatternTable[Subscription] = PatternTable()
        self.subscriptions: dict[int, Subscription] = {}
        self.retained: dict[str, Kept] = {}
        self.history: PatternTable[deque[Kept]] = PatternTable()
        for uri, match, count in history:
            self.history.add(uri, match, deque(maxlen=count))
        self.publications = 0
        self.events = 0
        self._send = outbox.send
        self._random = random
        self._most_subscriptions = most_subscriptions
        self._most_retained = most_retained
        self._changed = changed
        self._ids = itertools.count(1)

    # ------------------------------------------------------------------ subscriptions

    def subscribe(self, session: RouterSession, message: Any, now: float) -> None:
        """Take a SUBSCRIBE that is authorized; twice the same gives the same id."""
        options = message.options or {}
        uri, match = message.topic, match_in(options)
        fault = uri_fault(uri, match) if isinstance(match, str) else f"match is {shown(match)}"
        if fault is not None:
            self._refuse(session, _SUBSCRIBE, message.request_id, "wamp.error.invalid_uri", fault)
            return
        subscription = self.table.get(uri, match)
        is_new = subscription is None
        is_subscribed = subscription is not None and session.id in subscription.sessions
        if not is_subscribed and len(session.subscriptions) >= self._most_subscriptions:
            text = f"{self._most_subscriptions} subscriptions are the most that a session may have"
            error = "wamp.error.unavailable"
            self._refuse(session, _SUBSCRIBE, message.request_id, error, text)
            return
        if subscription is None:
            subscription = Subscription(next(self._ids), uri, match, now)
            self.table.add(uri, match, subscription)
            self.subscriptions[subscription.id] = subscription
        subscription.sessions[session.id] = session
        session.subscriptions[subscription.id] = subscription
        self._send(
            session, Subscribed(request_id=message.request_id, subscription_id=subscription.id)
        )
        if is_new:
            self._changed("create", subscription, session)
        if not is_subscribed:
            self._changed("subscribe", subscription, session)
        if options.get("get_retained") is True:
            self._send_retained(session, subscription)

    def _send_retained(self, session: RouterSession, subscription: Subscription) -> None:
        """Spec: Advanced Profile, "Event Retention"."""
        if subscription.match == "exact":
            kept = self.retained.get(subscription.uri)
            found = [] if kept is None else [kept]
        else:
            one: PatternTable[bool] = PatternTable()
            one.add(subscription.uri, subscription.match, True)
            found = [
                kept
                for topic, kept in self.retained.items()
                if one.best(topic) and session.role.may(topic, "subscribe")
            ]
        for kept in found:
            if kept.filter is None or kept.filter.lets(session):
                details = {**kept.details, "retained": True}
                if subscription.match != "exact":
                    details["topic"] = kept.topic
                event = Event(
                    subscription_id=subscription.id,
                    publication_id=kept.publication_id,
                    details=details,
                    args=kept.args,
                    kwargs=kept.kwargs,
                )
                self._send(session, event)

    def unsubscribe(self, session: RouterSession, message: Any) -> None:
        """Take an UNSUBSCRIBE."""
        subscription = session.subscriptions.get(message.subscription_id)
        if subscription is None:
            text = f"no subscription {message.subscription_id} of this session"
            error = "wamp.error.no_such_subscription"
            self._refuse(session, _UNSUBSCRIBE, message.request_id, error, text)
            return
        self._send(session, Unsubscribed(request_id=message.request_id))
        self._remove(subscription, session)

    def evict(self, subscription: Subscription, session: RouterSession, reason: str) -> None:
        """Take a subscription away, and tell. Spec: "Subscription Revocation"."""
        details = {"subscription": subscription.id, "reason": reason}
        self._send(session, Unsubscribed(request_id=0, details=details))
        self._remove(subscription, session)

    def _remove(self, subscription: Subscription, session: RouterSession) -> None:
        del session.subscriptions[subscription.id]
        subscription.sessions.pop(session.id, None)
        self._changed("unsubscribe", subscription, session)
        if not subscription.sessions:
            self.table.remove(subscription.uri, subscription.match)
            del self.subscriptions[subscription.id]
            self._changed("delete", subscription, session)

    def leave(self, session: RouterSession) -> None:
        """Forget a session; it hears nothing of that itself."""
        for subscription in session.subscriptions.values():
            del subscription.sessions[session.id]
        for subscription in list(session.subscriptions.values()):
            self._remove(subscription, session)

    # ------------------------------------------------------------------ publications

    def publish(self, session: RouterSession, message: Any) -> None:
        """Take a PUBLISH that is authorized. Who is to be told of a fault asked to be."""
        options = message.options
        is_acknowledged = bool(options) and options.get("acknowledge") is True
        fault, error = None, "wamp.error.invalid_argument"
        if options:
            fault = lists_fault(options)
        if fault is None and message.topic not in self.table.exact:
            # What somebody has subscribed to by name is a URI.
            fault, error = uri_fault(message.topic), "wamp.error.invalid_uri"
        if fault is not None:
            if is_acknowledged:
                self._refuse(session, _PUBLISH, message.request_id, error, fault)
            return
        publication_id = self.publish_for(session, message, options)
        if is_acknowledged:
            self._send(
                session, Published(request_id=message.request_id, publication_id=publication_id)
            )

    def publish_for(
        self, publisher: RouterSession | None, message: Any, options: Mapping[str, Any]
    ) -> int:
        """Deliver a publication; gives its id. ``publisher`` is None where the Router publishes."""
        topic = message.topic
        publication_id = self._random.randint(1, MAX_ID)
        self.publications += 1
        details: dict[str, Any] = {}
        excluded, whom = publisher, None
        if options:
            if options.get("exclude_me") is False:
                excluded = None
            whom = _filter_of(options)
            for key, value in options.items():
                if key.startswith(_PASSED_ON):
                    details[key] = value
            if (
                publisher is not None
                and options.get("disclose_me") is True
                and publisher.role.discloses(topic)
            ):
                details["publisher"] = publisher.id
                details["publisher_authid"] = publisher.authid
                details["publisher_authrole"] = publisher.authrole
            if options.get("retain") is True:
                self._retain(Kept(message, publication_id, details, whom))
        for kept in self.history.all(topic) if len(self.history) else ():
            kept.append(Kept(message, publication_id, details, whom))
        for subscription in self.table.all(topic):
            is_pattern = subscription.match != "exact"
            event = Event(
                subscription_id=subscription.id,
                publication_id=publication_id,
                details={**details, "topic": topic} if is_pattern else details,
                args=message.args,
                kwargs=message.kwargs,
            )
            for session in list(subscription.sessions.values()):
                if session is excluded or (whom is not None and not whom.lets(session)):
                    continue
                if is_pattern and not session.role.may(topic, "subscribe"):
                    continue
                if self._send(session, event) is None:
                    self.events += 1
        return publication_id

    def _retain(self, kept: Kept) -> None:
        self.retained.pop(kept.topic, None)
        self.retained[kept.topic] = kept
        if len(self.retained) > self._most_retained:
            # The one that has not been published to for the longest time makes room.
            del self.retained[next(iter(self.retained))]

    def _refuse(
        self, session: RouterSession, request_type: int, request_id: int, error: str, text: str
    ) -> None:
        self._send(
            session,
            Error(request_type=request_type, request_id=request_id, error=error, args=[text]),
        )


def lists_fault(options: Mapping[str, Any]) -> str | None:
    """Say which list is none, or has an element of the wrong type."""
    for key, (_, kind) in _LISTS.items():
        listed = options.get(key)
        if listed is not None and (
            not isinstance(listed, (list, tuple)) or any(type(one) is not kind for one in listed)
        ):
            return f"{key} is no list of {'texts' if kind is str else 'session ids'}"
    return None


def _filter_of(options: Mapping[str, Any]) -> Filter | None:
    lists = [
        (what, frozenset(listed), key.startswith("eligible"))
        for key, (what, _) in _LISTS.items()
        if (listed := options.get(key)) is not None
    ]
    return Filter(lists) if lists else None
