"""The meta API of an AsyncSession, as ``wampy.session.meta`` has it for the blocking one.

Every method is a call, and raises what ``AsyncSession.call`` raises.
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


class AsyncMeta:
    """The three parts of the meta API; ``ask`` calls a procedure."""

    def __init__(self, ask: Ask) -> None:
        self.sessions = AsyncSessionMeta(ask)
        self.registrations = AsyncRegistrationMeta(ask)
        self.subscriptions = AsyncSubscriptionMeta(ask)


class _Part:
    def __init__(self, ask: Ask) -> None:
        self._call = ask

    async def _ask(self, question: Question[T]) -> T:
        answer: T = await self._call(question)
        return answer


class AsyncSessionMeta(_Part):
    """Who is joined."""

    async def count(self, authroles: Sequence[str] | None = None) -> int:
        """Count the Sessions; only of some roles, where these are given."""
        return await self._ask(questions.session_count(authroles))

    async def list(self, authroles: Sequence[str] | None = None) -> builtins.list[int]:
        """Give the ids of the Sessions; only of some roles, where these are given."""
        return await self._ask(questions.session_list(authroles))

    async def get(self, session: int) -> SessionDetails:
        """Tell of a Session. An unknown one is an error, ``wamp.error.no_such_session``."""
        return await self._ask(questions.session_get(session))

    async def kill(
        self, session: int, reason: str | None = None, message: str | None = None
    ) -> None:
        """End a Session; ``reason`` is a URI, ``message`` for people."""
        await self._ask(questions.session_kill(session, reason, message))

    async def kill_by_authid(
        self, authid: str, reason: str | None = None, message: str | None = None
    ) -> int | None:
        """End all Sessions of somebody but this one; give how many, where the Router tells."""
        return await self._ask(questions.session_kill_by_authid(authid, reason, message))

    async def kill_by_authrole(
        self, authrole: str, reason: str | None = None, message: str | None = None
    ) -> int | None:
        """End all Sessions of a role but this one; give how many, where the Router tells."""
        return await self._ask(questions.session_kill_by_authrole(authrole, reason, message))


class AsyncRegistrationMeta(_Part):
    """What is registered, and by whom."""

    async def list(self) -> Ids:
        """Give the ids of all registrations."""
        return await self._ask(questions.registration_list())

    async def lookup(self, uri: str, match: str = "exact") -> int | None:
        """Give the id of the registration with just this URI, or pattern; None: there is none."""
        return await self._ask(questions.registration_lookup(uri, match))

    async def match(self, uri: str) -> int | None:
        """Give the id of the registration that gets the calls of a URI; None: there is none."""
        return await self._ask(questions.registration_match(uri))

    async def get(self, registration: int) -> RegistrationDetails:
        """Tell of a registration. An unknown one is NoSuchRegistration."""
        return await self._ask(questions.registration_get(registration))

    async def list_callees(self, registration: int) -> builtins.list[int]:
        """Give the ids of the Sessions that offer it."""
        return await self._ask(questions.list_callees(registration))

    async def count_callees(self, registration: int) -> int:
        """Count the Sessions that offer it."""
        return await self._ask(questions.count_callees(registration))

    async def remove_callee(
        self, registration: int, session: int, reason: str | None = None
    ) -> None:
        """Take it away from a Session; ``reason`` is a URI."""
        await self._ask(questions.remove_callee(registration, session, reason))


class AsyncSubscriptionMeta(_Part):
    """What is subscribed, and by whom."""

    async def list(self) -> Ids:
        """Give the ids of all subscriptions."""
        return await self._ask(questions.subscription_list())

    async def lookup(self, topic: str, match: str = "exact") -> int | None:
        """Give the id of the subscription with just this topic, or pattern; None: there is none."""
        return await self._ask(questions.subscription_lookup(topic, match))

    async def match(self, topic: str) -> builtins.list[int]:
        """Give the ids of the subscriptions that get the events of a topic."""
        return await self._ask(questions.subscription_match(topic))

    async def get(self, subscription: int) -> SubscriptionDetails:
        """Tell of a subscription. An unknown one is NoSuchSubscription."""
        return await self._ask(questions.subscription_get(subscription))

    async def list_subscribers(self, subscription: int) -> builtins.list[int]:
        """Give the ids of the Sessions that have it."""
        return await self._ask(questions.list_subscribers(subscription))

    async def count_subscribers(self, subscription: int) -> int:
        """Count the Sessions that have it."""
        return await self._ask(questions.count_subscribers(subscription))

    async def remove_subscriber(
        self, subscription: int, session: int, reason: str | None = None
    ) -> None:
        """Take it away from a Session; ``reason`` is a URI."""
        await self._ask(questions.remove_subscriber(subscription, session, reason))

    async def get_events(self, subscription: int, limit: int = 10) -> builtins.list[KeptEvent]:
        """Give the newest events of its topic, where the Router keeps a history; newest first."""
        return await self._ask(questions.get_events(subscription, limit))
