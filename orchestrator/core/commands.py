"""What is to be done: imperatives, each a value.

The core gives them, the supervisor carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.states import InstanceId, State


@dataclass(frozen=True, slots=True)
class SpawnChild:
    """Fork a new incarnation of the Instance."""

    instance: InstanceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class DrainChild:
    """Tell the incarnation to unregister, finish what is in flight, say GOODBYE and exit."""

    instance: InstanceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """Tell the incarnation to give up its heartbeat URIs: a replacement takes them."""

    instance: InstanceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Tell the incarnation to take its heartbeat URIs again: the replacement failed."""

    instance: InstanceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class TerminateChild:
    """Send SIGTERM to the incarnation's process group."""

    instance: InstanceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class KillChild:
    """Send SIGKILL to the incarnation's process group, after its tracebacks if ``dump``.

    If it has not come about yet, whoever was to fork it hangs: that is to be killed.
    """

    instance: InstanceId
    incarnation: int
    dump: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One transition of an Instance, for logs and listeners."""

    instance: InstanceId
    incarnation: int
    pid: int | None
    old: State
    new: State
    ready: bool
    reason: str | None
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReportFailure:
    """An incarnation ended, or did not come about, though nobody asked for that.

    Attributes:
        lived_s: from its start.
        then: what is done about it, for people.
    """

    instance: InstanceId
    incarnation: int
    pid: int | None
    cause: str
    code: int | None
    signal: int | None
    lived_s: float
    was_ready: bool
    then: str


@dataclass(frozen=True, slots=True)
class StartRouter:
    """Start the Router's process (external: only connect)."""


@dataclass(frozen=True, slots=True)
class StopRouter:
    """Send the Router the stop step numbered ``step``, from 0."""

    step: int


@dataclass(frozen=True, slots=True)
class KillRouter:
    """Send SIGKILL to the Router's process group."""


@dataclass(frozen=True, slots=True)
class ReportRouter:
    """One transition of the Router."""

    old: State
    new: State
    ready: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything has stopped: the supervisor may end, with this exit code."""

    exit_code: int
    reason: str | None


Command = (
    SpawnChild
    | DrainChild
    | HandOver
    | TakeBack
    | TerminateChild
    | KillChild
    | Report
    | ReportFailure
    | StartRouter
    | StopRouter
    | KillRouter
    | ReportRouter
    | Finish
)
