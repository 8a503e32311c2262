"""The states of an Instance and of the Router; supervisor's names, so that its users feel at home.

"Wanted up" and "ready" are fields beside the state, never states of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where an Instance or the Router stands."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"


@dataclass(frozen=True, order=True, slots=True)
class InstanceId:
    """One process of a Peer: ``search:0``."""

    name: str
    index: int

    def __str__(self) -> str:
        return f"{self.name}:{self.index}"


class UnexpectedEvent(Exception):
    """An event that cannot happen in this state: a bug, reported by the loop, which goes on."""
