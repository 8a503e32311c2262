"""Who may do what: roles, and the permission that decides.

Rules:

- of the permissions that match, the longest decides; exact before prefix before wildcard;
- what begins with ``wamp.`` needs a permission that spells ``wamp``: one on "" does not grant it;
- what no permission matches is refused, or asked of the role's authorizer.

Spec: Advanced Profile, "Authorization".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

ACTIONS = ("call", "register", "publish", "subscribe")
_ORDER = {"exact": 2, "prefix": 1, "wildcard": 0}
#: URIs that a role has asked for are remembered, up to this many.
_CACHE_SIZE = 4096
#: Longer ones are not: a client chooses what is asked for.
_LONGEST_CACHED = 256


class Decision(Enum):
    """What a role may do."""

    ALLOWED = "allowed"
    DENIED = "denied"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Permission:
    """What is allowed on the URIs that match.

    Attributes:
        match: ``exact``, ``prefix`` or ``wildcard``.
        allow: some of ``call``, ``register``, ``publish``, ``subscribe``.
        disclose: whether callers and publishers of this role may be told to the other side.
    """

    uri: str
    match: str
    allow: frozenset[str]
    disclose: bool = True

    def matches(self, uri: str) -> bool:
        """Whether this one speaks of a URI."""
        if self.match == "prefix":
            return uri.startswith(self.uri)
        if self.match == "exact":
            return uri == self.uri
        parts, mine = uri.split("."), self.uri.split(".")
        return len(parts) == len(mine) and all(
            not one or one == part for one, part in zip(mine, parts, strict=True)
        )


@dataclass(slots=True)
class Role:
    """A role and its permissions; ``authorizer`` is asked where none of them matches.

    Attributes:
        may_replace: whether it may take a registration from somebody with another authid.
        is_limited: whether ``RealmLimits.pending_calls`` holds for its sessions.
    """

    name: str
    permissions: tuple[Permission, ...]
    authorizer: str | None = None
    may_replace: bool = False
    is_limited: bool = True
    _cache: dict[str, Permission | None] = field(default_factory=dict, repr=False)

    def permission(self, uri: str) -> Permission | None:
        """Give the permission that decides on a URI."""
        try:
            return self._cache[uri]
        except KeyError:
            pass
        is_meta = uri.startswith("wamp.")
        matching = [
            one
            for one in self.permissions
            if one.matches(uri) and (not is_meta or one.uri.startswith("wamp"))
        ]
        found = max(matching, key=lambda one: (len(one.uri), _ORDER[one.match]), default=None)
        if len(uri) <= _LONGEST_CACHED:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[uri] = found
        return found

    def decide(self, uri: str, action: str) -> Decision:
        """Say whether this role may do that."""
        permission = self.permission(uri)
        if permission is None:
            is_asked = self.authorizer is not None and uri != self.authorizer
            return Decision.ASK if is_asked else Decision.DENIED
        return Decision.ALLOWED if action in permission.allow else Decision.DENIED

    def may(self, uri: str, action: str) -> bool:
        """Whether it is allowed without asking anybody."""
        return self.decide(uri, action) is Decision.ALLOWED

    def discloses(self, uri: str) -> bool:
        """Whether who did it may be told."""
        permission = self.permission(uri)
        return permission is None or permission.disclose
