"""What a HELLO or an AUTHENTICATE leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wampy.messages import Abort, Authenticate, Challenge

AUTHENTICATION_FAILED = "wamp.error.authentication_failed"
NO_MATCHING_AUTH_METHOD = "wamp.error.no_matching_auth_method"
PROTOCOL_VIOLATION = "wamp.error.protocol_violation"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who joined; WELCOME.Details says it.

    Attributes:
        authid: the name it is known by.
        authrole: what decides what it may do.
        authmethod: how it proved it.
        authprovider: who said so.
        authextra: what else WELCOME.Details.authextra is to say; None for nothing.
    """

    authid: str
    authrole: str
    authmethod: str
    authprovider: str
    authextra: Mapping[str, Any] | None = None

    def welcome_details(self) -> dict[str, Any]:
        """Give what WELCOME.Details says of it."""
        details: dict[str, Any] = {
            "authid": self.authid,
            "authrole": self.authrole,
            "authmethod": self.authmethod,
            "authprovider": self.authprovider,
        }
        if self.authextra is not None:
            details["authextra"] = dict(self.authextra)
        return details


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why somebody does not join.

    Attributes:
        reason: the URI for the ABORT.
        text: for its Details; nothing in it is secret.
    """

    reason: str
    text: str

    def abort(self) -> Abort:
        """Give the ABORT that says so."""
        return Abort(details={"message": self.text}, reason=self.reason)


#: The one answer to every proof that is none, whoever gave it.
FAILED = Rejected(AUTHENTICATION_FAILED, "unknown authid or wrong credentials")


class Pending:
    """A handshake in which the client has to prove something; for one AUTHENTICATE.

    Attributes:
        challenge: the message to send.
    """

    __slots__ = ("_check", "challenge")

    def __init__(
        self, challenge: Challenge, check: Callable[[Authenticate], Identity | None]
    ) -> None:
        self.challenge = challenge
        self._check: Callable[[Authenticate], Identity | None] | None = check

    def finish(self, authenticate: Authenticate) -> Identity | Rejected:
        """Take the answer. A second one is rejected, right or wrong: no guessing on."""
        check, self._check = self._check, None
        if check is None or not isinstance(authenticate.signature, str):
            return FAILED
        return check(authenticate) or FAILED
