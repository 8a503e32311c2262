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
    """A principal with a ticket; never shown in ``repr``."""

    authmethods: tuple[str, ...] = ("ticket",)

    def __init__(self, authid: str, ticket: str) -> None:
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
