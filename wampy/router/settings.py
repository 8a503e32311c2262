"""A Router's configuration from plain values, as a stack hands it to the Router's process.

One object: ``realm``; ``listeners``, each with ``unix`` (a path) or ``host``, ``port``, ``path``,
``tls``, and who joins (``anonymous``: a role or null; ``ticket``, ``wampcra``, ``scram``,
``cryptosign``: principals by authid); ``roles``, each a list of permissions; ``authorizer``, the
procedure that decides where none matches; ``limits`` and ``realm_limits``; ``unlimited``, the roles
whose sessions may have any number of calls pending.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)
from wampy.router.authorization import Permission, Role
from wampy.router.config import Limits, Listener, RouterConfig, Tls
from wampy.router.realm import RealmLimits

_PRINCIPALS: dict[str, Any] = {
    "ticket": TicketPrincipal,
    "wampcra": WampCraPrincipal,
    "scram": ScramPrincipal,
    "cryptosign": CryptosignPrincipal,
}


def config_of(settings: Mapping[str, Any]) -> RouterConfig:
    """Make the configuration.

    Raises:
        LocalProtocolError: a principal cannot be, or a package for its method is missing.
        KeyError, TypeError: it is none of ours.
    """
    roles = {
        name: Role(
            name,
            tuple(
                Permission(one["uri"], one["match"], frozenset(one["allow"])) for one in permissions
            ),
            authorizer=settings.get("authorizer"),
            is_limited=name not in settings.get("unlimited", ()),
        )
        for name, permissions in settings["roles"].items()
    }
    return RouterConfig(
        realm=settings["realm"],
        listeners=tuple(_listener(one) for one in settings["listeners"]),
        roles=roles,
        limits=Limits(**settings.get("limits", {})),
        realm_limits=RealmLimits(**settings.get("realm_limits", {})),
    )


def open_to_everybody(
    realm: str, host: str, port: int, path: str, unix_path: str | Path | None = None
) -> RouterConfig:
    """Make the configuration of a Router where everybody may do everything, on loopback.

    Args:
        realm: its one Realm.
        host: a loopback address.
        port: of WebSocket and RawSocket; 0: a free one.
        path: of the WebSocket.
        unix_path: of a unix socket beside it.
    """
    permissions = [
        {"uri": uri, "match": "prefix", "allow": ["call", "register", "publish", "subscribe"]}
        for uri in ("", "wamp.")
    ]
    listeners: list[dict[str, Any]] = [
        {"host": host, "port": port, "path": path, "anonymous": "anonymous"}
    ]
    if unix_path is not None:
        listeners.append({"unix": str(Path(unix_path).absolute()), "anonymous": "anonymous"})
    return config_of({"realm": realm, "listeners": listeners, "roles": {"anonymous": permissions}})


def _listener(settings: Mapping[str, Any]) -> Listener:
    principals: dict[str, Any] = {
        method: {authid: principal(**given) for authid, given in settings.get(method, {}).items()}
        for method, principal in _PRINCIPALS.items()
    }
    authenticator = Authenticator(anonymous=settings.get("anonymous"), **principals)
    if "unix" in settings:
        return Listener("unix", authenticator, unix_path=Path(settings["unix"]))
    tls = settings.get("tls")
    return Listener(
        "tcp",
        authenticator,
        host=settings["host"],
        port=settings["port"],
        path=settings.get("path", "/ws"),
        tls=None if tls is None else Tls(**{key: Path(value) for key, value in tls.items()}),
        is_private=settings.get("is_private", True),
    )
