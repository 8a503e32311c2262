"""What a manifest says, read and checked: plain values. Durations are float seconds (``…_s``)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.core.spec import PeerSpec

#: Seconds between two samples of an Instance's memory (contract, section 5).
_PSS_INTERVAL_S = 30.0


@dataclass(frozen=True, slots=True)
class StackSection:
    """``[stack]``.

    Attributes:
        name: part of URIs, ``[a-z0-9_]+``.
        run_dir: absolute.
        strategy: ``one_for_one``, ``rest_for_one`` or ``one_for_all``.
        on_fatal: ``keep`` or ``stop``.
        env_files: absolute.
    """

    name: str
    realm: str
    run_dir: Path
    preload: tuple[str, ...]
    strategy: str
    on_fatal: str
    debug: bool
    env_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class LogsSection:
    """``[logs]``; ``format`` is ``text`` or ``json``, ``keep`` counts rotated files."""

    max_size_bytes: int
    keep: int
    format: str


@dataclass(frozen=True, slots=True)
class Join:
    """How orchestrator and Peers join a Router that the stack did not configure."""

    authid: str
    secret: str = field(repr=False)
    #: One of ``wampy.auth.METHODS``.
    method: str = "ticket"


@dataclass(frozen=True, slots=True)
class TicketUser:
    """Somebody who may join over TCP with a ticket, or another secret."""

    role: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyUser:
    """Somebody who may join over TCP with a key of his own: Ed25519, in hex."""

    role: str
    authorized_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the public listener, absolute; ``client_ca``: whose clients alone are let in."""

    certificate: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class RouterLimits:
    """``[router.limits]``: what one client may cost; Crossbar keeps message size and pings.

    Of ``sessions`` it keeps those of the public listener.
    """

    message_bytes: int = 16 * 2**20
    sessions: int = 10_000
    pending_calls: int = 1_000
    registrations: int = 10_000
    join_timeout_s: float = 5.0
    ping_interval_s: float = 10.0
    ping_timeout_s: float = 5.0
    queue_bytes: int = 8 * 2**20
    closes_slow: bool = False


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of a role.

    Attributes:
        match: ``exact``, ``prefix`` or ``wildcard``.
        allow: some of ``call``, ``register``, ``publish``, ``subscribe``.
    """

    uri: str
    match: str
    allow: frozenset[str]


@dataclass(frozen=True, slots=True)
class RouterSection:
    """``[router]`` with ``[router.auth]`` and ``[[router.roles.NAME]]``.

    Attributes:
        type: ``builtin``, ``crossbar`` or ``external``.
        port: 0 for a free one.
        tls: of the public listener; None: it is plain.
        config: crossbar: the user's own node config, absolute.
        command: crossbar: another executable.
        url: external: the Router that already runs; empty otherwise.
        join: external, or an own config: how orchestrator and Peers join; None: anonymous.
        anonymous: the role of who joins over TCP without a ticket, or ``off``.
        tickets: by authid.
        roles: the permissions of each role.
        wampcra, scram, cryptosign: who else may join, by authid.
        authorizer: the procedure that decides where no permission matches; None: nobody.
        limits: Crossbar keeps some, the others are faults there.
    """

    type: str
    host: str
    port: int
    path: str
    insecure: bool
    tls: Tls | None
    config: Path | None
    command: tuple[str, ...] | None
    url: str
    join: Join | None
    start_timeout_s: float
    stop_grace_s: float
    anonymous: str
    tickets: dict[str, TicketUser]
    roles: dict[str, tuple[Permission, ...]]
    wampcra: dict[str, TicketUser] = field(default_factory=dict)
    scram: dict[str, TicketUser] = field(default_factory=dict)
    cryptosign: dict[str, KeyUser] = field(default_factory=dict)
    authorizer: str | None = None
    limits: RouterLimits = RouterLimits()


@dataclass(frozen=True, slots=True)
class PeerSection:
    """``[peers.NAME]`` with ``[defaults]`` merged in.

    Attributes:
        spec: what the core needs of it.
        app: ``module:Class``; empty with ``command``.
        command: a program and its arguments; None with ``app``.
        provides: what the program registers.
        heartbeat_procedure: what it is asked by; ``{index}`` stands for the Instance's index.
        env: added to ``Manifest.environ`` for this Peer; not in the repr: it may hold secrets.
        cwd: absolute.
        start_method: ``fork`` or ``exec``.
        umask: None leaves it as it is.
        limits: soft and hard, by the names of ``orchestrator.limits``; None: unlimited.
        line: of its header in the manifest; 0 when it has none of its own.
        profiles: it is only started with one of them; none: always.
    """

    spec: PeerSpec
    app: str
    config: dict[str, Any] = field(repr=False)
    env: dict[str, str] = field(repr=False)
    cwd: Path
    concurrency: int
    queue: int
    start_method: str
    umask: int | None
    line: int
    command: tuple[str, ...] | None = None
    provides: tuple[str, ...] = ()
    heartbeat_procedure: str | None = None
    limits: dict[str, int | None] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()

    @property
    def is_program(self) -> bool:
        """Whether its Instances are a program of the user's own, in any language."""
        return self.command is not None

    @property
    def pss_interval_s(self) -> float:
        """Seconds between two samples of the memory; with a limit each heartbeat has one."""
        return _PSS_INTERVAL_S if self.spec.max_memory_bytes is None else 0.0

    def heartbeat_of(self, index: int) -> str | None:
        """Give the procedure by which one Instance of a program is asked, or None."""
        procedure = self.heartbeat_procedure
        return None if procedure is None else procedure.replace("{index}", str(index))

    def provided(self) -> list[str]:
        """Give all procedures that a program is known to register, in all its Instances."""
        heartbeats = (self.heartbeat_of(index) for index in range(self.spec.replicas))
        return [*dict.fromkeys((*self.provides, *(one for one in heartbeats if one is not None)))]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One ``wampy.toml``, checked as far as that goes without importing anything.

    Attributes:
        path: absolute, of the file.
        root: its folder; Peers' modules are found here first.
        peers: in the order of the manifest.
        environ: what the Peers get: the environment, then what only the dotenv files set.
        text: the file as it was read, for placing later faults on their lines.
    """

    path: Path
    root: Path
    stack: StackSection
    logs: LogsSection
    router: RouterSection
    peers: dict[str, PeerSection]
    environ: dict[str, str] = field(repr=False)
    text: str = field(repr=False, default="")

    def dormant(self, profiles: Collection[str]) -> frozenset[str]:
        """Name the Peers that have profiles, but none of these."""
        return frozenset(
            name
            for name, peer in self.peers.items()
            if peer.profiles and not set(peer.profiles) & set(profiles)
        )

    def profiles(self) -> list[str]:
        """Name every profile, sorted."""
        return sorted({profile for peer in self.peers.values() for profile in peer.profiles})

    def start_order(self) -> list[str]:
        """Give the names of all Peers: dependencies first, else as in the manifest."""
        from orchestrator.manifest.dependencies import start_order

        return start_order({name: list(peer.spec.depends_on) for name, peer in self.peers.items()})

    def with_dependencies(self, names: list[str]) -> list[str]:
        """Give ``names`` and all that they need, in the order of start.

        Raises:
            KeyError: there is no such Peer.
        """
        wanted: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in wanted:
                wanted.add(name)
                pending.extend(self.peers[name].spec.depends_on)
        return [name for name in self.start_order() if name in wanted]
