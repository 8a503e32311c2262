"""What happened: past participles, each a value. The loop makes them, the core decides on them.

An event about a child carries its incarnation; the core drops those of a child that is no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.states import InstanceId

#: The exit code that says "this can never start" (sysexits' EX_CONFIG): no retries.
EXIT_CANNOT_START = 78


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Somebody wants the Instance up; also leaves FATAL and forgets earlier failures."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the Instance down: drained, then TERM, then KILL."""


@dataclass(frozen=True, slots=True)
class RollRequested:
    """Replace the Instance by a new incarnation that is ready before the old one drains."""


@dataclass(frozen=True, slots=True)
class ChildSpawned:
    """The nursery forked the Instance. ``spread``: random in [-1, 1], for what has jitter."""

    incarnation: int
    pid: int
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """There is no process: the import failed, or fork did. ``permanent``: retrying is no use."""

    incarnation: int
    reason: str
    permanent: bool
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class ChildReady:
    """A heartbeat RPC came back through the Router and said ready."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class ChildUnready:
    """The Instance says itself that it is not ready, and why."""

    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChildExited:
    """The kernel's word: exit code, or the signal that ended it.

    Args:
        code: 0 to 255, or None when a signal ended it.
        signal: the signal's number, or None.
        reason: what the Instance said of it before it ended, if it could.
        spread: random in [-1, 1], for the jitter of the backoff.
        router_ready: whether the Router could be reached at that time.
    """

    incarnation: int
    code: int | None
    signal: int | None
    reason: str | None = None
    spread: float = 0.0
    router_ready: bool = True


@dataclass(frozen=True, slots=True)
class ChildCondemned:
    """The heartbeats' verdict: it is hung, and must be killed and replaced."""

    incarnation: int
    cause: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time of ``next_deadline()`` has come."""


InstanceEvent = (
    StartRequested
    | StopRequested
    | RollRequested
    | ChildSpawned
    | SpawnFailed
    | ChildReady
    | ChildUnready
    | ChildExited
    | ChildCondemned
    | DeadlinePassed
)


@dataclass(frozen=True, slots=True)
class RouterStartRequested:
    """The stack needs its Router."""


@dataclass(frozen=True, slots=True)
class RouterStopRequested:
    """The stack no longer needs its Router."""


@dataclass(frozen=True, slots=True)
class RouterSpawned:
    """The Router's process runs; it says nothing yet."""

    pid: int


@dataclass(frozen=True, slots=True)
class RouterJoined:
    """The orchestrator's own Session got its WELCOME: the Router is ready."""


@dataclass(frozen=True, slots=True)
class RouterLost:
    """The orchestrator's own Session ended, while the process, if any, lives on."""

    reason: str


@dataclass(frozen=True, slots=True)
class RouterExited:
    """The Router's process ended, or could not be started; ``reason`` is for people."""

    reason: str
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class RouterCondemned:
    """The canary was not answered in time, again and again: the Router hangs."""

    cause: str


RouterEvent = (
    RouterStartRequested
    | RouterStopRequested
    | RouterSpawned
    | RouterJoined
    | RouterLost
    | RouterExited
    | RouterCondemned
    | DeadlinePassed
)


@dataclass(frozen=True, slots=True)
class HeartbeatAnswered:
    """One heartbeat RPC came back. ``oldest_call_s`` is the age of the oldest invocation.

    ``calls``: answered since its start; ``pss_bytes``: its memory, None where that is not known.
    """

    instance: InstanceId
    incarnation: int
    ready: bool
    reason: str | None
    oldest_call_s: float
    calls: int = 0
    pss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HeartbeatMissed:
    """One heartbeat RPC was not answered in time although the canary of the same time was.

    ``pipe_beats``: whether the Instance answered on its private pipe since.
    """

    instance: InstanceId
    incarnation: int
    pipe_beats: bool
