"""Ticket: a secret that is sent as it is.

Spec: Advanced Profile, "Ticket-based Authentication".
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from wampy.auth.basic import member_ticket, text_of
from wampy.messages import Authenticate, Challenge
from wampy.router.authentication.decoys import Decoys
from wampy.router.authentication.hello import Attempt
from wampy.router.authentication.method import AUTHPROVIDER, Method, check_names
from wampy.router.authentication.outcomes import Identity, Pending
from wampy.router.authentication.principals import TicketPrincipal


class TicketMethod(Method):
    """Principals with tickets; what is kept of a ticket is its HMAC.

    Raises:
        LocalProtocolError: a principal is none.
    """

    names = ("ticket",)

    def __init__(
        self, principals: Mapping[str, TicketPrincipal], decoys: Decoys, key: bytes
    ) -> None:
        self._decoys = decoys
        self._key = key
        self._principals: dict[str, tuple[str, bytes]] = {}
        #: Role and ticket of each family.
        self._families: dict[str, tuple[str, str]] = {}
        for authid, principal in principals.items():
            check_names("ticket", authid, principal.role)
            secret = text_of(f"ticket.{authid}: secret", principal.secret)
            self._principals[authid] = (principal.role, self._digest(secret))
            if principal.is_family:
                self._families[authid] = (principal.role, secret)

    def _digest(self, ticket: str) -> bytes:
        return hmac.digest(self._key, ticket.encode("utf-8", "surrogatepass"), "sha256")

    def has(self, authid: str) -> bool:
        """See ``Method.has``."""
        return authid in self._principals or self._family(authid) is not None

    def begin(self, method: str, attempt: Attempt) -> Pending:
        """See ``Method.begin``."""
        authid = attempt.authid or ""
        nobody = ("", self._decoys.octets("ticket", authid, 32))
        role, expected = self._principals.get(authid) or self._member(authid) or nobody

        def check(authenticate: Authenticate) -> Identity | None:
            # Digests are all of one length, so not even the ticket's length shows in the time.
            is_right = hmac.compare_digest(self._digest(authenticate.signature), expected)
            if not is_right or not role:
                return None
            return Identity(authid, role, method, AUTHPROVIDER)

        return Pending(Challenge(authmethod=method, extra={}), check)

    def _family(self, authid: str) -> tuple[str, str] | None:
        name, colon, member = authid.partition(":")
        return self._families.get(name) if colon and member else None

    def _member(self, authid: str) -> tuple[str, bytes] | None:
        """Give role and digest of a member; that there is such a family is no secret."""
        family = self._family(authid)
        if family is None:
            return None
        role, secret = family
        return role, self._digest(member_ticket(secret, authid))
