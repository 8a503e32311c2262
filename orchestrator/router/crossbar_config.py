"""Crossbar's node configuration for one run: one Realm, its roles, two ways in.

- The stack itself (orchestrator, Instances, commands) joins by RawSocket on a unix socket in a
  folder of mode 0700, each with its ticket of this run; nobody is anonymous there.
- Everybody else joins by TCP: WebSocket on the manifest's path, and RawSocket on the same port.
- Crossbar knows no other keys than its own: nothing of ours may be added.
- What of ``[router.limits]`` it cannot keep is a fault of the manifest, see
  ``manifest.crossbar_rules``.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import RouterLimits, RouterSection
from orchestrator.router.crossbar_auth import public_auth, stack_auth
from orchestrator.router.crossbar_roles import roles_of
from orchestrator.router.principals import Principals

SERIALIZERS = ["cbor", "msgpack", "json"]
#: RawSocket's, by its protocol.
RAWSOCKET_MOST_BYTES = 2**24


def node_config(
    router: RouterSection,
    realm: str,
    principals: Principals,
    port: int,
    socket_path: str,
    tls: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give the node configuration, ready to be written as JSON.

    Args:
        router: the manifest's section.
        realm: the stack's.
        principals: of this run.
        port: of the public listener, free now.
        socket_path: where the unix socket is made.
        tls: of the public listener, as Crossbar has it; None: it is plain.

    Raises:
        RouterUnavailable: a role or a user that cannot be, with the manifest's key.
    """
    endpoint = _endpoint(router.host, port)
    if tls is not None:
        endpoint["tls"] = dict(tls)
    return {
        "version": 2,
        "controller": {},
        "workers": [
            {
                "type": "router",
                "realms": [{"name": realm, "roles": roles_of(router)}],
                "transports": [
                    _stack_transport(router, stack_auth(principals), socket_path),
                    _public_transport(router, public_auth(router, principals), endpoint),
                ],
            }
        ],
    }


def _stack_transport(router: RouterSection, auth: Any, socket_path: str) -> dict[str, Any]:
    return {
        "type": "rawsocket",
        "endpoint": {"type": "unix", "path": socket_path},
        "serializers": SERIALIZERS,
        "options": _rawsocket_options(router.limits),
        "auth": auth,
    }


def _public_transport(router: RouterSection, auth: Any, endpoint: Any) -> dict[str, Any]:
    return {
        "type": "universal",
        "endpoint": endpoint,
        # Of this listener only: whatever its clients do, the stack itself still gets in.
        "max_connections": router.limits.sessions,
        "rawsocket": {
            "serializers": SERIALIZERS,
            "options": _rawsocket_options(router.limits),
            "auth": auth,
        },
        "websocket": {
            _path_component(router.path): {
                "type": "websocket",
                "serializers": SERIALIZERS,
                "auth": auth,
                "options": _websocket_options(router.limits),
            }
        },
    }


def _rawsocket_options(limits: RouterLimits) -> dict[str, Any]:
    """RawSocket knows powers of 2 only, and Crossbar would take the next one above."""
    most = min(limits.message_bytes, RAWSOCKET_MOST_BYTES)
    return {"max_message_size": 1 << (most.bit_length() - 1)}


def _websocket_options(limits: RouterLimits) -> dict[str, Any]:
    """Times are in milliseconds. Without pings a dead machine's Registrations stay for ever."""
    return {
        "max_message_size": limits.message_bytes,
        "auto_ping_interval": round(limits.ping_interval_s * 1000),
        "auto_ping_timeout": round(limits.ping_timeout_s * 1000),
        "auto_ping_size": 12,
        "open_handshake_timeout": 5_000,
        "close_handshake_timeout": 1_000,
    }


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
