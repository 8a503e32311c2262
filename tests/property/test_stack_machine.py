"""The whole stack under random events and time: what must hold, holds in every order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.router import RouterSpec
from orchestrator.core.spec import Condition, PeerSpec
from orchestrator.core.stack import Stack
from orchestrator.core.states import InstanceId, State
from orchestrator.core.strategy import Strategy

PEERS = {
    "store": PeerSpec("store", restart_limit=4),
    "search": PeerSpec("search", replicas=2, depends_on={"store": Condition.READY}, max_calls=100),
    "tail": PeerSpec("tail", depends_on={"search": Condition.READY}, restart_limit=None),
}


class StackMachine(RuleBasedStateMachine):
    """A stack with make-believe processes: what the core orders comes about, at random times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.stack = Stack.of(PEERS, list(PEERS), RouterSpec())
        self.ordered: list[tuple[InstanceId, int]] = []
        self.alive: dict[tuple[InstanceId, int], str] = {}
        self.router_alive = False
        self.router_killed = False
        self.finished = False

    @initialize(strategy=st.sampled_from(list(Strategy)))
    def begin(self, strategy: Strategy) -> None:
        self.stack = Stack.of(PEERS, list(PEERS), RouterSpec(), strategy=strategy)
        self.carry_out(self.stack.start(self.stack.instances, self.now))

    def carry_out(self, commands: list[do.Command]) -> None:
        for command in commands:
            match command:
                case do.SpawnChild():
                    assert not self.finished
                    self.check_start(command.instance)
                    self.ordered.append((command.instance, command.incarnation))
                case do.DrainChild():
                    self.check_stop(command.instance)
                    self.alive[command.instance, command.incarnation] = "draining"
                case do.HandOver():
                    self.alive[command.instance, command.incarnation] = "handed over"
                case do.TakeBack():
                    self.alive[command.instance, command.incarnation] = "serving"
                case do.TerminateChild() | do.KillChild():
                    key = (command.instance, command.incarnation)
                    if key in self.alive:
                        self.alive[key] = "dying"
                case do.StartRouter():
                    assert not self.router_alive
                    self.router_alive, self.router_killed = True, False
                case do.KillRouter():
                    self.router_killed = True
                case do.Finish():
                    assert (self.alive, self.ordered, self.router_alive) == ({}, [], False)
                    self.finished = True

    def check_start(self, instance: InstanceId) -> None:
        assert self.stack.router.ready, "started without a router"
        assert not self.stack.is_stopping, "started while stopping"
        assert not self.stack.regroup.is_stopping or instance not in self.stack.regroup.members
        assert instance not in self.stack.retiring, "started though it is scaled away"

    def check_stop(self, instance: InstanceId) -> None:
        if not self.stack.is_stopping:
            return
        for (other, _), fate in self.alive.items():
            if instance.name in PEERS[other.name].depends_on:
                assert fate in ("draining", "dying"), f"{instance} stopped before {other}"

    @rule(dt=st.floats(0.0, 40.0))
    def time_passes(self, dt: float) -> None:
        target = self.now + dt
        for _ in range(200):
            due = self.stack.next_deadline()
            if due is None or due > target:
                break
            self.now = max(self.now, due)
            self.carry_out(self.stack.deadline_passed(self.now))
        self.now = target

    @precondition(lambda self: self.ordered)
    @rule(fails=st.booleans())
    def fork_comes_about(self, fails: bool) -> None:
        instance, incarnation = self.ordered.pop(0)
        if fails:
            event = happened.SpawnFailed(incarnation, "no memory", False)
            self.carry_out(self.stack.instance_event(instance, event, self.now))
            return
        self.alive[instance, incarnation] = "serving"
        event2 = happened.ChildSpawned(incarnation, 1000 + incarnation)
        self.carry_out(self.stack.instance_event(instance, event2, self.now))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), ready=st.booleans(), calls=st.sampled_from([0, 100]))
    def heartbeat(self, data: st.DataObject, ready: bool, calls: int) -> None:
        instance, incarnation = data.draw(st.sampled_from(sorted(self.alive)))
        if self.stack.router.ready:
            event = happened.HeartbeatAnswered(instance, incarnation, ready, None, 0.0, calls)
            self.carry_out(self.stack.heartbeat_answered(event, self.now))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def miss(self, data: st.DataObject) -> None:
        instance, incarnation = data.draw(st.sampled_from(sorted(self.alive)))
        event = happened.HeartbeatMissed(instance, incarnation, False)
        self.carry_out(self.stack.heartbeat_missed(event, self.now))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), code=st.sampled_from([0, 1, 78]))
    def exits(self, data: st.DataObject, code: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.alive)))
        del self.alive[key]
        event = happened.ChildExited(key[1], code, None, router_ready=self.stack.router.ready)
        self.carry_out(self.stack.instance_event(key[0], event, self.now))

    @precondition(lambda self: self.router_alive)
    @rule()
    def router_joins(self) -> None:
        self.carry_out(self.stack.router_event(happened.RouterJoined(), self.now))

    @precondition(lambda self: self.router_alive)
    @rule()
    def router_dies(self) -> None:
        self.router_alive = False
        self.carry_out(self.stack.router_event(happened.RouterLost("lost"), self.now))
        self.carry_out(self.stack.router_event(happened.RouterExited("killed"), self.now))

    @rule(data=st.data())
    def a_user_acts(self, data: st.DataObject) -> None:
        known = sorted(self.stack.instances)
        some = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
        action = data.draw(st.sampled_from(["start", "stop", "restart", "hard", "scale"]))
        if action == "scale":
            name = data.draw(st.sampled_from(sorted(PEERS)))
            replicas = data.draw(st.integers(0, 3))
            self.carry_out(self.stack.scale(name, replicas, self.now))
            assert len(self.stack.of_peer(name)) == replicas or self.stack.is_stopping
        elif action == "start":
            self.carry_out(self.stack.start(some, self.now))
        elif action == "stop":
            self.carry_out(self.stack.stop(some, self.now))
        else:
            hard = action == "hard"
            self.carry_out(self.stack.restart(some, self.now, hard=hard))

    @rule()
    def shut_down(self) -> None:
        self.carry_out(self.stack.shut_down(self.now))

    @invariant()
    def one_incarnation_at_most_that_is_not_draining(self) -> None:
        for instance in self.stack.instances:
            fates = [fate for (i, _), fate in self.alive.items() if i == instance]
            ordered = sum(1 for i, _ in self.ordered if i == instance)
            assert fates.count("serving") + ordered <= 1, f"{instance}: {fates}, {ordered} ordered"

    @invariant()
    def never_all_replicas_are_recycled_at_once(self) -> None:
        handed_over = {i for (i, _), fate in self.alive.items() if fate == "handed over"}
        names = [instance.name for instance in handed_over]
        assert len(names) == len(set(names))

    @invariant()
    def limits_hold(self) -> None:
        for instance in self.stack.instances.values():
            limit = instance.spec.restart_limit
            if limit is not None and instance.state is not State.FATAL:
                assert instance.failures < limit

    def be_well(self) -> None:
        """From now on all goes well: the Router answers, whoever is told to ends, or is up."""
        for _ in range(100):
            if self.router_alive and self.router_killed:
                self.router_alive = False
                self.carry_out(self.stack.router_event(happened.RouterExited("it is"), self.now))
            elif self.router_alive and not self.stack.router.ready:
                self.carry_out(self.stack.router_event(happened.RouterJoined(), self.now))
            while self.ordered:
                instance, incarnation = self.ordered.pop()
                self.alive[instance, incarnation] = "serving"
                spawned = happened.ChildSpawned(incarnation, 1)
                self.carry_out(self.stack.instance_event(instance, spawned, self.now))
            for (instance, incarnation), fate in list(self.alive.items()):
                if fate in ("dying", "draining"):
                    del self.alive[instance, incarnation]
                    gone = happened.ChildExited(incarnation, 0, None)
                    self.carry_out(self.stack.instance_event(instance, gone, self.now))
                elif self.stack.router.ready:
                    event = happened.HeartbeatAnswered(instance, incarnation, True, None, 0.0)
                    self.carry_out(self.stack.heartbeat_answered(event, self.now))
            self.time_passes(1.0)

    def check_all_is_well(self) -> None:
        for instance in self.stack.instances.values():
            if instance.wanted and not self.stack.is_waiting_in_vain(instance):
                assert instance.is_settled, f"{instance.id}: {instance.state} {instance.reason}"
            assert not instance.outgoing
        assert not self.stack.retiring
        assert not self.stack.rolls.by_name
        left = self.stack.regroup.members
        assert all(self.stack.instances[i].state in (State.FATAL, State.STOPPED) for i in left)

    def teardown(self) -> None:
        """Nothing hangs: in good times all that is wanted is up; and a stop always ends."""
        if not self.stack.is_stopping:
            self.be_well()
            if self.stack.router.state is not State.FATAL and not self.stack.is_stopping:
                self.check_all_is_well()
        self.carry_out(self.stack.shut_down(self.now))
        for _ in range(400):
            if self.finished:
                break
            while self.ordered:
                instance, incarnation = self.ordered.pop()
                self.alive[instance, incarnation] = "serving"
                event = happened.ChildSpawned(incarnation, 1)
                self.carry_out(self.stack.instance_event(instance, event, self.now))
            for key in [k for k, fate in self.alive.items() if fate == "dying"]:
                del self.alive[key]
                gone = happened.ChildExited(key[1], None, 9)
                self.carry_out(self.stack.instance_event(key[0], gone, self.now))
            if not self.alive and self.router_alive and self.stack.router.state is State.STOPPING:
                self.router_alive = False
                ended = happened.RouterExited("stopped")
                self.carry_out(self.stack.router_event(ended, self.now))
            self.time_passes(5.0)
        assert self.finished, "the stop never ended"


TestStackMachine = StackMachine.TestCase
TestStackMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
