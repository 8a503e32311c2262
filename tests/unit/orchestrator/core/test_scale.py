"""Scaling a Peer up, down, to nothing and back; time is a number, nothing runs."""

from __future__ import annotations

from orchestrator.core import events as happened
from orchestrator.core.states import InstanceId, State
from tests.unit.orchestrator.core.test_stack import (
    LOADER,
    SEARCH,
    STORE,
    be_ready,
    drained,
    gone,
    spawned,
    up,
)

SEARCH_1, SEARCH_2 = InstanceId("search", 1), InstanceId("search", 2)


def test_up_starts_more_of_it() -> None:
    stack = up()
    assert spawned(stack.scale("search", 4, 3.0)) == ["search:2", "search:3"]
    assert [str(i) for i in stack.instances][:5] == [
        "store:0", "search:0", "search:1", "search:2", "search:3",
    ]  # fmt: skip
    assert stack.instances[SEARCH].spec.replicas == 4


def test_down_drains_the_last_and_forgets_them() -> None:
    stack = up()
    assert drained(stack.scale("search", 1, 3.0)) == ["search:1"]
    assert [str(i.id) for i in stack.of_peer("search")] == ["search:0"]
    assert stack.instances[SEARCH_1].state is State.STOPPING
    gone(stack, SEARCH_1)
    assert SEARCH_1 not in stack.instances
    # What is late about it is nobody's business.
    assert stack.instance_event(SEARCH_1, happened.ChildExited(1, 0, None), 6.0) == []


def test_to_nothing_and_back() -> None:
    stack = up()
    assert drained(stack.scale("search", 0, 3.0)) == ["search:0", "search:1"]
    gone(stack, SEARCH)
    gone(stack, SEARCH_1)
    assert stack.of_peer("search") == []
    assert spawned(stack.scale("search", 1, 7.0)) == ["search:0"]
    be_ready(stack, SEARCH, now=8.0)
    assert stack.instances[SEARCH].is_settled


def test_up_again_while_it_is_being_drained() -> None:
    stack = up()
    stack.scale("search", 1, 3.0)
    assert spawned(stack.scale("search", 2, 3.5)) == []
    assert spawned(gone(stack, SEARCH_1)) == ["search:1"]


def test_what_has_been_stopped_is_not_started_by_more_of_it() -> None:
    stack = up()
    stack.stop([SEARCH, SEARCH_1], 3.0)
    gone(stack, SEARCH)
    gone(stack, SEARCH_1)
    assert spawned(stack.scale("search", 3, 7.0)) == []
    assert stack.instances[SEARCH_2].state is State.STOPPED


def test_nothing_waits_for_what_goes() -> None:
    stack = up()
    stack.scale("store", 0, 3.0)
    stack.stop([SEARCH], 3.0)
    gone(stack, SEARCH)
    # Nothing of the store is needed any more: what depends on it may start.
    assert spawned(stack.start([SEARCH], 5.0)) == ["search:0"]


def test_during_a_rolling_restart() -> None:
    stack = up()
    stack.restart([SEARCH, SEARCH_1], 3.0)
    assert "search" in stack.rolls
    stack.scale("search", 1, 3.5)
    stack.instance_event(SEARCH, happened.ChildSpawned(2, 77), 3.6)
    stack.heartbeat_answered(happened.HeartbeatAnswered(SEARCH, 2, True, None, 0.0), 3.7)
    stack.instance_event(SEARCH, happened.ChildExited(1, 0, None), 4.0)
    gone(stack, SEARCH_1)
    assert "search" not in stack.rolls
    assert [str(i.id) for i in stack.of_peer("search")] == ["search:0"]


def test_the_end_of_the_stack_stops_what_goes_too() -> None:
    stack = up()
    stack.scale("search", 1, 3.0)
    stack.shut_down(3.5)
    assert stack.scale("search", 5, 3.6) == []
    gone(stack, SEARCH_1)
    gone(stack, SEARCH)
    gone(stack, LOADER)
    assert stack.instances[STORE].state is State.STOPPING
