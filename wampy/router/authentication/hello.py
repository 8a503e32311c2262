"""What HELLO.Details says of the one who wants to join, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wampy.errors import kind_of
from wampy.router.authentication.outcomes import PROTOCOL_VIOLATION, Rejected

#: So many characters an authid may have: SCRAM looks at each of them, for whoever asks.
MAX_AUTHID = 256


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to join.

    Attributes:
        authmethods: what the client offers, in its order.
        authid: who it says it is; None where it does not say.
        authextra: what its method wants to know.
        session_id: the one that its Session would have.
        now_s: Unix time.
        channel_id: what both ends know the TLS connection by; None where there is none.
    """

    authmethods: tuple[str, ...]
    authid: str | None
    authextra: Mapping[str, Any]
    session_id: int
    now_s: float
    channel_id: bytes | None = None

    @classmethod
    def of(
        cls,
        details: Mapping[str, Any],
        session_id: int,
        now_s: float,
        channel_id: bytes | None = None,
    ) -> Attempt | Rejected:
        """Check HELLO.Details. What is null counts as left out: some clients send it so."""
        authmethods = details.get("authmethods")
        if authmethods is None:
            authmethods = ()
        if not isinstance(authmethods, (list, tuple)):
            return violation("authmethods", authmethods, "a list")
        for name in authmethods:
            if not isinstance(name, str):
                return violation("authmethods", name, "texts only")
        authid = details.get("authid")
        if authid is not None and not isinstance(authid, str):
            return violation("authid", authid, "a text")
        if authid is not None and len(authid) > MAX_AUTHID:
            text = f"HELLO.Details.authid has {len(authid)} characters; at most {MAX_AUTHID}"
            return Rejected(PROTOCOL_VIOLATION, text)
        authextra = details.get("authextra")
        if authextra is None:
            authextra = {}
        if not isinstance(authextra, Mapping):
            return violation("authextra", authextra, "a dictionary")
        return cls(tuple(authmethods), authid, authextra, session_id, now_s, channel_id)


def violation(what: str, value: object, expected: str) -> Rejected:
    """Say what is wrong with HELLO.Details; the type, never the value."""
    return Rejected(
        PROTOCOL_VIOLATION,
        f"HELLO.Details.{what} has {kind_of(value)}; expected {expected}",
    )
