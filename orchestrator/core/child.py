"""One incarnation of an Instance as its Instance sees it, and how the last one ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Child:
    """One incarnation: its process once it is known, and how far its end has come."""

    incarnation: int
    pid: int | None = None
    #: Whether it can be told to drain; else it gets SIGTERM, and its grace with that.
    drains: bool = True
    was_ready: bool = False
    #: Random in [-1, 1]: not all replicas are to be recycled at the same moment.
    spread: float = 0.0
    ending: str | None = None  # None, "handed over", "draining", "terminated", "killed"
    cause: str | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How the last incarnation ended. ``at`` is monotonic seconds."""

    code: int | None
    signal: int | None
    cause: str
    at: float


def describe_exit(code: int | None, signal: int | None) -> str:
    """Say in a few words how a process ended: ``exit code 3``, ``killed by signal 9``."""
    return f"killed by signal {signal}" if signal is not None else f"exit code {code}"
