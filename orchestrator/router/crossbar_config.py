"""Crossbar's node configuration for one run: one Realm, its roles, two ways in.

- The stack itself (orchestrator, Instances, commands) joins by RawSocket on a unix socket in a
  folder of mode 0700, each with its ticket of this run; nobody is anonymous there.
- Everybody else joins by TCP: WebSocket on the manifest's path, and RawSocket on the same port.
- Crossbar takes ordinary permissions for ``wamp.*`` meta procedures, so every role that may use ""
  is refused ``wamp.`` expressly; and ``wampy.``, where the stack keeps its own procedures.
- Of a role's permissions the longest that begins the URI decides, an exact one too: an exact one on
  "a.b" makes Crossbar refuse "a.bc", whatever a shorter prefix would allow.
- Crossbar knows no other keys than its own: nothing of ours may be added.
"""

from __future__ import annotations

import socket
import string
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Permission, RouterSection
from orchestrator.router.principals import (
    OPERATOR,
    ORCHESTRATOR,
    PEER,
    RESERVED,
    Credential,
    Principals,
)

ACTIONS = ("call", "register", "publish", "subscribe")
EVERYTHING = frozenset(ACTIONS)
#: What only the stack may use, unless a permission of the manifest names it.
RESERVED_PREFIXES = ("wamp.", "wampy.")
#: Actions whose URI may be a pattern that covers more than it spells.
PATTERN_ACTIONS = frozenset({"register", "subscribe"})
#: What a URI begins with; not a dot, with which only wildcard patterns begin.
FIRST_CHARACTERS = string.ascii_letters + string.digits + "_-"
#: How it may go on.
URI_CHARACTERS = FIRST_CHARACTERS + "."
#: The role of who joins over TCP without a ticket, if the manifest says nothing else.
ANONYMOUS_ROLE = "anonymous"
SERIALIZERS = ["cbor", "msgpack", "json"]
#: Milliseconds; off by default in Crossbar, so a dead machine's Registrations would stay for ever.
WEBSOCKET_OPTIONS = {
    "auto_ping_interval": 10_000,
    "auto_ping_timeout": 5_000,
    "auto_ping_size": 12,
    "open_handshake_timeout": 5_000,
    "close_handshake_timeout": 1_000,
}


def node_config(
    router: RouterSection, realm: str, principals: Principals, port: int, socket_path: str
) -> dict[str, Any]:
    """Give the node configuration, ready to be written as JSON.

    Args:
        router: the manifest's section.
        realm: the stack's.
        principals: of this run.
        port: of the public listener, free now.
        socket_path: where the unix socket is made.

    Raises:
        RouterUnavailable: a role or a user that cannot be, with the manifest's key.
    """
    return {
        "version": 2,
        "controller": {},
        "workers": [
            {
                "type": "router",
                "realms": [{"name": realm, "roles": roles_of(router)}],
                "transports": [
                    _stack_transport(principals, socket_path),
                    _public_transport(router, principals, port),
                ],
            }
        ],
    }


def roles_of(router: RouterSection) -> list[dict[str, Any]]:
    """Give Crossbar's roles: those of this run, the manifest's, ``anonymous`` if it has none."""
    roles = [
        _role(ORCHESTRATOR, [Permission("", "prefix", EVERYTHING)]),
        _role(OPERATOR, [Permission("", "prefix", EVERYTHING)]),
        _role(
            PEER, [Permission("", "prefix", EVERYTHING), Permission("wamp.", "prefix", frozenset())]
        ),
    ]
    for name, permissions in router.roles.items():
        if name in RESERVED:
            raise RouterUnavailable(
                f"[[router.roles.{name}]]: {name!r} is a role of the stack itself;"
                " choose another name"
            )
        roles.append(_role(name, _with_refusals(permissions)))
    if router.anonymous == ANONYMOUS_ROLE and ANONYMOUS_ROLE not in router.roles:
        allow = EVERYTHING - {"register"}
        roles.append(_role(ANONYMOUS_ROLE, _with_refusals([Permission("", "prefix", allow)])))
    return roles


def _with_refusals(permissions: Iterable[Permission]) -> list[Permission]:
    """Add the refusal of what is the stack's own, where no permission names just that.

    A pattern such as prefix "w" would cover it too, meta events with everybody's session details
    included. Crossbar looks a pattern up like a URI, so the beginnings of what is refused ("", "w",
    "wa" …) lose the actions that take patterns, and all their other continuations get them back.
    """
    given = {permission.uri: permission for permission in permissions}
    refused = [prefix for prefix in RESERVED_PREFIXES if prefix not in given]
    result = dict(given)
    result.update({prefix: Permission(prefix, "prefix", frozenset()) for prefix in refused})
    for beginning in sorted({prefix[:size] for prefix in refused for size in range(len(prefix))}):
        allowed = _allowed_below(given, beginning)
        if (beginning in given and beginning != "") or not allowed & PATTERN_ACTIONS:
            continue
        result[beginning] = Permission(beginning, "prefix", allowed - PATTERN_ACTIONS)
        for character in URI_CHARACTERS if beginning else FIRST_CHARACTERS:
            continued = beginning + character
            if not any(prefix.startswith(continued) for prefix in refused):
                result.setdefault(continued, Permission(continued, "prefix", allowed))
    return list(result.values())


def _allowed_below(given: Mapping[str, Permission], uri: str) -> frozenset[str]:
    """Give what the longest prefix permission allows for URIs that begin with ``uri``."""
    matching = [
        permission
        for permission in given.values()
        if permission.match == "prefix" and uri.startswith(permission.uri)
    ]
    return (
        max(matching, key=lambda permission: len(permission.uri)).allow if matching else frozenset()
    )


def _role(name: str, permissions: Iterable[Permission]) -> dict[str, Any]:
    return {
        "name": name,
        "permissions": [
            {
                "uri": permission.uri,
                "match": permission.match,
                "allow": {action: action in permission.allow for action in ACTIONS},
                # Who called and who published is told, as far as a callee or subscriber asks.
                "disclose": {"caller": True, "publisher": True},
                "cache": True,
            }
            for permission in permissions
        ],
    }


def _stack_transport(principals: Principals, socket_path: str) -> dict[str, Any]:
    return {
        "type": "rawsocket",
        "endpoint": {"type": "unix", "path": socket_path},
        "serializers": SERIALIZERS,
        "auth": {"ticket": _tickets(_of_this_run(principals))},
    }


def _public_transport(router: RouterSection, principals: Principals, port: int) -> dict[str, Any]:
    users = _of_this_run(principals)
    known = {*router.roles, ANONYMOUS_ROLE}
    for authid, user in router.tickets.items():
        if authid in RESERVED:
            raise RouterUnavailable(
                f"[router.auth] ticket.{authid}: {authid!r} is the stack's own; choose another name"
            )
        if user.role not in router.roles and user.role != router.anonymous:
            raise RouterUnavailable(
                f"[router.auth] ticket.{authid}: role {user.role!r} has no permissions;"
                f" add [[router.roles.{user.role}]]"
            )
        users[authid] = {"ticket": user.secret, "role": user.role}
    auth: dict[str, Any] = {"ticket": _tickets(users)}
    if router.anonymous != "off":
        if router.anonymous not in known:
            raise RouterUnavailable(
                f"[router.auth] anonymous: role {router.anonymous!r} has no permissions;"
                f' add [[router.roles.{router.anonymous}]], or say "off"'
            )
        auth["anonymous"] = {"type": "static", "role": router.anonymous}
    return {
        "type": "universal",
        "endpoint": _endpoint(router.host, port),
        "rawsocket": {"serializers": SERIALIZERS, "auth": auth},
        "websocket": {
            _path_component(router.path): {
                "type": "websocket",
                "serializers": SERIALIZERS,
                "auth": auth,
                "options": WEBSOCKET_OPTIONS,
            }
        },
    }


def _of_this_run(principals: Principals) -> dict[str, dict[str, str]]:
    users: dict[str, dict[str, str]] = {}
    for role, credential in zip(
        RESERVED, (principals.orchestrator, principals.peer, principals.operator), strict=True
    ):
        users[_authid(credential)] = {"ticket": credential.ticket or "", "role": role}
    return users


def _authid(credential: Credential) -> str:
    assert credential.authid is not None
    assert credential.ticket
    return credential.authid


def _tickets(users: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {"type": "static", "principals": users}


def _endpoint(host: str, port: int) -> dict[str, Any]:
    """Crossbar listens on addresses, not on names."""
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return {
        "type": "tcp",
        "version": 6 if family == socket.AF_INET6 else 4,
        "port": port,
        "interface": str(address[0]),
    }


def _path_component(path: str) -> str:
    """Give the key of the universal transport, which looks at a path's first component only."""
    component = path.strip("/")
    if "/" in component:
        raise RouterUnavailable(
            f'[router] path: {path!r} has several components; Crossbar takes one, such as "/ws"'
        )
    return component
