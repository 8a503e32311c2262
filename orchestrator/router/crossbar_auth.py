"""Who joins a generated Crossbar, and how: the ``auth`` of its two transports.

- The three principals of this run join with tickets, everywhere; on the unix socket nobody else.
- Crossbar stores what SCRAM derives from a password, in hex, so it is derived here, at the costs of
  the built-in Router: 40 ms a user, once a start. WAMP-CRA and tickets need the secret itself.
- Crossbar compares public keys as texts: those of its clients are in small letters.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import KeyUser, RouterSection, TicketUser
from orchestrator.router.crossbar_roles import ANONYMOUS_ROLE
from orchestrator.router.principals import RESERVED, Credential, Principals

#: As many as the nonces have; Argon2 takes no fewer than 8.
_SALT_BYTES = 16


def stack_auth(principals: Principals) -> dict[str, Any]:
    """Give the ``auth`` of the unix socket: the principals of this run, and nobody else."""
    return {"ticket": {"type": "static", "principals": _of_this_run(principals)}}


def public_auth(
    router: RouterSection,
    principals: Principals,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> dict[str, Any]:
    """Give the ``auth`` of the TCP listener: this run's, the manifest's users, and anonymous.

    Args:
        router: the manifest's section.
        principals: of this run.
        random: gives so many random octets, for the salts.

    Raises:
        RouterUnavailable: a user that cannot be, with the manifest's key.
    """
    methods: dict[str, Mapping[str, TicketUser | KeyUser]] = {
        "ticket": router.tickets,
        "wampcra": router.wampcra,
        "scram": router.scram,
        "cryptosign": router.cryptosign,
    }
    for method, given in methods.items():
        _check_users(method, given, router)
    tickets = {authid: _plain("ticket", user) for authid, user in router.tickets.items()}
    users = {
        "ticket": {**_of_this_run(principals), **tickets},
        "wampcra": {authid: _plain("secret", user) for authid, user in router.wampcra.items()},
        "scram": {
            authid: _scram_principal(authid, user, random(_SALT_BYTES))
            for authid, user in router.scram.items()
        },
        "cryptosign": {authid: _with_keys(user) for authid, user in router.cryptosign.items()},
    }
    auth: dict[str, Any] = {
        # What the others call principals, WAMP-CRA calls users.
        method: {"type": "static", "users" if method == "wampcra" else "principals": found}
        for method, found in users.items()
        if found
    }
    if router.anonymous != "off":
        auth["anonymous"] = {"type": "static", "role": _anonymous_role(router)}
    return auth


def _check_users(
    method: str, users: Mapping[str, TicketUser | KeyUser], router: RouterSection
) -> None:
    for authid, user in users.items():
        if authid in RESERVED:
            raise RouterUnavailable(
                f"[router.auth] {method}.{authid}: {authid!r} is the stack's own;"
                " choose another name"
            )
        if user.role not in router.roles and user.role != router.anonymous:
            raise RouterUnavailable(
                f"[router.auth] {method}.{authid}: role {user.role!r} has no permissions;"
                f" add [[router.roles.{user.role}]]"
            )


def _anonymous_role(router: RouterSection) -> str:
    if router.anonymous not in {*router.roles, ANONYMOUS_ROLE}:
        raise RouterUnavailable(
            f"[router.auth] anonymous: role {router.anonymous!r} has no permissions;"
            f' add [[router.roles.{router.anonymous}]], or say "off"'
        )
    return router.anonymous


def _plain(key: str, user: TicketUser) -> dict[str, Any]:
    return {key: user.secret, "role": user.role}


def _with_keys(user: KeyUser) -> dict[str, Any]:
    return {"authorized_keys": [key.lower() for key in user.authorized_keys], "role": user.role}


def _scram_principal(authid: str, user: TicketUser, salt: bytes) -> dict[str, Any]:
    """Derive what Crossbar stores of a password, in the dialect that it speaks.

    Raises:
        RouterUnavailable: argon2-cffi is not installed.
    """
    # Late: they load OpenSSL, and most stacks have no such users.
    from wampy.auth.scram import ARGON2, ARGON2_IN, DRAFT, Keys, salted_passwords
    from wampy.errors import LocalProtocolError
    from wampy.router.authentication.scram import DEFAULT_ITERATIONS, DEFAULT_MEMORY_KIB

    iterations = DEFAULT_ITERATIONS[ARGON2]
    try:
        salted = salted_passwords(user.secret, salt, ARGON2, iterations, DEFAULT_MEMORY_KIB)[DRAFT]
    except LocalProtocolError as error:
        raise RouterUnavailable(f"[router.auth] scram.{authid}: {error}") from error
    keys = Keys.of(salted)
    return {
        "kdf": ARGON2_IN[DRAFT],
        "iterations": iterations,
        "memory": DEFAULT_MEMORY_KIB,
        "salt": salt.hex(),
        "stored-key": keys.stored.hex(),
        "server-key": keys.server.hex(),
        "role": user.role,
    }


def _of_this_run(principals: Principals) -> dict[str, Any]:
    users: dict[str, Any] = {}
    for role, credential in zip(
        RESERVED, (principals.orchestrator, principals.peer, principals.operator), strict=True
    ):
        users[_authid(credential)] = {"ticket": credential.secret or "", "role": role}
    return users


def _authid(credential: Credential) -> str:
    assert credential.authid is not None
    assert credential.secret
    return credential.authid
