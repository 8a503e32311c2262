"""Who joins, and how they prove it: the Router's side, without IO.

Rules:

- a HELLO gives an Identity, a Pending (send its CHALLENGE, give it the AUTHENTICATE) or a Rejected;
  whatever a client sends, it never gives an exception;
- the client's order of ``authmethods`` decides among the methods that have principals; names that
  are unknown are passed over;
- whether an authid exists is not to be found out: each name that does not is the double of a
  principal that does, with the same methods, the same parameters, the same work, the same words,
  and a salt that is always the same. See ``decoys.py``;
- what is secret is in no ``repr`` and no error, and is compared in constant time.

Spec: Advanced Profile, "Authentication".
"""

from __future__ import annotations

from wampy.router.authentication.authenticator import Authenticator
from wampy.router.authentication.outcomes import Identity, Pending, Rejected
from wampy.router.authentication.principals import (
    CryptosignPrincipal,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)

__all__ = [
    "Authenticator",
    "CryptosignPrincipal",
    "Identity",
    "Pending",
    "Rejected",
    "ScramPrincipal",
    "TicketPrincipal",
    "WampCraPrincipal",
]
