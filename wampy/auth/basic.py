"""Anonymous and ticket, and what all methods share.

Spec: Advanced Profile, "Authentication".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

from wampy.errors import LocalProtocolError, RemoteProtocolError, kind_of
from wampy.messages import Authenticate, Challenge


class Authentication(Protocol):
    """What a Session asks of a method; one object may serve several Sessions, see ``Scram``."""

    @property
    def authmethods(self) -> tuple[str, ...]:
        """What it is offered as."""

    @property
    def sends_secret(self) -> bool:
        """Whether the Router gets a secret as it is: never in the clear beyond this machine."""

    @property
    def channel_binding(self) -> str | None:
        """By what the proof is bound to the TLS connection; None: it is not."""

    def bind(self, channel_id: bytes) -> None:
        """Take note of the connection, before HELLO; where ``channel_binding`` is not None."""

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it."""

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Answer the Router's CHALLENGE.

        Raises:
            ProtocolError: it cannot, or must not, be answered.
        """

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Check WELCOME.Details.

        Raises:
            RemoteProtocolError: the Router did not prove what it had to.
        """


class Unbound:
    """What the methods share whose proof has nothing to do with the connection."""

    channel_binding: str | None = None

    def bind(self, channel_id: bytes) -> None:
        """Take note of the connection; there is nothing to bind to it."""


class Anonymous(Unbound):
    """Nobody in particular."""

    authmethods: tuple[str, ...] = ()
    sends_secret = False

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it: nothing, so that every Router's default applies."""
        return {}

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Refuse: there is nothing to answer with.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError(
            f"the router asks for {challenge.authmethod!r}; give authid and ticket"
        )

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Take note of WELCOME.Details; there is nothing to check."""


class Ticket(Unbound):
    """A principal with a ticket; never shown in ``repr``.

    Args:
        authid: who it is.
        ticket: what proves it.

    Raises:
        LocalProtocolError: one of them is no text, or empty; the text never shows the ticket.
    """

    authmethods: tuple[str, ...] = ("ticket",)
    sends_secret = True

    def __init__(self, authid: str, ticket: str) -> None:
        self.authid = text_of("authid", authid)
        self._ticket = text_of("ticket", ticket)

    def __repr__(self) -> str:
        return f"Ticket(authid={self.authid!r})"

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it."""
        return {"authmethods": list(self.authmethods), "authid": self.authid}

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Answer the Router's CHALLENGE.

        Raises:
            LocalProtocolError: it asks for another method than was offered.
        """
        check_offered(challenge, self.authmethods)
        return Authenticate(signature=self._ticket, extra={})

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Take note of WELCOME.Details; there is nothing to check."""


class TlsCertificate(Unbound):
    """Whoever the certificate says that the Session shows: see ``Session(certificate=…)``.

    Args:
        authid: who it is; None lets the Router tell by the certificate.

    Raises:
        LocalProtocolError: the authid is no text, or empty.
    """

    authmethods: tuple[str, ...] = ("tls",)
    sends_secret = False

    def __init__(self, authid: str | None = None) -> None:
        self.authid = None if authid is None else text_of("authid", authid)

    def __repr__(self) -> str:
        return f"TlsCertificate(authid={self.authid!r})"

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it."""
        details: dict[str, Any] = {"authmethods": list(self.authmethods)}
        return details if self.authid is None else {**details, "authid": self.authid}

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Refuse: the proof is in the connection.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError(
            f"the router asks for {challenge.authmethod!r}, but only tls was offered"
        )

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Take note of WELCOME.Details; there is nothing to check."""


def check_method(method: object) -> None:
    """Check that this is a way to say who one is.

    Raises:
        LocalProtocolError: it is none; the text never shows it, for it may be a secret.
    """
    if isinstance(method, type) or not hasattr(method, "hello_details"):
        what = f"the class {method.__name__}" if isinstance(method, type) else kind_of(method)
        raise LocalProtocolError(
            f"auth is {what}; expected one of wampy.auth, as Ticket(authid, ticket), or a list"
        )


def text_of(what: str, value: Any) -> str:
    """Give a text that is not empty.

    Raises:
        LocalProtocolError: it is none, empty, or not to be had in UTF-8; the error never shows it.
    """
    if not isinstance(value, str):
        raise LocalProtocolError(f"{what} is {kind_of(value)}; expected a text")
    if not value:
        raise LocalProtocolError(f"{what} is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        # Without the cause, which shows the text.
        raise LocalProtocolError(f"{what} has a lone surrogate; expected UTF-8") from None
    return value


def check_offered(challenge: Challenge, offered: tuple[str, ...]) -> None:
    """Answer no challenge of another method: a Router could make a secret leak through it.

    Raises:
        LocalProtocolError: the method was not offered.
    """
    if challenge.authmethod not in offered:
        raise LocalProtocolError(
            f"the router asks for {challenge.authmethod!r}, "
            f"but only {' and '.join(offered)} was offered"
        )


def text_in(challenge: Challenge, key: str) -> str:
    """Give a text of CHALLENGE.Extra.

    Raises:
        RemoteProtocolError: there is none.
    """
    value = (challenge.extra or {}).get(key)
    if not isinstance(value, str):
        raise RemoteProtocolError(f"CHALLENGE.Extra.{key} is {kind_of(value)}; expected a text")
    return value


def number_in(challenge: Challenge, key: str, least: int, most: int) -> int:
    """Give an integer of CHALLENGE.Extra.

    Raises:
        RemoteProtocolError: there is none, or it is out of the range: a hostile Router could make
            this side work for ever.
    """
    value = (challenge.extra or {}).get(key)
    if type(value) is not int:
        raise RemoteProtocolError(f"CHALLENGE.Extra.{key} is {kind_of(value)}; expected an integer")
    if not least <= value <= most:
        raise RemoteProtocolError(f"CHALLENGE.Extra.{key} is {value}; expected {least} to {most}")
    return value


def xor(one: bytes, other: bytes) -> bytes:
    """Give the exclusive or of two of the same length."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def base64_text(octets: bytes) -> str:
    """Give octets as base64 text."""
    return base64.b64encode(octets).decode()


def from_base64(text: str) -> bytes | None:
    """Give the octets of a base64 text; None where it is none, or not the canonical one."""
    try:
        octets = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return octets if base64_text(octets) == text else None


def member_ticket(secret: str, authid: str) -> str:
    """Give the ticket of one member of a family, from the family's own.

    Who makes the tickets and who checks them need no list of the members; and no member can make
    another's ticket.
    """
    import hmac  # late: it loads OpenSSL, and what joins with a ticket starts without

    return hmac.digest(secret.encode(), authid.encode("utf-8", "surrogatepass"), "sha256").hex()
