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
    "Anonymous",
    "AnyOf",
    "Authentication",
    "Cryptosign",
    "Scram",
    "SecretError",
    "Ticket",
    "TlsCertificate",
    "WampCra",
    "member_ticket",
    "secret",
]

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
