"""Who is restarted with whom, as in OTP: one_for_one, rest_for_one, one_for_all.

Rules:

- what counts is a failure: an end that nobody asked for and that leads to a restart, or to FATAL;
  a job that is done, or an Instance that its policy lets end, is none;
- ``rest_for_one`` takes the Peers behind the failed one in the order of start, ``one_for_all`` all
  Instances; replicas of one Peer start together, so they are no rest of each other;
- first all of them stop, drained, whoever is needed by another one after that; then they start
  again in order, each when those before it are settled;
- one that is FATAL holds back those behind it, and with ``one_for_all`` all, until somebody starts
  or stops it.

Spec: Erlang/OTP, "Supervisor Behaviour", restart strategies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.core.commands import Command
from orchestrator.core.events import StopRequested
from orchestrator.core.instance import Instance
from orchestrator.core.states import InstanceId, State


class Strategy(Enum):
    """What becomes of the others when one Instance fails."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"
    ONE_FOR_ALL = "one_for_all"


@dataclass(slots=True)
class Regroup:
    """Those that are being restarted because another one failed, until they are settled again."""

    instances: Mapping[InstanceId, Instance]
    order: Sequence[str]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    #: Each with why: ``store:0 failed (one_for_all)``.
    members: dict[InstanceId, str] = field(default_factory=dict)
    #: Whether some of them have to stop yet; nobody of them starts before that.
    is_stopping: bool = False

    def taken_along_by(self, failed: Instance) -> list[Instance]:
        """Give whoever would be restarted with an Instance that failed."""
        if self.strategy is Strategy.ONE_FOR_ONE:
            return []
        place = self._place(failed)
        return [
            one
            for one in self.instances.values()
            if one is not failed
            and one.wanted
            and not one.completed
            and (self.strategy is Strategy.ONE_FOR_ALL or self._place(one) > place)
        ]

    def begin(self, failed: Instance) -> list[InstanceId]:
        """Take along whoever belongs to an Instance that failed; gives their ids."""
        taken = self.taken_along_by(failed)
        if not taken:
            return []
        why = f"{failed.id} failed ({self.strategy.value})"
        self.members.setdefault(failed.id, why)
        for one in taken:
            self.members.setdefault(one.id, why)
        self.is_stopping = True
        return [one.id for one in taken]

    def clear(self) -> None:
        """Take nobody along any more."""
        self.members.clear()
        self.is_stopping = False

    def advance(self, now: float) -> list[Command]:
        """Stop who has to stop yet; let go of who is settled, or wanted no more."""
        if not self.members:
            return []
        if self.is_stopping:
            commands = self._stop_some(now)
            if commands or any(not one.is_gone for one in self._found()):
                return commands
            self.is_stopping = False
        for one in self._found():
            if one.is_settled or (not one.wanted and one.state is not State.FATAL):
                del self.members[one.id]
        for gone in [i for i in self.members if i not in self.instances]:
            del self.members[gone]
        return []

    def holds(self, instance: Instance) -> str | None:
        """Say why this one may not start now, or None."""
        why = self.members.get(instance.id)
        if why is None:
            return None
        if self.is_stopping:
            return f"{why}: waiting until all that belong to it have stopped"
        blocker = self._blocker(instance)
        return None if blocker is None else f"{why}: waiting for {blocker.id}"

    def holds_in_vain(self, instance: Instance) -> str | None:
        """Say who holds this one back and will not be settled by itself, or None."""
        if instance.id not in self.members or self.is_stopping:
            return None
        blocker = self._blocker(instance)
        if blocker is None or blocker.state is not State.FATAL:
            return None
        reason = f" ({blocker.reason})" if blocker.reason else ""
        return f"{blocker.id} is FATAL{reason}"

    def _blocker(self, instance: Instance) -> Instance | None:
        place = self._place(instance)
        blockers = [
            other
            for other in self._found()
            if other is not instance
            and not other.is_settled
            and (other.wanted or other.state is State.FATAL)
            and (self._place(other) < place or self._takes_all(other))
        ]
        return min(
            blockers, key=lambda one: (one.state is not State.FATAL, self._place(one)), default=None
        )

    def _takes_all(self, other: Instance) -> bool:
        return other.state is State.FATAL and self.strategy is Strategy.ONE_FOR_ALL

    def _stop_some(self, now: float) -> list[Command]:
        commands: list[Command] = []
        needed = needed_by_alive(self._found())
        for one in self._found():
            if one.child is None or one.state is State.STOPPING or one.id.name in needed:
                continue
            commands += one.handle(StopRequested(), now)
            one.wanted = True
        return commands

    def _found(self) -> list[Instance]:
        return [self.instances[i] for i in self.members if i in self.instances]

    def _place(self, instance: Instance) -> int:
        return self.order.index(instance.id.name)


def needed_by_alive(instances: Iterable[Instance]) -> set[str]:
    """Name the Peers on which one of these depends that is not gone yet."""
    return {needed for one in instances if not one.is_gone for needed in one.spec.depends_on}
