"""The meta API: what the Router itself offers, by RPC and by events.

Spec: Advanced Profile, "Session Meta API", "Registration Meta API", "Subscription Meta API",
"Testaments", "Event History".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wampy.errors import kind_of
from wampy.messages import Goodbye
from wampy.router.broker import lists_fault
from wampy.router.calls import shown
from wampy.router.patterns import PatternTable, match_in
from wampy.uris import is_uri

if TYPE_CHECKING:
    from wampy.router.realm import Realm
    from wampy.router.sessions import RouterSession

_MOST_TESTAMENTS = 100
_REVOKED = "wamp.error.revoked"


class MetaError(Exception):
    """What a meta procedure answers instead of a result."""

    def __init__(self, uri: str, text: str) -> None:
        super().__init__(text)
        self.uri = uri


Procedure = Callable[..., Any]


class MetaApi:
    """The meta procedures of one Realm; each takes the calling session first."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self.procedures: dict[str, Procedure] = {
            "wamp.session.count": self._session_count,
            "wamp.session.list": self._session_list,
            "wamp.session.get": self._session_get,
            "wamp.session.kill": self._kill,
            "wamp.session.kill_by_authid": self._kill_by("authid"),
            "wamp.session.kill_by_authrole": self._kill_by("authrole"),
            "wamp.session.kill_all": self._kill_all,
            "wamp.session.add_testament": self._add_testament,
            "wamp.session.flush_testaments": self._flush_testaments,
            "wamp.registration.list": lambda _: _by_match(realm.dealer.table),
            "wamp.registration.lookup": self._lookup(realm.dealer.table),
            "wamp.registration.match": self._match(realm.dealer.table, is_one=True),
            "wamp.registration.get": self._registration_get,
            "wamp.registration.list_callees": self._list_callees,
            "wamp.registration.count_callees": lambda s, i: len(self._list_callees(s, i)),
            "wamp.registration.remove_callee": self._remove_callee,
            "wamp.subscription.list": lambda _: _by_match(realm.broker.table),
            "wamp.subscription.lookup": self._lookup(realm.broker.table),
            "wamp.subscription.match": self._match(realm.broker.table, is_one=False),
            "wamp.subscription.get": self._subscription_get,
            "wamp.subscription.list_subscribers": self._list_subscribers,
            "wamp.subscription.count_subscribers": lambda s, i: len(self._list_subscribers(s, i)),
            "wamp.subscription.remove_subscriber": self._remove_subscriber,
            "wamp.subscription.get_events": self._get_events,
            "wampy.router.stats": lambda _: realm.stats(),
        }

    def call(
        self, session: RouterSession, uri: str, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Call one of them.

        Raises:
            MetaError: what the caller gets instead.
        """
        procedure = self.procedures[uri]
        try:
            inspect.signature(procedure).bind(session, *args, **kwargs)
        except TypeError as error:
            raise MetaError("wamp.error.invalid_argument", f"{uri}: {error}") from error
        return procedure(session, *args, **kwargs)

    # ------------------------------------------------------------------ sessions

    def _sessions(self, roles: Any) -> list[int]:
        _check("filter_authroles", roles, (list, type(None)))
        sessions = self._realm.sessions.values()
        return [one.id for one in sessions if roles is None or one.authrole in roles]

    def _session_count(self, session: RouterSession, filter_authroles: Any = None) -> int:
        return len(self._sessions(filter_authroles))

    def _session_list(self, session: RouterSession, filter_authroles: Any = None) -> list[int]:
        return self._sessions(filter_authroles)

    def _session(self, session_id: Any) -> RouterSession:
        _check("session", session_id, (int,))
        found = self._realm.sessions.get(session_id)
        if found is None:
            raise MetaError(
                "wamp.error.no_such_session", f"there is no session {shown(session_id)}"
            )
        return found

    def _session_get(self, session: RouterSession, session_id: Any) -> dict[str, Any]:
        return self._session(session_id).details()

    def _kill(
        self, session: RouterSession, session_id: Any, reason: Any = None, message: Any = None
    ) -> None:
        victim = self._session(session_id)
        if victim is session:
            raise MetaError("wamp.error.no_such_session", "a session cannot kill itself")
        self._kill_these([victim], reason, message)

    def _kill_by(self, what: str) -> Procedure:
        def kill(
            session: RouterSession, value: Any, reason: Any = None, message: Any = None
        ) -> int:
            _check(what, value, (str,))
            sessions = self._realm.sessions.values()
            victims = [s for s in sessions if getattr(s, what) == value and s is not session]
            return self._kill_these(victims, reason, message)

        return kill

    def _kill_all(self, session: RouterSession, reason: Any = None, message: Any = None) -> int:
        victims = [one for one in self._realm.sessions.values() if one is not session]
        return self._kill_these(victims, reason, message)

    def _kill_these(self, victims: list[RouterSession], reason: Any, message: Any) -> int:
        _check("message", message, (str, type(None)))
        _check_reason(reason)
        details = {} if message is None else {"message": message}
        for victim in victims:
            if victim.id in self._realm.sessions:  # it may have gone with one before it
                goodbye = Goodbye(details=details, reason=reason or "wamp.close.killed")
                self._realm.outbox.close(victim, goodbye)
        return len(victims)

    def _add_testament(
        self,
        session: RouterSession,
        topic: Any,
        args: Any,
        kwargs: Any,
        publish_options: Any = None,
        scope: Any = "destroyed",
    ) -> None:
        _check("topic", topic, (str,))
        _check("args", args, (list,))
        _check("kwargs", kwargs, (dict,))
        _check("publish_options", publish_options, (dict, type(None)))
        _check_scope(scope)
        fault = lists_fault(publish_options or {})
        if fault is not None:
            raise MetaError("wamp.error.invalid_argument", fault)
        if not session.role.may(topic, "publish"):
            text = f"role {session.authrole!r} may not publish {topic}"
            raise MetaError("wamp.error.not_authorized", text)
        testaments = session.testaments.setdefault(scope, [])
        if len(testaments) >= _MOST_TESTAMENTS:
            text = f"{_MOST_TESTAMENTS} testaments are the most that a session may have"
            raise MetaError("wamp.error.unavailable", text)
        testaments.append((topic, args, kwargs, publish_options or {}))

    def _flush_testaments(self, session: RouterSession, scope: Any = "destroyed") -> int:
        _check_scope(scope)
        return len(session.testaments.pop(scope, []))

    # ------------------------------------------------------------------ registrations

    @staticmethod
    def _lookup(table: PatternTable[Any]) -> Procedure:
        def lookup(session: RouterSession, uri: Any, options: Any = None) -> int | None:
            _check("uri", uri, (str,))
            _check("options", options, (dict, type(None)))
            match = match_in(options or {})
            if match not in ("exact", "prefix", "wildcard"):
                raise MetaError("wamp.error.invalid_argument", "match is none of the three")
            found = table.get(uri, match)
            return None if found is None else found.id

        return lookup

    @staticmethod
    def _match(table: PatternTable[Any], *, is_one: bool) -> Procedure:
        def match(session: RouterSession, uri: Any) -> Any:
            _check("uri", uri, (str,))
            if is_one:
                found = table.best(uri)
                return None if found is None else found.id
            return [one.id for one in table.all(uri)] or None

        return match

    def _registration(self, registration_id: Any) -> Any:
        _check("registration", registration_id, (int,))
        found = self._realm.dealer.registrations.get(registration_id)
        if found is None:
            text = f"there is no registration {shown(registration_id)}"
            raise MetaError("wamp.error.no_such_registration", text)
        return found

    def _registration_get(self, session: RouterSession, registration_id: Any) -> dict[str, Any]:
        return self._realm.registration_details(self._registration(registration_id))

    def _list_callees(self, session: RouterSession, registration_id: Any) -> list[int]:
        return [one.session.id for one in self._registration(registration_id).callees]

    def _remove_callee(
        self, session: RouterSession, registration_id: Any, session_id: Any, reason: Any = None
    ) -> None:
        registration = self._registration(registration_id)
        _check_reason(reason)
        victims = [one.session for one in registration.callees if one.session.id == session_id]
        if not victims:
            text = f"session {shown(session_id)} is no callee of it"
            raise MetaError("wamp.error.no_such_session", text)
        self._realm.dealer.evict(registration, victims, reason or _REVOKED)

    # ------------------------------------------------------------------ subscriptions

    def _subscription(self, subscription_id: Any) -> Any:
        _check("subscription", subscription_id, (int,))
        found = self._realm.broker.subscriptions.get(subscription_id)
        if found is None:
            text = f"there is no subscription {shown(subscription_id)}"
            raise MetaError("wamp.error.no_such_subscription", text)
        return found

    def _subscription_get(self, session: RouterSession, subscription_id: Any) -> dict[str, Any]:
        return self._realm.subscription_details(self._subscription(subscription_id))

    def _list_subscribers(self, session: RouterSession, subscription_id: Any) -> list[int]:
        return list(self._subscription(subscription_id).sessions)

    def _remove_subscriber(
        self, session: RouterSession, subscription_id: Any, session_id: Any, reason: Any = None
    ) -> None:
        subscription = self._subscription(subscription_id)
        _check_reason(reason)
        victim = subscription.sessions.get(session_id) if type(session_id) is int else None
        if victim is None:
            text = f"session {shown(session_id)} is no subscriber of it"
            raise MetaError("wamp.error.no_such_session", text)
        self._realm.broker.evict(subscription, victim, reason or _REVOKED)

    def _get_events(
        self, session: RouterSession, subscription_id: Any, limit: Any = 10
    ) -> list[dict[str, Any]]:
        _check("limit", limit, (int,))
        subscription = self._subscription(subscription_id)
        if session.id not in subscription.sessions:
            raise MetaError("wamp.error.not_authorized", "it is no subscription of this session")
        history = self._realm.broker.history.get(subscription.uri, subscription.match)
        if history is None:
            return []
        events: list[dict[str, Any]] = []
        for kept in reversed(history):
            if len(events) >= limit:
                break
            if kept.filter is not None and not kept.filter.lets(session):
                continue
            if not session.role.may(kept.topic, "subscribe"):
                continue
            args, kwargs = self._realm.payloads.decode(kept)
            events.append(
                {
                    "publication": kept.publication_id,
                    "topic": kept.topic,
                    "args": args,
                    "kwargs": kwargs,
                    **kept.details,
                }
            )
        return events


def _by_match(table: PatternTable[Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"exact": [], "prefix": [], "wildcard": []}
    for one in table:
        found[one.match].append(one.id)
    return found


def _check(what: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds) or type(value) is bool:
        text = f"{what} is {kind_of(value)}"
        raise MetaError("wamp.error.invalid_argument", text)


def _check_scope(scope: Any) -> None:
    if scope not in ("destroyed", "detached"):
        raise MetaError("wamp.error.invalid_argument", "scope is neither destroyed nor detached")


def _check_reason(reason: Any) -> None:
    if reason is not None and not is_uri(reason):
        raise MetaError("wamp.error.invalid_uri", "reason is no URI")
