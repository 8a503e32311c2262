"""What the orchestrator is asked to keep alive: plain values, no behaviour beyond arithmetic.

Durations are float seconds (``…_s``). ``None`` stands for the manifest's ``"off"``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class RestartPolicy(Enum):
    """When an Instance that ended by itself is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class Kind(Enum):
    """A service runs until it is stopped; a job is done when its ``run()`` returns."""

    SERVICE = "service"
    JOB = "job"


class Condition(Enum):
    """What a dependency must have reached before its dependant starts."""

    READY = "ready"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the second and later restarts in a row."""

    initial_s: float = 0.1
    factor: float = 2.0
    max_s: float = 10.0
    jitter: float = 0.2
    reset_after_s: float = 30.0

    def delay_s(self, failures: int, spread: float) -> float:
        """Give the delay before the next start.

        Args:
            failures: failed starts in a row, from 1.
            spread: a random number in [-1, 1], given by the caller; scales the jitter.

        Returns:
            Seconds, 0 or more, at most ``max_s * (1 + jitter)``.
        """
        try:
            delay = self.initial_s * self.factor ** (failures - 1)
        except OverflowError:
            delay = self.max_s
        return max(0.0, min(delay, self.max_s) * (1.0 + self.jitter * spread))


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """How often an Instance is asked, how long it may take, and how many misses condemn it."""

    interval_s: float = 2.0
    timeout_s: float = 2.0
    failures: int = 3


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """One ``[peers.NAME]`` as the core sees it."""

    name: str
    replicas: int = 1
    kind: Kind = Kind.SERVICE
    depends_on: dict[str, Condition] = field(default_factory=dict)
    restart: RestartPolicy = RestartPolicy.ALWAYS
    success_exit_codes: frozenset[int] = frozenset({0})
    backoff: Backoff = Backoff()
    restart_limit: int | None = 10
    heartbeat: HeartbeatPolicy = HeartbeatPolicy()
    start_timeout_s: float = 30.0
    stop_grace_s: float = 10.0
    max_call_age_s: float | None = None
    max_memory_bytes: int | None = None
    max_calls: int | None = None
    max_age_s: float | None = None
    #: Whether it can be told to drain; a program of another kind gets SIGTERM instead.
    drains: bool = True
