"""What the meta API is asked, and what its answers mean: pure, for blocking Sessions and others.

Spec: Advanced Profile, "Session Meta API", "Registration Meta API", "Subscription Meta API",
"Event History", "Testaments".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from wampy.errors import RemoteProtocolError, kind_of
from wampy.options import PublishOptions, check_options

T = TypeVar("T")
#: When a testament is published: with the loss of the transport, or with the end of the session.
Scope = Literal["destroyed", "detached"]


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A call of a meta procedure.

    Attributes:
        procedure: its URI.
        args, kwargs: its arguments.
        read: makes the answer of its result.
    """

    procedure: str
    args: tuple[Any, ...]
    read: Callable[[Any], T]
    kwargs: Mapping[str, Any] | None = None

    def answer(self, value: Any) -> T:
        """Give what a result means.

        Raises:
            RemoteProtocolError: it is not what the spec says.
        """
        try:
            return self.read(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteProtocolError(
                f"{self.procedure} answered with {kind_of(value)} that means nothing: "
                f"{error!r:.200}"
            ) from error


@dataclass(frozen=True, slots=True)
class SessionDetails:
    """A Session, as the Router sees it; None for what it does not tell.

    Attributes:
        details: all that it tells.
    """

    id: int
    authid: str | None
    authrole: str | None
    authmethod: str | None
    authprovider: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegistrationDetails:
    """A registration; ``created`` as the Router tells it, by ISO 8601."""

    id: int
    uri: str
    match: str
    invoke: str
    created: str | None


@dataclass(frozen=True, slots=True)
class SubscriptionDetails:
    """A subscription; ``created`` as the Router tells it, by ISO 8601."""

    id: int
    uri: str
    match: str
    created: str | None


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids by how their URIs match."""

    exact: list[int]
    prefix: list[int]
    wildcard: list[int]


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event of a topic's history.

    Attributes:
        publication: its id.
        details: whatever else the Router tells, such as ``topic`` and ``timestamp``.
    """

    publication: int
    args: list[Any]
    kwargs: dict[str, Any]
    details: Mapping[str, Any]


# ---------------------------------------------------------------------- sessions


def session_count(authroles: Sequence[str] | None) -> Question[int]:
    """How many Sessions there are, of some roles or all."""
    return Question("wamp.session.count", _given(authroles), int)


def session_list(authroles: Sequence[str] | None) -> Question[list[int]]:
    """Which Sessions there are."""
    return Question("wamp.session.list", _given(authroles), list)


def session_get(session: int) -> Question[SessionDetails]:
    """What the Router tells of a Session."""
    return Question("wamp.session.get", (session,), _session_details)


def session_kill(session: int, reason: str | None, message: str | None) -> Question[None]:
    """End a Session."""
    return Question("wamp.session.kill", (session,), _nothing, _why(reason, message))


def session_kill_by_authid(
    authid: str, reason: str | None, message: str | None
) -> Question[int | None]:
    """End the Sessions of somebody; how many, where the Router tells."""
    return Question("wamp.session.kill_by_authid", (authid,), _count, _why(reason, message))


def session_kill_by_authrole(
    authrole: str, reason: str | None, message: str | None
) -> Question[int | None]:
    """End the Sessions of a role; how many, where the Router tells."""
    return Question("wamp.session.kill_by_authrole", (authrole,), _count, _why(reason, message))


def add_testament(
    topic: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    scope: Scope,
    options: Mapping[str, Any] | None,
) -> Question[None]:
    """Have an event published when this Session is gone."""
    wanted = dict(check_options("PUBLISH.Options", PublishOptions, options))
    return Question(
        "wamp.session.add_testament",
        (topic, list(args), dict(kwargs)),
        _nothing,
        {"publish_options": wanted, "scope": scope},
    )


def flush_testaments(scope: Scope) -> Question[int | None]:
    """Forget this Session's testaments; how many, where the Router tells."""
    return Question("wamp.session.flush_testaments", (), _count, {"scope": scope})


# ---------------------------------------------------------------------- registrations


def registration_list() -> Question[Ids]:
    """Which registrations there are."""
    return Question("wamp.registration.list", (), _ids)


def registration_lookup(uri: str, match: str) -> Question[int | None]:
    """Which registration has just this URI, or pattern."""
    return Question("wamp.registration.lookup", (uri, {"match": match}), _id)


def registration_match(uri: str) -> Question[int | None]:
    """Which registration gets the calls of a URI."""
    return Question("wamp.registration.match", (uri,), _id)


def registration_get(registration: int) -> Question[RegistrationDetails]:
    """What the Router tells of a registration."""
    return Question("wamp.registration.get", (registration,), _registration_details)


def list_callees(registration: int) -> Question[list[int]]:
    """Which Sessions offer it."""
    return Question("wamp.registration.list_callees", (registration,), _list)


def count_callees(registration: int) -> Question[int]:
    """How many Sessions offer it."""
    return Question("wamp.registration.count_callees", (registration,), int)


def remove_callee(registration: int, session: int, reason: str | None) -> Question[None]:
    """Take a registration away from a Session."""
    args = (registration, session)
    return Question("wamp.registration.remove_callee", args, _nothing, _why(reason, None))


# ---------------------------------------------------------------------- subscriptions


def subscription_list() -> Question[Ids]:
    """Which subscriptions there are."""
    return Question("wamp.subscription.list", (), _ids)


def subscription_lookup(topic: str, match: str) -> Question[int | None]:
    """Which subscription has just this topic, or pattern."""
    return Question("wamp.subscription.lookup", (topic, {"match": match}), _id)


def subscription_match(topic: str) -> Question[list[int]]:
    """Which subscriptions get the events of a topic."""
    return Question("wamp.subscription.match", (topic,), _list)


def subscription_get(subscription: int) -> Question[SubscriptionDetails]:
    """What the Router tells of a subscription."""
    return Question("wamp.subscription.get", (subscription,), _subscription_details)


def list_subscribers(subscription: int) -> Question[list[int]]:
    """Which Sessions have it."""
    return Question("wamp.subscription.list_subscribers", (subscription,), _list)


def count_subscribers(subscription: int) -> Question[int]:
    """How many Sessions have it."""
    return Question("wamp.subscription.count_subscribers", (subscription,), int)


def remove_subscriber(subscription: int, session: int, reason: str | None) -> Question[None]:
    """Take a subscription away from a Session."""
    args = (subscription, session)
    return Question("wamp.subscription.remove_subscriber", args, _nothing, _why(reason, None))


def get_events(subscription: int, limit: int) -> Question[list[KeptEvent]]:
    """Which events a topic had lately, the newest first."""
    return Question("wamp.subscription.get_events", (subscription, limit), _events)


# ---------------------------------------------------------------------- what answers mean


def _given(value: Any) -> tuple[Any, ...]:
    return () if value is None else (list(value),)


def _why(reason: str | None, message: str | None) -> dict[str, Any]:
    given = {"reason": reason, "message": message}
    return {key: value for key, value in given.items() if value is not None}


def _nothing(value: Any) -> None:
    return None


def _id(value: Any) -> int | None:
    return None if value is None else int(value)


def _count(value: Any) -> int | None:
    """Read a count; Crossbar gives a list of ids, or nothing."""
    if value is None or isinstance(value, int):
        return value
    return len(value)


def _list(value: Any) -> list[int]:
    return [] if value is None else list(value)


def _ids(value: Any) -> Ids:
    return Ids(*(list(value.get(match) or ()) for match in ("exact", "prefix", "wildcard")))


def _session_details(value: Any) -> SessionDetails:
    return SessionDetails(
        int(value["session"]),
        value.get("authid"),
        value.get("authrole"),
        value.get("authmethod"),
        value.get("authprovider"),
        value,
    )


def _registration_details(value: Any) -> RegistrationDetails:
    return RegistrationDetails(
        int(value["id"]), value["uri"], value["match"], value["invoke"], value.get("created")
    )


def _subscription_details(value: Any) -> SubscriptionDetails:
    return SubscriptionDetails(int(value["id"]), value["uri"], value["match"], value.get("created"))


def _events(value: Any) -> list[KeptEvent]:
    events = []
    for one in value or ():
        rest = {key: got for key, got in one.items() if key not in ("args", "kwargs")}
        events.append(
            KeptEvent(
                int(rest.pop("publication")),
                list(one.get("args") or ()),
                dict(one.get("kwargs") or {}),
                rest,
            )
        )
    return events
