"""The meta API of a Session: ``session.meta.registrations.lookup("com.example.find")``.

Every method is a call: it blocks, thread-safe, and raises what ``Session.call`` raises; where this
Session's role may not ask, NotAuthorized. Routers grant the meta API to few: to the operator and
the orchestrator of a stack, and to whom ``[router.roles]`` says.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from wampy.session import questions
from wampy.session.questions import (
    Ids,
    KeptEvent,
    Question,
    RegistrationDetails,
    SessionDetails,
    SubscriptionDetails,
)

T = TypeVar("T")
Ask = Callable[[Question[Any]], Any]


class Meta:
    """The three parts of the meta API; ``ask`` calls a procedure."""

    def __init__(self, ask: Ask) -> None:
        self.sessions = SessionMeta(ask)
        self.registrations = RegistrationMeta(ask)
        self.subscriptions = SubscriptionMeta(ask)


class _Part:
    def __init__(self, ask: Ask) -> None:
        self._call = ask

    def _ask(self, question: Question[T]) -> T:
        answer: T = self._call(question)
        return answer


class SessionMeta(_Part):
    """Who is joined."""

    def count(self, authroles: Sequence[str] | None = None) -> int:
        """Count the Sessions; only of some roles, where these are given."""
        return self._ask(questions.session_count(authroles))

    def list(self, authroles: Sequence[str] | None = None) -> builtins.list[int]:
        """Give the ids of the Sessions; only of some roles, where these are given."""
        return self._ask(questions.session_list(authroles))

    def get(self, session: int) -> SessionDetails:
        """Tell of a Session. An unknown one is an error, ``wamp.error.no_such_session``."""
        return self._ask(questions.session_get(session))

    def kill(self, session: int, reason: str | None = None, message: str | None = None) -> None:
        """End a Session; ``reason`` is a URI, ``message`` for people."""
        self._ask(questions.session_kill(session, reason, message))

    def kill_by_authid(
        self, authid: str, reason: str | None = None, message: str | None = None
    ) -> int | None:
        """End all Sessions of somebody but this one; give how many, where the Router tells."""
        return self._ask(questions.session_kill_by_authid(authid, reason, message))

    def kill_by_authrole(
        self, authrole: str, reason: str | None = None, message: str | None = None
    ) -> int | None:
        """End all Sessions of a role but this one; give how many, where the Router tells."""
        return self._ask(questions.session_kill_by_authrole(authrole, reason, message))


class RegistrationMeta(_Part):
    """What is registered, and by whom."""

    def list(self) -> Ids:
        """Give the ids of all registrations."""
        return self._ask(questions.registration_list())

    def lookup(self, uri: str, match: str = "exact") -> int | None:
        """Give the id of the registration with just this URI, or pattern; None: there is none."""
        return self._ask(questions.registration_lookup(uri, match))

    def match(self, uri: str) -> int | None:
        """Give the id of the registration that gets the calls of a URI; None: there is none."""
        return self._ask(questions.registration_match(uri))

    def get(self, registration: int) -> RegistrationDetails:
        """Tell of a registration. An unknown one is NoSuchRegistration."""
        return self._ask(questions.registration_get(registration))

    def list_callees(self, registration: int) -> builtins.list[int]:
        """Give the ids of the Sessions that offer it."""
        return self._ask(questions.list_callees(registration))

    def count_callees(self, registration: int) -> int:
        """Count the Sessions that offer it."""
        return self._ask(questions.count_callees(registration))

    def remove_callee(self, registration: int, session: int, reason: str | None = None) -> None:
        """Take it away from a Session; ``reason`` is a URI."""
        self._ask(questions.remove_callee(registration, session, reason))


class SubscriptionMeta(_Part):
    """What is subscribed, and by whom."""

    def list(self) -> Ids:
        """Give the ids of all subscriptions."""
        return self._ask(questions.subscription_list())

    def lookup(self, topic: str, match: str = "exact") -> int | None:
        """Give the id of the subscription with just this topic, or pattern; None: there is none."""
        return self._ask(questions.subscription_lookup(topic, match))

    def match(self, topic: str) -> builtins.list[int]:
        """Give the ids of the subscriptions that get the events of a topic."""
        return self._ask(questions.subscription_match(topic))

    def get(self, subscription: int) -> SubscriptionDetails:
        """Tell of a subscription. An unknown one is NoSuchSubscription."""
        return self._ask(questions.subscription_get(subscription))

    def list_subscribers(self, subscription: int) -> builtins.list[int]:
        """Give the ids of the Sessions that have it."""
        return self._ask(questions.list_subscribers(subscription))

    def count_subscribers(self, subscription: int) -> int:
        """Count the Sessions that have it."""
        return self._ask(questions.count_subscribers(subscription))

    def remove_subscriber(self, subscription: int, session: int, reason: str | None = None) -> None:
        """Take it away from a Session; ``reason`` is a URI."""
        self._ask(questions.remove_subscriber(subscription, session, reason))

    def get_events(self, subscription: int, limit: int = 10) -> builtins.list[KeptEvent]:
        """Give the newest events of its topic, where the Router keeps a history; newest first."""
        return self._ask(questions.get_events(subscription, limit))
