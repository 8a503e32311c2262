"""What the tests of the Router's authentication share: principals, and clients that join."""

from __future__ import annotations

from typing import Any

from wampy.auth import Cryptosign, Scram, Ticket, WampCra
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    Identity,
    Pending,
    Rejected,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)

FAILED = Rejected("wamp.error.authentication_failed", "unknown authid or wrong credentials")
SEED = "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510"
OTHER_SEED = "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd"
PUBLIC_KEY = Cryptosign(None, SEED).public_key

TICKET = TicketPrincipal(role="frontend", secret="s3cret")
CRA = WampCraPrincipal(role="frontend", secret="s3cret")
SALTED = WampCraPrincipal(role="frontend", secret="s3cret", iterations=100)
#: The cheapest that a client takes.
SCRAM = ScramPrincipal(role="frontend", secret="s3cret", kdf="pbkdf2", iterations=4096)
ARGON = ScramPrincipal(role="frontend", secret="s3cret", iterations=4, memory_kib=1024)
SIGN = CryptosignPrincipal(role="frontend", authorized_keys=[PUBLIC_KEY])

#: Name: what the Authenticator is made of, the client that joins, one with a wrong secret.
METHODS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "ticket": ({"ticket": {"joe": TICKET}}, Ticket("joe", "s3cret"), Ticket("joe", "no")),
    "wampcra": ({"wampcra": {"joe": CRA}}, WampCra("joe", "s3cret"), WampCra("joe", "no")),
    "salted": ({"wampcra": {"joe": SALTED}}, WampCra("joe", "s3cret"), WampCra("joe", "no")),
    "scram": ({"scram": {"joe": SCRAM}}, Scram("joe", "s3cret"), Scram("joe", "no")),
    "argon2": ({"scram": {"joe": ARGON}}, Scram("joe", "s3cret"), Scram("joe", "no")),
    "cryptosign": (
        {"cryptosign": {"joe": SIGN}}, Cryptosign("joe", SEED), Cryptosign("joe", OTHER_SEED)
    ),
}  # fmt: skip


def begin(authenticator, details, is_private=True, channel_id=None) -> Any:
    return authenticator.begin(
        details,
        session_id=7,
        is_loopback_or_private=is_private,
        now_s=1_400_000_000.25,
        channel_id=channel_id,
    )


def made(name, anonymous=None):
    return Authenticator(anonymous=anonymous, **METHODS[name][0])


def join(authenticator, client, **changes):
    """Let a client join; ``changes`` are of its HELLO.Details."""
    pending = begin(authenticator, {**client.hello_details(), **changes})
    assert isinstance(pending, Pending), pending
    identity = pending.finish(client.authenticate(pending.challenge))
    if isinstance(identity, Identity):
        client.welcomed(identity.welcome_details())
    return identity
