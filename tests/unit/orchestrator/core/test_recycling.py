"""Limits of memory, calls and age: who is replaced for them, and that never two are at once."""

from __future__ import annotations

import pytest

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.recycling import reason_to_recycle
from orchestrator.core.router import RouterSpec
from orchestrator.core.spec import Kind, PeerSpec
from orchestrator.core.stack import RECYCLE_AGAIN_S, Stack
from orchestrator.core.states import InstanceId, State
from tests.unit.orchestrator.core.test_stack import spawned

ONE, TWO = InstanceId("x", 0), InstanceId("x", 1)


def reason(spec: PeerSpec, **given: object) -> str | None:
    known: dict[str, object] = {"age_s": 5.0, "calls": 3, "pss_bytes": 100, "spread": 0.0}
    return reason_to_recycle(spec, **{**known, **given})  # type: ignore[arg-type]


def test_without_limits_never() -> None:
    assert reason(PeerSpec("x"), age_s=1e9, calls=10**9, pss_bytes=2**50) is None


@pytest.mark.parametrize(
    ("spec", "below", "above", "said"),
    [
        (
            PeerSpec("x", max_memory_bytes=2**20),
            {"pss_bytes": 2**20},
            {"pss_bytes": 3 * 2**20},
            "it has 3.0 MiB (max_memory 1.0 MiB)",
        ),
        (
            PeerSpec("x", max_calls=100),
            {"calls": 94},
            {"calls": 95},
            "it has answered 95 calls (max_calls 100)",
        ),
        (
            PeerSpec("x", max_age_s=60.0),
            {"age_s": 56.9},
            {"age_s": 57.0},
            "it is 57 s old (max_age 60 s)",
        ),
    ],
)
def test_each_limit(spec, below, above, said) -> None:
    assert reason(spec, **below) is None
    assert reason(spec, **above) == said


@pytest.mark.parametrize(("spread", "at"), [(-1.0, 100), (1.0, 90)])
def test_the_jitter_is_to_the_early_side(spread: float, at: int) -> None:
    spec = PeerSpec("x", max_calls=100)
    assert reason(spec, calls=at - 1, spread=spread) is None
    assert reason(spec, calls=at, spread=spread) is not None


def test_what_memory_is_not_known_is_within_its_limit() -> None:
    assert reason(PeerSpec("x", max_memory_bytes=1), pss_bytes=None) is None


def up(spec: PeerSpec) -> Stack:
    stack = Stack.of({"x": spec}, ["x"], RouterSpec())
    stack.start(stack.instances, 0.0)
    stack.router_event(happened.RouterJoined(), 0.0)
    for one in list(stack.instances):
        begin(stack, one, 0.0)
    return stack


def begin(stack: Stack, one: InstanceId, now: float) -> list[do.Command]:
    incarnation = stack.instances[one].incarnation
    stack.instance_event(one, happened.ChildSpawned(incarnation, 1), now)
    return beat(stack, one, now)


def beat(stack: Stack, one: InstanceId, now: float, calls: int = 0) -> list[do.Command]:
    incarnation = stack.instances[one].incarnation
    answer = happened.HeartbeatAnswered(one, incarnation, True, None, 0.0, calls)
    return stack.heartbeat_answered(answer, now)


def ended(stack: Stack, one: InstanceId, incarnation: int, now: float) -> list[do.Command]:
    return stack.instance_event(one, happened.ChildExited(incarnation, 0, None), now)


def test_the_replacement_is_ready_first_and_one_at_a_time() -> None:
    stack = up(PeerSpec("x", replicas=2, max_calls=100))
    commands = beat(stack, ONE, 20.0, calls=100)
    assert spawned(commands) == ["x:0"]
    report = next(c for c in commands if isinstance(c, do.Report))
    assert report.reason == "it has answered 100 calls (max_calls 100): replaced"
    assert beat(stack, TWO, 20.1, calls=100) == []
    assert any(isinstance(c, do.DrainChild) for c in begin(stack, ONE, 20.2))
    assert beat(stack, TWO, 20.3, calls=100) == []
    ended(stack, ONE, 1, 20.4)
    assert spawned(beat(stack, TWO, 20.5, calls=100)) == ["x:1"]


def test_a_single_one_is_drained_and_then_started() -> None:
    stack = up(PeerSpec("x", max_calls=100))
    commands = beat(stack, ONE, 20.0, calls=100)
    assert [type(c) for c in commands if not isinstance(c, do.Report)] == [do.DrainChild]
    assert spawned(ended(stack, ONE, 1, 20.5)) == ["x:0"]


def test_a_replacement_that_fails_is_not_tried_at_each_heartbeat() -> None:
    stack = up(PeerSpec("x", replicas=2, max_calls=100))
    beat(stack, ONE, 20.0, calls=100)
    stack.instance_event(ONE, happened.ChildSpawned(2, 2), 20.1)
    stack.instance_event(ONE, happened.ChildExited(2, 1, None), 20.2)
    instance = stack.instances[ONE]
    assert (instance.state, instance.ready) == (State.RUNNING, True)
    answer = happened.HeartbeatAnswered(ONE, 1, True, None, 0.0, 100)
    assert stack.heartbeat_answered(answer, 21.0) == []
    assert spawned(stack.heartbeat_answered(answer, 20.0 + RECYCLE_AGAIN_S)) == ["x:0"]


def test_jobs_have_no_such_limits() -> None:
    stack = up(PeerSpec("x", kind=Kind.JOB, max_age_s=1.0))
    assert beat(stack, ONE, 20.0) == []


def test_not_while_the_stack_stops() -> None:
    stack = up(PeerSpec("x", max_age_s=1.0))
    stack.shut_down(20.0)
    assert spawned(beat(stack, ONE, 20.0)) == []
