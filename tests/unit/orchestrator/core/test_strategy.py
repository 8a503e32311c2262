"""Each strategy and which one dies: who is stopped, in which order, and who starts when again."""

from __future__ import annotations

import pytest

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.events import EXIT_CANNOT_START
from orchestrator.core.router import RouterSpec
from orchestrator.core.spec import Backoff, Condition, Kind, PeerSpec, RestartPolicy
from orchestrator.core.stack import Stack
from orchestrator.core.states import InstanceId, State
from orchestrator.core.strategy import Strategy

#: In the order of start; ``c`` needs ``a``, ``d`` needs ``c``.
PEERS = {
    "a": PeerSpec("a", restart_limit=3, backoff=Backoff(jitter=0.0)),
    "b": PeerSpec("b", replicas=2),
    "c": PeerSpec("c", depends_on={"a": Condition.READY}),
    "d": PeerSpec("d", depends_on={"c": Condition.READY}),
}
A, B0, B1, C, D = (
    InstanceId("a", 0), InstanceId("b", 0), InstanceId("b", 1), InstanceId("c", 0),
    InstanceId("d", 0),
)  # fmt: skip


class Running:
    """A stack whose processes do what they are told at once, or when the test says so."""

    def __init__(self, strategy: Strategy, peers: dict[str, PeerSpec] = PEERS) -> None:
        self.stack = Stack.of(peers, list(peers), RouterSpec(), strategy=strategy)
        self.now = 0.0
        self.said: list[str] = []
        self.do(self.stack.start(self.stack.instances, 0.0))
        self.do(self.stack.router_event(happened.RouterJoined(), 0.0))

    def do(self, commands: list[do.Command]) -> None:
        for command in commands:
            match command:
                case do.SpawnChild(instance, incarnation):
                    self.said.append(f"start {instance}")
                    spawned = happened.ChildSpawned(incarnation, 1)
                    self.do(self.stack.instance_event(instance, spawned, self.now))
                case do.DrainChild(instance) | do.TerminateChild(instance):
                    self.said.append(f"stop {instance}")

    def ready(self, *ids: InstanceId) -> None:
        for one in ids:
            incarnation = self.stack.instances[one].incarnation
            answer = happened.HeartbeatAnswered(one, incarnation, True, None, 0.0)
            self.do(self.stack.heartbeat_answered(answer, self.now))

    def ends(self, one: InstanceId, code: int | None = 1) -> None:
        child = self.stack.instances[one].child
        assert child is not None, f"{one} is not there"
        signal = 9 if code is None else None
        event = happened.ChildExited(child.incarnation, code, signal)
        self.do(self.stack.instance_event(one, event, self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.stack.deadline_passed(self.now))

    def hears(self) -> list[str]:
        said, self.said = self.said, []
        return said


def running(strategy: Strategy, peers: dict[str, PeerSpec] = PEERS) -> Running:
    stack = Running(strategy, peers)
    for one in list(stack.stack.instances):
        stack.ready(one)
    stack.hears()
    assert all(i.is_settled for i in stack.stack.instances.values())
    return stack


@pytest.mark.parametrize("died", [A, B0, C, D])
@pytest.mark.parametrize("code", [0, 1, None])
def test_one_for_one_touches_nobody_else(died: InstanceId, code: int | None) -> None:
    stack = running(Strategy.ONE_FOR_ONE)
    stack.ends(died, code)
    assert stack.hears() == [f"start {died}"]
    assert all(i.is_settled for i in stack.stack.instances.values() if i.id != died)


REST, ALL = Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL


@pytest.mark.parametrize(
    ("strategy", "died", "waves"),
    [
        (REST, A, [{B0, B1, D}, {C}]),
        (REST, B1, [{D}, {C}]),
        (REST, C, [{D}]),
        (REST, D, []),
        (ALL, A, [{B0, B1, D}, {C}]),
        (ALL, B1, [{B0, D}, {C}, {A}]),
        (ALL, C, [{A, B0, B1, D}]),
        (ALL, D, [{B0, B1, C}, {A}]),
    ],
)
def test_who_goes_along_and_in_which_order(
    strategy: Strategy, died: InstanceId, waves: list[set[InstanceId]]
) -> None:
    stack = running(strategy)
    stack.ends(died)
    for wave in waves:
        # Reverse order: whoever is needed by another one stops after that.
        assert stack.stack.instances[died].state is State.BACKOFF
        assert set(stack.hears()) == {f"stop {i}" for i in wave}
        for one in sorted(wave):
            stack.ends(one, 0)
    stack.pass_time(0.0)
    for one in set(stack.stack.instances) - {died}.union(*waves):
        assert stack.stack.instances[one].is_settled
    for _ in range(5):
        for one, instance in stack.stack.instances.items():
            if instance.state is State.STARTING:
                stack.ready(one)
        stack.pass_time(0.0)
    assert not [word for word in stack.hears() if word.startswith("stop")]
    assert all(i.is_settled for i in stack.stack.instances.values())
    assert not stack.stack.regroup.members


def test_they_start_again_in_order_each_when_those_before_it_are_settled() -> None:
    stack = running(Strategy.ONE_FOR_ALL)
    stack.ends(B0)
    for one in (B1, D, C, A):
        stack.ends(one, 0)
    stack.pass_time(0.0)
    assert [word for word in stack.hears() if word.startswith("start")] == ["start a:0"]
    reason = stack.stack.instances[D].reason
    assert reason == "b:0 failed (one_for_all): waiting for a:0"
    stack.ready(A)
    stack.pass_time(0.0)
    assert stack.hears() == ["start b:0", "start b:1"]
    stack.ready(B0)
    assert stack.hears() == []
    stack.ready(B1)
    assert stack.hears() == ["start c:0"]
    stack.ready(C)
    assert stack.hears() == ["start d:0"]
    assert stack.stack.instances[A].failures == 0
    assert stack.stack.instances[D].failures == 0


def test_a_second_failure_meanwhile_begins_anew() -> None:
    stack = running(Strategy.REST_FOR_ONE)
    stack.ends(A)
    for one in (B0, B1, D, C):
        stack.ends(one, 0)
    stack.pass_time(0.0)
    assert "start a:0" in stack.hears()
    stack.ends(A)
    stack.pass_time(0.1)
    assert stack.hears() == ["start a:0"]
    assert stack.stack.instances[C].reason == "a:0 failed (rest_for_one): waiting for a:0"


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
def test_one_that_is_fatal_holds_back_those_that_go_with_it(strategy: Strategy) -> None:
    stack = running(strategy)
    stack.ends(A, EXIT_CANNOT_START)
    assert stack.stack.instances[A].state is State.FATAL
    for one in (B0, B1, D, C):
        stack.ends(one, 0)
    stack.pass_time(60.0)
    assert not [word for word in stack.hears() if word.startswith("start")]
    waiting = stack.stack.instances[B0]
    assert waiting.wanted
    assert waiting.reason is not None
    assert waiting.reason.endswith("but a:0 is FATAL (exit code 78)")
    assert stack.stack.is_waiting_in_vain(waiting)
    # Started by hand it takes the others along.
    stack.do(stack.stack.start([A], stack.now))
    assert stack.hears() == ["start a:0"]
    stack.ready(A)
    assert set(stack.hears()) == {"start b:0", "start b:1"}


def test_what_is_stopped_by_hand_no_longer_holds_anybody_back() -> None:
    stack = running(Strategy.REST_FOR_ONE)
    stack.ends(B0, EXIT_CANNOT_START)
    for one in (D, C):
        stack.ends(one, 0)
    assert not [word for word in stack.hears() if word.startswith("start")]
    stack.do(stack.stack.stop([B0], stack.now))
    assert stack.hears() == ["start c:0"]


def test_one_for_all_with_a_fatal_one_holds_back_those_before_it() -> None:
    stack = running(Strategy.ONE_FOR_ALL)
    stack.ends(D, EXIT_CANNOT_START)
    for one in (B0, B1, C, A):
        stack.ends(one, 0)
    assert not [word for word in stack.hears() if word.startswith("start")]
    assert stack.stack.is_waiting_in_vain(stack.stack.instances[A])


@pytest.mark.parametrize(
    "peer",
    [
        PeerSpec("x", kind=Kind.JOB),
        PeerSpec("x", restart=RestartPolicy.NEVER),
        PeerSpec("x", restart=RestartPolicy.ON_FAILURE),
    ],
)
def test_an_end_that_is_no_failure_takes_nobody_along(peer: PeerSpec) -> None:
    stack = running(Strategy.ONE_FOR_ALL, {"x": peer, "y": PeerSpec("y")})
    stack.ends(InstanceId("x", 0), 0)
    assert stack.hears() == []
    assert stack.stack.instances[InstanceId("y", 0)].is_settled


def test_what_ends_because_the_router_is_away_takes_nobody_along() -> None:
    stack = running(Strategy.ONE_FOR_ALL)
    stack.do(stack.stack.router_event(happened.RouterLost("lost"), 1.0))
    child = stack.stack.instances[A].child
    assert child is not None
    event = happened.ChildExited(child.incarnation, 1, None, router_ready=False)
    stack.do(stack.stack.instance_event(A, event, 1.0))
    assert stack.hears() == []


def test_a_stop_by_hand_beats_the_restart_with_others() -> None:
    stack = running(Strategy.REST_FOR_ONE)
    stack.ends(C)
    assert stack.hears() == ["stop d:0"]
    stack.do(stack.stack.stop([D], stack.now))
    stack.ends(D, 0)
    stack.pass_time(0.0)
    assert stack.hears() == ["start c:0"]
    stack.ready(C)
    assert stack.hears() == []
    assert stack.stack.instances[D].state is State.STOPPED


def test_the_end_of_the_stack_beats_it_too() -> None:
    stack = running(Strategy.ONE_FOR_ALL)
    stack.ends(A)
    stack.do(stack.stack.shut_down(stack.now))
    for one in (B0, B1, D, C):
        stack.ends(one, 0)
    assert not [word for word in stack.hears() if word.startswith("start")]
    assert all(i.is_gone for i in stack.stack.instances.values())
