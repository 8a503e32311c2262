"""Who may join, as the manifest says it; checked when an Authenticator is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketPrincipal:
    """Somebody with a ticket.

    Attributes:
        role: what decides what it may do.
        secret: the ticket.
        is_family: whoever's authid is this one, a colon and a name has a ticket too, made of
            ``secret`` by ``wampy.auth.member_ticket``, and the same role.
    """

    role: str
    secret: str = field(repr=False)
    is_family: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WampCraPrincipal:
    """Somebody with a secret for WAMP-CRA; salted where ``iterations`` is given.

    Attributes:
        role: what decides what it may do.
        secret: the secret, unsalted.
        iterations: of PBKDF2; None: not salted.
        keylen: octets of the derived key.
        salt: None: one of its own for each run of the Router. A salt of one's own choice looks
            like no other, so it can tell that the authid exists.
    """

    role: str
    secret: str = field(repr=False)
    iterations: int | None = None
    keylen: int = 32
    salt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramPrincipal:
    """Somebody with a password for SCRAM.

    The default costs are the least that OWASP advises for Argon2id: 40 ms and 19 MiB for the
    client at each handshake, and for the Router once.

    Attributes:
        role: what decides what it may do.
        secret: the password; the Router derives its keys from it and forgets it.
        kdf: ``argon2id13`` or ``pbkdf2``.
        iterations: None: 2 for Argon2, 100,000 for PBKDF2.
        memory_kib: for Argon2; None: 19 MiB.
    """

    role: str
    secret: str = field(repr=False)
    kdf: str = "argon2id13"
    iterations: int | None = None
    memory_kib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptosignPrincipal:
    """Somebody with Ed25519 keys.

    Attributes:
        role: what decides what it may do.
        authorized_keys: public keys, 32 octets each, in hex.
    """

    role: str
    authorized_keys: Sequence[str]
