"""The whole stack's decisions: order of start and stop, gates, rolling restarts, verdicts.

Rules:

- the Router first, the Router last;
- an Instance starts for the first time when the Router is ready and what it depends on is settled
  (ready, or a job that is done); a restart waits for the Router only, and for who is restarted with
  it, see ``strategy``;
- a stopping stack stops an Instance when nothing that depends on it is left;
- an Instance that is scaled away, or removed, is drained, and forgotten when it has gone;
- heartbeat failures count only while the Router is ready: one dead Router condemns no Peer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.commands import Command, Finish
from orchestrator.core.events import (
    ChildCondemned,
    ChildExited,
    ChildReady,
    ChildUnready,
    DeadlinePassed,
    HeartbeatAnswered,
    HeartbeatMissed,
    InstanceEvent,
    RouterEvent,
    RouterStartRequested,
    RouterStopRequested,
    SpawnFailed,
    StartRequested,
    StopRequested,
)
from orchestrator.core.instance import Instance
from orchestrator.core.recycling import reason_to_recycle
from orchestrator.core.rolls import Rolls
from orchestrator.core.router import Router, RouterSpec
from orchestrator.core.spec import Condition, Kind, PeerSpec
from orchestrator.core.states import InstanceId, State
from orchestrator.core.strategy import Regroup, Strategy, needed_by_alive

#: Exit codes of the stack as a whole (contract, section 3).
EXIT_DONE = 0
EXIT_GAVE_UP = 3
#: Seconds between two replacements of an Instance because of its limits: also where the replacement
#: fails, or is over the limit as soon as it is ready.
RECYCLE_AGAIN_S = 10.0


@dataclass(slots=True)
class Stack:
    """All Instances and the Router, and what is wanted of them together."""

    router: Router
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    #: Of each Peer, also of one that has no Instances now.
    specs: dict[str, PeerSpec] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    stop_on_fatal: bool = False
    is_stopping: bool = False
    exit_code: int = EXIT_DONE
    exit_reason: str | None = None
    misses: dict[InstanceId, int] = field(default_factory=dict)
    is_finished: bool = False
    #: Peers of profiles that nobody has asked for: started only by name, or when they are needed.
    dormant: frozenset[str] = frozenset()
    #: Scaled away or removed: on their way out, forgotten when they have gone.
    retiring: set[InstanceId] = field(default_factory=set)
    rolls: Rolls = field(init=False)
    regroup: Regroup = field(init=False)

    def __post_init__(self) -> None:
        self.rolls = Rolls(self.instances)
        self.regroup = Regroup(self.instances, self.order)

    @classmethod
    def of(
        cls,
        peers: Mapping[str, PeerSpec],
        order: Sequence[str],
        router: RouterSpec,
        *,
        stop_on_fatal: bool = False,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
    ) -> Stack:
        """Make a stack with everything STOPPED; ``order`` names every Peer, dependencies first."""
        stack = cls(Router(router), order=tuple(order), stop_on_fatal=stop_on_fatal)
        stack.regroup.strategy = strategy
        stack.specs.update(peers)
        for name in order:
            for index in range(peers[name].replicas):
                instance_id = InstanceId(name, index)
                stack.instances[instance_id] = Instance(instance_id, peers[name])
        return stack

    # ------------------------------------------------------------------ questions

    def of_peer(self, name: str) -> list[Instance]:
        """Give the Instances of one Peer, by index; not those on their way out for good."""
        return [
            i for i in self.instances.values() if i.id.name == name and i.id not in self.retiring
        ]

    def with_dependencies(self, names: Iterable[str]) -> list[str]:
        """Give ``names`` and all that they need, in the order of start."""
        needed: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += self.specs[name].depends_on
        return [name for name in self.order if name in needed]

    def next_deadline(self) -> float | None:
        """When ``deadline_passed`` is due next, or None."""
        times = [self.router.next_deadline()]
        times += [instance.next_deadline() for instance in self.instances.values()]
        return min((time for time in times if time is not None), default=None)

    def waits_for(self, instance: Instance) -> str | None:
        """Say what holds back a wanted Instance that is STOPPED, or None."""
        if not self.router.ready:
            return "waiting for the router"
        held = self.regroup.holds(instance)
        if held is not None:
            lost = self.regroup.holds_in_vain(instance)
            return f"{held}, but {lost}" if lost else held
        for name, condition in instance.spec.depends_on.items():
            if not self._is_met(name, condition):
                lost = self._lost_cause(name, condition)
                why = f", but {lost}" if lost else ""
                return f"waiting for {name} to be {condition.value}{why}"
        return None

    def is_waiting_in_vain(self, instance: Instance) -> bool:
        """Whether a wanted Instance that is STOPPED cannot start unless somebody acts."""
        if instance.state is not State.STOPPED:
            return False
        if self.regroup.holds_in_vain(instance) is not None:
            return True
        return any(
            not self._is_met(name, condition) and self._lost_cause(name, condition) is not None
            for name, condition in instance.spec.depends_on.items()
        )

    def _lost_cause(self, name: str, condition: Condition) -> str | None:
        """Say why an unmet dependency will stay so by itself; None: it may yet be met."""
        for needed in self.of_peer(name):
            is_met = needed.completed or (condition is Condition.READY and needed.is_settled)
            if is_met:
                continue
            if needed.state in (State.FATAL, State.EXITED):
                reason = f" ({needed.reason})" if needed.reason else ""
                return f"{needed.id} is {needed.state.value}{reason}"
            if needed.state is State.STOPPED and not needed.wanted:
                return f"{needed.id} is STOPPED"
            if self.is_waiting_in_vain(needed):
                return f"{needed.id} is {self.waits_for(needed)}"
        return None

    def _is_met(self, name: str, condition: Condition) -> bool:
        needed = self.of_peer(name)
        if condition is Condition.COMPLETED:
            return all(instance.completed for instance in needed)
        return all(instance.is_settled for instance in needed)

    # ------------------------------------------------------------------ what happened

    def start(self, ids: Iterable[InstanceId], now: float, *, again: bool = True) -> list[Command]:
        """Want these Instances up, and what they depend on.

        A job that is done runs again if it is among ``ids``, unless ``again`` is False.
        """
        commands: list[Command] = []
        if self.is_stopping:
            return commands
        ids = [i for i in ids if i not in self.retiring]
        wanted = [i for i in ids if again or not self.instances[i].completed]
        direct = {i.name for i in wanted}
        for name in self.with_dependencies(direct):
            if name not in direct:
                wanted += [i.id for i in self.of_peer(name) if not i.completed]
        if self.router.state in (State.STOPPED, State.FATAL, State.EXITED):
            commands += self.router.handle(RouterStartRequested(), now)
        for instance_id in wanted:
            instance = self.instances[instance_id]
            if instance.state in (State.STOPPED, State.EXITED):
                instance.wanted = True
                instance.completed = False
                instance.failures = 0
                if instance.state is State.EXITED:
                    instance.state = State.STOPPED
            else:
                commands += instance.handle(StartRequested(), now)
        return commands + self._advance(now)

    def stop(self, ids: Iterable[InstanceId], now: float) -> list[Command]:
        """Want these Instances down; their dependants are left alone, as supervisor does."""
        commands: list[Command] = []
        for instance_id in ids:
            self.rolls.drop(instance_id.name)
            commands += self.instances[instance_id].handle(StopRequested(), now)
        return commands + self._advance(now)

    def restart(
        self, ids: Sequence[InstanceId], now: float, *, hard: bool = False
    ) -> list[Command]:
        """Restart: rolling where a service has several replicas, else (or ``hard``) stop, start."""
        commands: list[Command] = []
        if self.is_stopping:
            return commands
        for name in dict.fromkeys(i.name for i in ids):
            indices = [i.index for i in ids if i.name == name and i not in self.retiring]
            peers = self.of_peer(name)
            is_rolling = not hard and len(peers) > 1 and peers[0].spec.kind is Kind.SERVICE
            rolled: list[int] = []
            for index in indices:
                instance = self.instances[InstanceId(name, index)]
                if is_rolling and instance.state is State.RUNNING:
                    rolled.append(index)
                    continue
                commands += instance.handle(StopRequested(), now)
                instance.wanted = True
                instance.failures = 0
                instance.completed = False
                if instance.state is State.EXITED:
                    instance.state = State.STOPPED
            if rolled:
                self.rolls.add(name, rolled)
        return commands + self._advance(now)

    def is_idle(self, instance: Instance) -> bool:
        """Whether it is of a profile that nobody has asked for, and has not been started either."""
        return instance.id.name in self.dormant and not instance.wanted and instance.is_gone

    def scale(self, name: str, replicas: int, now: float) -> list[Command]:
        """Have so many Instances of a Peer: new ones are started, the last ones drained.

        New ones are wanted if the Peer ``name`` is, or if there was none of it and it is not
        dormant.
        """
        if self.is_stopping:
            return []
        spec = replace(self.specs[name], replicas=replicas)
        self.specs[name] = spec
        had_some = self.of_peer(name)
        is_wanted = any(i.wanted or i.is_settled for i in had_some) or (
            not had_some and name not in self.dormant
        )
        commands: list[Command] = []
        for instance in had_some:
            instance.spec = spec
            if instance.id.index >= replicas:
                commands += self._retire(instance, now)
        fresh = []
        for index in range(replicas):
            instance_id = InstanceId(name, index)
            if instance_id in self.retiring:
                # It is being drained: it starts again when it has gone.
                self.retiring.discard(instance_id)
                self.instances[instance_id].spec = spec
            elif instance_id in self.instances:
                continue
            else:
                self.instances[instance_id] = Instance(instance_id, spec)
            fresh.append(instance_id)
        self._sort()
        if fresh and is_wanted:
            return commands + self.start(fresh, now)
        return commands + self._advance(now)

    def replan(
        self, specs: Mapping[str, PeerSpec], order: Sequence[str], now: float
    ) -> list[Command]:
        """Take over the specs of a new manifest, whose ``order`` names every Peer.

        Peers that are no longer there are drained and forgotten, new ones are started, and each has
        as many Instances as its spec says. Nobody is restarted for it: that is for ``restart``.
        """
        if self.is_stopping:
            return []
        commands: list[Command] = []
        for name in [name for name in self.specs if name not in specs]:
            for instance in self.of_peer(name):
                commands += self._retire(instance, now)
            del self.specs[name]
        leaving = dict.fromkeys(i.name for i in self.retiring if i.name not in specs)
        self.order = self.regroup.order = (*order, *leaving)
        self.specs.update(specs)
        for name, spec in specs.items():
            for instance in self.of_peer(name):
                instance.spec = spec
            commands += self.scale(name, spec.replicas, now)
        return commands + self._advance(now)

    def _retire(self, instance: Instance, now: float) -> list[Command]:
        self.rolls.leave_out(instance.id)
        self.retiring.add(instance.id)
        return instance.handle(StopRequested(), now)

    def _sort(self) -> None:
        """Keep the Instances in the order of start; in place, since others hold the dictionary."""
        place = {name: number for number, name in enumerate(self.order)}
        found = sorted(
            self.instances.items(), key=lambda item: (place[item[0].name], item[0].index)
        )
        self.instances.clear()
        self.instances.update(found)

    def shut_down(
        self, now: float, exit_code: int = EXIT_DONE, reason: str | None = None
    ) -> list[Command]:
        """Stop everything in reverse order, the Router last; ``Finish`` comes at the end."""
        if not self.is_stopping:
            self.is_stopping = True
            self.exit_code, self.exit_reason = exit_code, reason
            self.rolls.clear()
            self.regroup.clear()
            self.router.wanted = False  # should it die meanwhile, it is not started again
        return self._advance(now)

    def instance_event(
        self, instance_id: InstanceId, event: InstanceEvent, now: float
    ) -> list[Command]:
        """Hand an event to its Instance, and draw the stack's conclusions."""
        instance = self.instances.get(instance_id)
        if instance is None:
            return []
        may_take_along = not self.is_stopping and _may_fail(instance, event)
        if may_take_along and self.regroup.taken_along_by(instance):
            # Before it starts again the others have to stop.
            instance.held = "others are restarted with it"
        commands = instance.handle(event, now)
        if may_take_along and instance.state in (State.BACKOFF, State.FATAL):
            for taken in self.regroup.begin(instance):
                self.rolls.drop(taken.name)
        # Most events are heartbeats that change nothing: they must cost nothing.
        if commands or isinstance(event, ChildExited):
            commands += self._advance(now)
        return commands

    def router_event(self, event: RouterEvent, now: float) -> list[Command]:
        """Hand an event to the Router, and draw the stack's conclusions."""
        was_ready = self.router.ready
        commands = self.router.handle(event, now)
        if was_ready and not self.router.ready:
            self.misses.clear()
            for instance in self.instances.values():
                if instance.ready and instance.child is not None:
                    away = ChildUnready(instance.child.incarnation, "the router is away")
                    commands += instance.handle(away, now)
        if self.router.ready and not was_ready:
            self._give_time_again(now)
        return commands + self._advance(now)

    def deadline_passed(self, now: float) -> list[Command]:
        """Let everything look at its deadlines."""
        commands: list[Command] = []
        due = self.router.next_deadline()
        if due is not None and due <= now:
            commands += self.router_event(DeadlinePassed(), now)
        for instance in self.instances.values():
            due = instance.next_deadline()
            if due is not None and due <= now:
                commands += instance.handle(DeadlinePassed(), now)
        return commands + self._advance(now)

    # ------------------------------------------------------------------ verdicts

    def heartbeat_answered(self, event: HeartbeatAnswered, now: float) -> list[Command]:
        """Judge an answer: ready or not, and whether an invocation is older than it may be."""
        instance = self.instances.get(event.instance)
        if instance is None or instance.child is None:
            return []
        if instance.child.incarnation != event.incarnation:
            return []
        self.misses.pop(event.instance, None)
        limit_s = instance.spec.max_call_age_s
        if limit_s is not None and event.oldest_call_s > limit_s:
            age = f"{event.oldest_call_s:.1f} s (max_call_age {limit_s:g} s)"
            verdict = ChildCondemned(event.incarnation, f"a call has been running for {age}")
            return self.instance_event(event.instance, verdict, now)
        if event.ready:
            commands = self.instance_event(event.instance, ChildReady(event.incarnation), now)
            return commands + self._recycle_if_due(instance, event, now)
        reason = event.reason or "says that it is not ready"
        return self.instance_event(event.instance, ChildUnready(event.incarnation, reason), now)

    def heartbeat_missed(self, event: HeartbeatMissed, now: float) -> list[Command]:
        """Count a miss whose canary was answered; condemn after ``failures`` in a row."""
        instance = self.instances.get(event.instance)
        if instance is None or instance.child is None or not self.router.ready:
            return []
        child = instance.child
        if child.incarnation != event.incarnation or instance.state is not State.RUNNING:
            return []
        count = self.misses.get(event.instance, 0) + 1
        self.misses[event.instance] = count
        if count < instance.spec.heartbeat.failures:
            return []
        del self.misses[event.instance]
        what = "its session or dispatcher hangs" if event.pipe_beats else "it is hung or stopped"
        cause = f"{count} heartbeats missed, {what}"
        return self.instance_event(event.instance, ChildCondemned(event.incarnation, cause), now)

    def _recycle_if_due(
        self, instance: Instance, event: HeartbeatAnswered, now: float
    ) -> list[Command]:
        """Replace one that has served enough: its memory, its calls, its age."""
        child, spec = instance.child, instance.spec
        is_serving = instance.state is State.RUNNING and instance.ready and not instance.outgoing
        if child is None or not is_serving or spec.kind is not Kind.SERVICE or self.is_stopping:
            return []
        if instance.started_at is None or instance.id.name in self.rolls:
            return []
        if instance.recycled_at is not None and now - instance.recycled_at < RECYCLE_AGAIN_S:
            return []
        reason = reason_to_recycle(
            spec,
            age_s=now - instance.started_at,
            calls=event.calls,
            pss_bytes=event.pss_bytes,
            spread=child.spread,
        )
        if reason is None:
            return []
        instance.recycled_at = now
        return [instance.note(f"{reason}: replaced"), *self.restart([instance.id], now)]

    # ------------------------------------------------------------------ conclusions

    def _give_time_again(self, now: float) -> None:
        """The Router is back: whoever was starting gets its whole start_timeout once more."""
        for instance in self.instances.values():
            child = instance.child
            if instance.state is State.STARTING and child is not None and child.cause is None:
                child.deadline = now + instance.spec.start_timeout_s

    def _advance(self, now: float) -> list[Command]:
        """Do whatever the rules allow now; calls itself until nothing changes."""
        commands: list[Command] = []
        if not self.is_stopping:
            commands += self._check_fatal(now)
        while True:
            self._forget_gone()
            more = self._stop_some(now) if self.is_stopping else self._go_on(now)
            if not more:
                return commands
            commands += more

    def _go_on(self, now: float) -> list[Command]:
        commands = self.regroup.advance(now)
        away = None if self.router.ready else "the router is away"
        for instance in self.instances.values():
            instance.held = away or self.regroup.holds(instance)
        return commands + self._start_some(now)

    def _forget_gone(self) -> None:
        for instance_id in list(self.retiring):
            if self.instances[instance_id].is_gone:
                self.retiring.discard(instance_id)
                del self.instances[instance_id]
                self.misses.pop(instance_id, None)

    def _check_fatal(self, now: float) -> list[Command]:
        if self.router.state is State.FATAL:
            return self.shut_down(now, EXIT_GAVE_UP, f"the router cannot run: {self.router.reason}")
        if self.stop_on_fatal:
            for instance in self.instances.values():
                if instance.state is State.FATAL:
                    reason = f"{instance.id} is FATAL: {instance.reason}"
                    return self.shut_down(now, EXIT_GAVE_UP, reason)
        return []

    def _start_some(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for instance in self.instances.values():
            if instance.state is State.STOPPED and instance.wanted:
                waiting = self.waits_for(instance)
                instance.reason = waiting
                if waiting is None:
                    commands += instance.handle(StartRequested(), now)
            elif instance.state is State.BACKOFF and instance.is_held and instance.held is None:
                commands += instance.handle(DeadlinePassed(), now)
        return commands + self.rolls.advance(now)

    def _stop_some(self, now: float) -> list[Command]:
        commands: list[Command] = []
        dependants = needed_by_alive(self.instances.values())
        for instance in self.instances.values():
            instance.wanted = False
            if instance.is_gone:
                if instance.state in (State.BACKOFF,):
                    commands += instance.handle(StopRequested(), now)
            elif instance.state is not State.STOPPING and instance.id.name not in dependants:
                commands += instance.handle(StopRequested(), now)
        if any(not instance.is_gone for instance in self.instances.values()):
            return commands
        if self.router.state not in (State.STOPPED, State.STOPPING, State.FATAL):
            return commands + self.router.handle(RouterStopRequested(), now)
        if self.router.state in (State.STOPPED, State.FATAL) and not self.is_finished:
            self.is_finished = True
            commands.append(Finish(self.exit_code, self.exit_reason))
        return commands


def _may_fail(instance: Instance, event: InstanceEvent) -> bool:
    """Whether this may turn out to be a failure, which takes others along (see ``strategy``)."""
    child = instance.child
    if child is None or instance.state not in (State.STARTING, State.RUNNING):
        return False
    if isinstance(event, SpawnFailed):
        return event.incarnation == child.incarnation
    if not isinstance(event, ChildExited) or event.incarnation != child.incarnation:
        return False
    # Who ends because the Router is away has not failed.
    return event.router_ready or child.cause is not None
