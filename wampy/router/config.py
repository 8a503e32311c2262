"""What can be set of a Router: its Realm, listeners and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wampy.router.authentication import Authenticator
from wampy.router.authorization import Role
from wampy.router.realm import RealmLimits


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS listener: the certificate's chain, its key, and whom to ask of clients."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients connect, and how they join there.

    Attributes:
        kind: ``unix`` or ``tcp``. Both take RawSocket and WebSocket.
        authenticator: who joins, and as what.
        unix_path: of the socket, mode 0600; one that is there and that nobody serves is replaced.
        host, port: of a TCP listener; port 0: a free one.
        path: of the WebSocket.
        tls: None for a plain one.
        is_private: whether nobody can listen in, so that a ticket may be sent as it is.
    """

    kind: str
    authenticator: Authenticator
    unix_path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    path: str = "/ws"
    tls: Tls | None = None
    is_private: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost.

    Attributes:
        message_bytes: the longest message that is taken; with RawSocket a power of 2, 16 MiB most.
        sessions: connections at once.
        join_timeout_s: from the connection to WELCOME.
        ping_interval_s, ping_timeout_s: silence before a WebSocket ping, and after it; with
            RawSocket before the kernel looks whether the link lives, and until it gives up.
        queue_bytes: what may wait for one slow consumer.
        closes_slow: close a slow consumer's session, instead of dropping its events.
        drain_s: at the stop, for the calls that are pending.
    """

    message_bytes: int = 2**24
    sessions: int = 10_000
    join_timeout_s: float = 5.0
    ping_interval_s: float = 10.0
    ping_timeout_s: float = 5.0
    queue_bytes: int = 8 * 2**20
    closes_slow: bool = False
    drain_s: float = 10.0


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """A whole Router."""

    realm: str
    listeners: tuple[Listener, ...]
    roles: Mapping[str, Role]
    limits: Limits = field(default_factory=Limits)
    realm_limits: RealmLimits = field(default_factory=RealmLimits)
