"""How a Session says who it is: pure, no IO.

Spec: Advanced Profile, "Authentication".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wampy.auth.basic import Anonymous, Authentication, Ticket, TlsCertificate, member_ticket

if TYPE_CHECKING:
    from wampy.auth.combined import AnyOf
    from wampy.auth.cryptosign import Cryptosign
    from wampy.auth.scram import Scram
    from wampy.auth.secrets import SecretError, secret
    from wampy.auth.wampcra import WampCra

__all__ = [
    "METHODS",
    "Anonymous",
    "AnyOf",
    "Authentication",
    "Cryptosign",
    "Scram",
    "SecretError",
    "Ticket",
    "TlsCertificate",
    "WampCra",
    "by_method",
    "member_ticket",
    "secret",
]

#: Methods that take an authid and one secret, by their names in HELLO.
METHODS = ("ticket", "wampcra", "scram", "cryptosign")


def by_method(method: str, authid: str | None, secret: str | None) -> Authentication:
    """Give the Authentication for a method that is known by its name, as in a manifest.

    Args:
        method: one of METHODS.
        authid: None for nobody in particular, whatever the method.
        secret: the ticket, the secret, the password, or the private key in hex.

    Raises:
        LocalProtocolError: one of them is of no use, or a package of the method's is not installed.
        ValueError: no such method.
    """
    if authid is None:
        return Anonymous()
    match method:
        case "ticket":
            return Ticket(authid, secret or "")
        case "wampcra":
            from wampy.auth.wampcra import WampCra as Method
        case "scram":
            from wampy.auth.scram import Scram as Method  # type: ignore[assignment]
        case "cryptosign":
            from wampy.auth.cryptosign import Cryptosign as Method  # type: ignore[assignment]
        case _:
            raise ValueError(f"expected one of {', '.join(METHODS)}, got {method}")
    return Method(authid, secret or "")


#: Imported when they are asked for: they load OpenSSL, and most that join have a ticket.
_LATE = {
    "AnyOf": "combined",
    "Cryptosign": "cryptosign",
    "Scram": "scram",
    "SecretError": "secrets",
    "WampCra": "wampcra",
    "secret": "secrets",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
