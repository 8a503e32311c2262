"""A session as the Router knows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from wampy.router.authorization import Role

#: Such calls that a session remembers; the oldest are forgotten.
_MOST_CUT_OFF = 100


#: Characters of what a client tells itself by: fewer could be guessed, more is held for nothing.
_CLIENT_LENGTHS = (16, 128)


class RouterSession:
    """Who joined, and what it holds.

    Attributes:
        roles: what the client announced: ``{"callee": {"features": {…}}, …}``.
        transport: what is told of its connection.
        role: its permissions; set when it joins.
        registrations, subscriptions: by id.
        calls: its own that are pending, by request id.
        cut_off: request ids of its progressive calls that ended before it had sent all of them.
        invocations: those that it has to answer, by request id.
        client: a secret of the client's, the same after a reconnect; None: it told none. Never
            passed on.
        parked: messages that wait behind one that an authorizer has to decide; None: none does.
    """

    __slots__ = (
        "authid",
        "authmethod",
        "authprovider",
        "authrole",
        "calls",
        "client",
        "cut_off",
        "features",
        "id",
        "invocations",
        "last_invocation",
        "parked",
        "registrations",
        "role",
        "roles",
        "subscriptions",
        "testaments",
        "transport",
    )

    def __init__(
        self,
        *,
        id: int,
        authid: str,
        authrole: str,
        authmethod: str,
        authprovider: str,
        roles: Mapping[str, Any],
        transport: Mapping[str, Any],
        client: object = None,
    ) -> None:
        self.id = id
        self.authid = authid
        self.authrole = authrole
        self.authmethod = authmethod
        self.authprovider = authprovider
        self.roles = roles
        self.transport = transport
        self.client: str | None = None
        if isinstance(client, str) and _CLIENT_LENGTHS[0] <= len(client) <= _CLIENT_LENGTHS[1]:
            self.client = client
        self.role: Role = Role(authrole, ())
        self.features = _features(roles, "callee")
        self.registrations: dict[int, Any] = {}
        self.subscriptions: dict[int, Any] = {}
        self.calls: dict[int, Any] = {}
        self.invocations: dict[int, Any] = {}
        self.cut_off: dict[int, None] = {}
        self.last_invocation = 0
        self.parked: deque[Any] | None = None
        self.testaments: dict[str, list[Any]] = {}

    def cut_off_call(self, request_id: int) -> None:
        """Remember a progressive call that has its answer before all of it has come."""
        if len(self.cut_off) >= _MOST_CUT_OFF:
            del self.cut_off[next(iter(self.cut_off))]
        self.cut_off[request_id] = None

    def details(self) -> dict[str, Any]:
        """Give what the meta API tells of it."""
        return {
            "session": self.id,
            "authid": self.authid,
            "authrole": self.authrole,
            "authmethod": self.authmethod,
            "authprovider": self.authprovider,
            "transport": dict(self.transport),
        }


def _features(roles: Any, role: str) -> frozenset[str]:
    """Give the features that a client announced for a role, however malformed."""
    given = roles.get(role) if isinstance(roles, Mapping) else None
    features = given.get("features") if isinstance(given, Mapping) else None
    if not isinstance(features, Mapping):
        return frozenset()
    return frozenset(name for name, value in features.items() if value is True)
