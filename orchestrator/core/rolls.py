"""Rolling restarts: one replica of a Peer at a time, the next when the last one's place is taken.

A replica is replaced by an incarnation that is ready before the old one drains. Whoever must not
be there twice (a Peer with one replica, a job) is not rolled but stopped and started; see
``Stack.restart``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.core.commands import Command
from orchestrator.core.events import RollRequested
from orchestrator.core.instance import Instance
from orchestrator.core.states import InstanceId, State


@dataclass(slots=True)
class Roll:
    """A rolling restart under way: the indices still to come, and the one being replaced."""

    pending: list[int]
    current: int | None = None
    incarnation: int = 0


@dataclass(slots=True)
class Rolls:
    """All rolling restarts under way, one a Peer at most."""

    instances: Mapping[InstanceId, Instance]
    by_name: dict[str, Roll] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def add(self, name: str, indices: Iterable[int]) -> None:
        """Replace these replicas too; those that are to come already are not replaced twice."""
        roll = self.by_name.setdefault(name, Roll([]))
        roll.pending += [index for index in indices if index not in roll.pending]

    def drop(self, name: str) -> None:
        """Replace no more of this Peer; idempotent."""
        self.by_name.pop(name, None)

    def leave_out(self, instance_id: InstanceId) -> None:
        """Do not replace this one: it goes."""
        roll = self.by_name.get(instance_id.name)
        if roll is not None and instance_id.index in roll.pending:
            roll.pending.remove(instance_id.index)

    def clear(self) -> None:
        """End all of them where they stand."""
        self.by_name.clear()

    def advance(self, now: float) -> list[Command]:
        """Go on with each as far as it goes now."""
        commands: list[Command] = []
        for name in list(self.by_name):
            commands += self._advance(name, now)
        return commands

    def _advance(self, name: str, now: float) -> list[Command]:
        roll = self.by_name[name]
        if roll.current is not None and not self._is_replaced(name, roll):
            return []
        while roll.pending:
            index = roll.pending.pop(0)
            instance = self.instances.get(InstanceId(name, index))
            if instance is None or instance.state is not State.RUNNING or instance.child is None:
                continue
            roll.current, roll.incarnation = index, instance.child.incarnation
            commands = instance.handle(RollRequested(), now)
            if commands:
                return commands
            roll.current = None  # it is being killed, and replaced by that
        del self.by_name[name]
        return []

    def _is_replaced(self, name: str, roll: Roll) -> bool:
        """Whether the current one's place is taken; drops a roll that cannot go on."""
        assert roll.current is not None
        instance = self.instances.get(InstanceId(name, roll.current))
        if instance is None or instance.state in (State.FATAL, State.EXITED, State.STOPPED):
            del self.by_name[name]
            return False
        if instance.state is not State.RUNNING or instance.child is None:
            return False
        if instance.child.incarnation == roll.incarnation:
            # Rolled back: the replacement failed, the rest stays as it is.
            del self.by_name[name]
            return False
        if instance.outgoing or not instance.ready:
            return False
        roll.current = None
        return True
