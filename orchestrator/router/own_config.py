"""A node configuration of the user's own: read to find the ways in, never changed.

Crossbar itself checks it when it starts; here it is only asked for what the stack needs: the Realm,
and a transport that lets the Peers in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Join, Manifest
from orchestrator.router.ports import choose_port

#: Which way in the stack prefers, and which one is told to others.
STACK_ORDER = ("unix", "tcp", "ws", "wss")
PUBLIC_ORDER = ("wss", "ws", "tcp", "unix")


@dataclass(frozen=True, slots=True)
class WayIn:
    """One transport, as a client sees it.

    Attributes:
        scheme: ``unix``, ``tcp``, ``ws`` or ``wss``.
        host: where it listens; empty for a unix socket.
        methods: the authentication methods it takes; None: everybody joins, as ``anonymous``.
    """

    scheme: str
    url: str
    host: str
    port: int
    methods: frozenset[str] | None

    def admits(self, join: Join | None) -> bool:
        """Tell whether one can join like this, as far as the configuration tells."""
        if self.methods is None:
            return join is None
        return ("anonymous" if join is None else "ticket") in self.methods


def ways_in(manifest: Manifest, config: Path) -> list[WayIn]:
    """Give the transports of the manifest's Realm, those that the stack can join first.

    Raises:
        RouterUnavailable: the file cannot be read, has no such Realm, or no way in for the stack.
    """
    router = manifest.router
    if config.suffix in (".yaml", ".yml"):
        # Not read: YAML would cost a dependency. Host, port and path of the manifest say where.
        host = _url_host(router.host)
        url = f"ws://{host}:{router.port}/{router.path.strip('/')}"
        methods = frozenset({"anonymous", "ticket"})
        return [WayIn("ws", url, router.host, router.port, methods)]
    workers = [
        worker
        for worker in _list(_read(config).get("workers"))
        if isinstance(worker, Mapping) and worker.get("type") == "router"
    ]
    realm = manifest.stack.realm
    realms = {worker_realm for worker in workers for worker_realm in _realms(worker)}
    if realm not in realms:
        raise RouterUnavailable(
            f"[router] config: {config} has no realm {realm!r}, only"
            f" {', '.join(sorted(realms)) or 'none'}; add it there, or set [stack] realm"
        )
    found = [
        way
        for worker in workers
        if realm in _realms(worker)
        for transport in _list(worker.get("transports"))
        if isinstance(transport, Mapping)
        for way in _ways(transport, config.parent, manifest.environ)
    ]
    if not any(way.admits(router.join) for way in found):
        how = "without a ticket; set [router] join" if router.join is None else "with a ticket"
        raise RouterUnavailable(
            f"[router] config: no transport in {config} lets Peers join {how}"
            " (of rawsocket, websocket, universal and web ones)"
        )
    return sorted(found, key=lambda way: not way.admits(router.join))


def stack_way(ways: list[WayIn], join: Join | None) -> WayIn:
    """Give the way that the stack itself takes: the fastest one that lets it in."""
    open_ways = [way for way in ways if way.admits(join)]
    return min(open_ways, key=lambda way: STACK_ORDER.index(way.scheme))


def public_way(ways: list[WayIn]) -> WayIn:
    """Give the way that others are told."""
    return min(ways, key=lambda way: PUBLIC_ORDER.index(way.scheme))


def port_of(ways: list[WayIn]) -> int:
    """Give the public port; each TCP port of the configuration must be free now.

    Raises:
        RouterUnavailable: one is taken.
    """
    for host, port in {(way.host, way.port) for way in ways if way.scheme != "unix"}:
        choose_port(host, port)
    return public_way(ways).port


def _read(config: Path) -> dict[str, Any]:
    try:
        read = json.loads(config.read_text())
    except OSError as error:
        raise RouterUnavailable(
            f"[router] config: {config} cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise RouterUnavailable(f"[router] config: {config} is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise RouterUnavailable(f"[router] config: {config} holds no object at the top")
    return read


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _realms(worker: Mapping[str, Any]) -> list[str]:
    return [
        str(realm.get("name"))
        for realm in _list(worker.get("realms"))
        if isinstance(realm, Mapping)
    ]


def _ways(
    transport: Mapping[str, Any], folder: Path, environ: Mapping[str, str]
) -> Iterator[WayIn]:
    endpoint = transport.get("endpoint")
    if not isinstance(endpoint, Mapping):
        return
    if endpoint.get("type") == "unix":
        path = str(folder / str(endpoint.get("path")))
        if transport.get("type") == "rawsocket":
            yield WayIn("unix", f"unix://{path}", "", 0, _methods(transport))
        return
    port = _port(endpoint.get("port"), environ)
    if endpoint.get("type") != "tcp" or port is None:
        return
    host = str(endpoint.get("interface") or "0.0.0.0")
    address = f"{_url_host(host)}:{port}"
    raw = transport if transport.get("type") == "rawsocket" else transport.get("rawsocket")
    is_secure = "tls" in endpoint
    if isinstance(raw, Mapping) and not is_secure:
        yield WayIn("tcp", f"tcp://{address}", host, port, _methods(raw))
    scheme = "wss" if is_secure else "ws"
    for path, websocket in _websockets(transport):
        url = f"{scheme}://{address}/{path.strip('/')}"
        yield WayIn(scheme, url, host, port, _methods(websocket))


def _websockets(transport: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    kind = transport.get("type")
    if kind == "websocket":
        yield "", transport
        return
    paths = transport.get("websocket" if kind == "universal" else "paths")
    for path, resource in paths.items() if isinstance(paths, Mapping) else ():
        if isinstance(resource, Mapping) and resource.get("type") == "websocket":
            yield str(path), resource


def _methods(transport: Mapping[str, Any]) -> frozenset[str] | None:
    auth = transport.get("auth")
    return frozenset(auth) if isinstance(auth, Mapping) and auth else None


def _port(port: object, environ: Mapping[str, str]) -> int | None:
    """A port may be the name of an environment variable, as Crossbar has it."""
    if isinstance(port, str) and port.startswith("$"):
        port = environ.get(port[1:], "")
    try:
        return int(port) if isinstance(port, (int, str)) else None
    except ValueError:
        return None


def _url_host(host: str) -> str:
    """Give the host to connect to for one that is listened on."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
