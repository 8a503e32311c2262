"""Who joins in one run of a stack: three principals with tickets of their own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from orchestrator.manifest.model import Join
from wampy.auth import member_ticket

#: The roles of this run's principals, and their authids; no user's role may have these names.
ORCHESTRATOR, PEER, OPERATOR = "orchestrator", "peer", "operator"
RESERVED = (ORCHESTRATOR, PEER, OPERATOR)


@dataclass(frozen=True, slots=True)
class Credential:
    """How somebody joins: ``authid`` and ``secret``, or both None for anonymous.

    Attributes:
        secret: the ticket, or what else the method takes.
        method: one of ``wampy.auth.METHODS``.
    """

    authid: str | None
    secret: str | None = field(repr=False)
    method: str = "ticket"


#: For a Router that the stack did not configure, and that nobody said how to join.
ANONYMOUS = Credential(None, None)


@dataclass(frozen=True, slots=True)
class Principals:
    """The orchestrator itself; the Instances; the commands (``wampy call``)."""

    orchestrator: Credential
    peer: Credential
    operator: Credential


def new_principals() -> Principals:
    """Make the principals of one run; their tickets (256 bits each) are good for that run only."""
    return Principals(*(Credential(name, secrets.token_urlsafe(32)) for name in RESERVED))


def joined_as(join: Join | None) -> Principals:
    """Give the principals for a Router that the stack did not configure: all join in one way."""
    credential = ANONYMOUS if join is None else Credential(join.authid, join.secret, join.method)
    return Principals(credential, credential, credential)


def member_of(family: Credential, member: str) -> Credential:
    """Give a credential of its own to one of a family; no other member can make it."""
    assert family.authid is not None
    assert family.secret is not None
    authid = f"{family.authid}:{member}"
    return Credential(authid, member_ticket(family.secret, authid))
