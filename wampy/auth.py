"""How a Session says who it is: pure, no IO. Anonymous and ticket.

Spec: Advanced Profile, "Authentication".
"""

from __future__ import annotations

from typing import Any

from wampy.errors import LocalProtocolError
from wampy.messages import Authenticate, Challenge


class Anonymous:
    """Nobody in particular."""

    authmethods: tuple[str, ...] = ()

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


class Ticket:
    """A principal with a ticket; never shown in ``repr``.

    Args:
        authid: who it is.
        ticket: what proves it.

    Raises:
        LocalProtocolError: one of them is no text, or empty; the text never shows the ticket.
    """

    authmethods: tuple[str, ...] = ("ticket",)

    def __init__(self, authid: str, ticket: str) -> None:
        for what, value in (("authid", authid), ("ticket", ticket)):
            if not isinstance(value, str):
                raise LocalProtocolError(f"{what} is a {type(value).__name__}; expected a text")
            if not value:
                raise LocalProtocolError(f"{what} is empty")
        self.authid = authid
        self._ticket = ticket

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
        if challenge.authmethod != "ticket":
            raise LocalProtocolError(
                f"the router asks for {challenge.authmethod!r}, but only ticket was offered"
            )
        return Authenticate(signature=self._ticket, extra={})


Authentication = Anonymous | Ticket
