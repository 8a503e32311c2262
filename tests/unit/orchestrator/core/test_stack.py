"""Order, gates, verdicts and the end of a whole stack; time is a number, nothing runs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.events import EXIT_CANNOT_START
from orchestrator.core.router import RouterSpec
from orchestrator.core.spec import Backoff, Condition, HeartbeatPolicy, Kind, PeerSpec
from orchestrator.core.stack import Stack
from orchestrator.core.states import InstanceId, State

STORE, SEARCH, LOADER = InstanceId("store", 0), InstanceId("search", 0), InstanceId("loader", 0)
PEERS = {
    "store": PeerSpec("store"),
    "search": PeerSpec("search", replicas=2, depends_on={"store": Condition.READY}),
    "loader": PeerSpec("loader", kind=Kind.JOB, depends_on={"store": Condition.READY}),
    "report": PeerSpec("report", depends_on={"loader": Condition.COMPLETED}),
}


def make(**options: Any) -> Stack:
    return Stack.of(PEERS, list(PEERS), RouterSpec(backoff=Backoff(jitter=0.0)), **options)


def spawned(commands: list[do.Command]) -> list[str]:
    return [str(c.instance) for c in commands if isinstance(c, do.SpawnChild)]


def drained(commands: list[do.Command]) -> list[str]:
    return [str(c.instance) for c in commands if isinstance(c, do.DrainChild)]


def be_ready(stack: Stack, *ids: InstanceId, now: float = 2.0) -> list[do.Command]:
    commands: list[do.Command] = []
    for instance_id in ids:
        incarnation = stack.instances[instance_id].incarnation
        pid = 100 + instance_id.index
        stack.instance_event(instance_id, happened.ChildSpawned(incarnation, pid), now)
        answer = happened.HeartbeatAnswered(instance_id, incarnation, True, None, 0.0)
        commands += stack.heartbeat_answered(answer, now)
    return commands


def gone(stack: Stack, instance_id: InstanceId, code: int = 0, now: float = 5.0):
    child = stack.instances[instance_id].child
    assert child is not None
    event = happened.ChildExited(child.incarnation, code, None, router_ready=stack.router.ready)
    return stack.instance_event(instance_id, event, now)


def up() -> Stack:
    stack = make()
    stack.start(stack.instances, 0.0)
    stack.router_event(happened.RouterSpawned(50), 0.5)
    stack.router_event(happened.RouterJoined(), 1.0)
    be_ready(stack, STORE)
    be_ready(stack, SEARCH, InstanceId("search", 1), LOADER)
    return stack


def test_router_first_then_by_dependency() -> None:
    stack = make()
    commands = stack.start(stack.instances, 0.0)
    assert any(isinstance(c, do.StartRouter) for c in commands)
    assert spawned(commands) == []
    assert stack.instances[STORE].reason == "waiting for the router"
    assert spawned(stack.router_event(happened.RouterJoined(), 1.0)) == ["store:0"]
    assert stack.instances[SEARCH].reason == "waiting for store to be ready"
    assert spawned(be_ready(stack, STORE)) == ["search:0", "search:1", "loader:0"]


def test_a_dependant_of_a_job_waits_until_it_is_done() -> None:
    stack = up()
    assert stack.instances[InstanceId("report", 0)].state is State.STOPPED
    assert spawned(gone(stack, LOADER)) == ["report:0"]


def test_start_by_name_brings_what_it_needs() -> None:
    stack = make()
    stack.start([SEARCH], 0.0)
    assert spawned(stack.router_event(happened.RouterJoined(), 1.0)) == ["store:0"]
    assert spawned(be_ready(stack, STORE)) == ["search:0"]


def test_shut_down_goes_in_reverse_and_ends_with_the_router() -> None:
    stack = up()
    gone(stack, LOADER)
    be_ready(stack, InstanceId("report", 0))
    commands = stack.shut_down(4.0)
    assert set(drained(commands)) == {"search:0", "search:1", "report:0"}
    gone(stack, SEARCH)
    gone(stack, InstanceId("report", 0))
    assert drained(gone(stack, InstanceId("search", 1))) == ["store:0"]
    commands = gone(stack, STORE)
    assert do.StopRouter(0) in commands
    assert stack.router_event(happened.RouterExited("stopped"), 6.0)[-1] == do.Finish(0, None)


def test_nothing_starts_once_it_is_stopping() -> None:
    stack = up()
    stack.shut_down(4.0)
    assert stack.start([LOADER], 4.1) == []
    assert stack.restart([SEARCH], 4.1) == []


def test_shut_down_before_anything_started_finishes_at_once() -> None:
    stack = make()
    assert stack.shut_down(0.0)[-1] == do.Finish(0, None)


def test_stop_by_name_leaves_dependants_alone() -> None:
    stack = up()
    assert drained(stack.stop([STORE], 3.0)) == ["store:0"]
    assert stack.instances[SEARCH].state is State.RUNNING


def test_misses_condemn_only_after_enough_in_a_row() -> None:
    stack = up()
    miss = happened.HeartbeatMissed(STORE, 1, pipe_beats=False)
    assert stack.heartbeat_missed(miss, 3.0) == []
    assert stack.heartbeat_missed(miss, 4.0) == []
    answer = happened.HeartbeatAnswered(STORE, 1, True, None, 0.0)
    stack.heartbeat_answered(answer, 4.5)
    assert stack.heartbeat_missed(miss, 5.0) == []
    assert stack.heartbeat_missed(miss, 6.0) == []
    commands = stack.heartbeat_missed(miss, 7.0)
    assert do.KillChild(STORE, 1, dump=True) in commands
    assert stack.instances[STORE].condemned_cause() == (
        "3 heartbeats missed, it is hung or stopped"
    )


def test_a_hung_session_is_named_as_such() -> None:
    stack = up()
    for now in (3.0, 4.0, 5.0):
        stack.heartbeat_missed(happened.HeartbeatMissed(STORE, 1, pipe_beats=True), now)
    assert stack.instances[STORE].condemned_cause() == (
        "3 heartbeats missed, its session or dispatcher hangs"
    )


def test_misses_without_a_router_count_for_nothing() -> None:
    stack = up()
    stack.router_event(happened.RouterLost("connection lost"), 3.0)
    for now in range(4, 20):
        miss = happened.HeartbeatMissed(STORE, 1, pipe_beats=False)
        assert stack.heartbeat_missed(miss, float(now)) == []
    stack.router_event(happened.RouterJoined(), 21.0)
    assert stack.instances[STORE].state is State.RUNNING


def test_router_death_restarts_the_router_and_no_peer() -> None:
    stack = up()
    stack.router_event(happened.RouterLost("connection lost"), 3.0)
    commands = stack.router_event(happened.RouterExited("killed by signal 9"), 3.1)
    reports = (do.Report, do.ReportRouter)
    assert [type(c) for c in commands if not isinstance(c, reports)] == [do.StartRouter]
    store = stack.instances[STORE]
    assert (store.state, store.ready, store.reason) == (State.RUNNING, False, "the router is away")
    assert spawned(stack.router_event(happened.RouterJoined(), 6.0)) == []


def test_a_crash_while_the_router_is_away_waits_for_it() -> None:
    stack = up()
    stack.router_event(happened.RouterLost("connection lost"), 3.0)
    stack.router_event(happened.RouterExited("killed by signal 9"), 3.1)
    assert spawned(gone(stack, STORE, 1, 3.2)) == []
    assert spawned(stack.router_event(happened.RouterJoined(), 6.0)) == ["store:0"]


@pytest.mark.parametrize(
    ("codes", "state"), [((1, 1), State.BACKOFF), ((EXIT_CANNOT_START,), State.FATAL)]
)
def test_a_start_by_hand_while_the_router_is_away_waits_for_it(codes, state) -> None:
    stack = up()
    for code in codes:
        gone(stack, STORE, code)
    assert stack.instances[STORE].state is state
    stack.router_event(happened.RouterLost("connection lost"), 6.0)
    stack.router_event(happened.RouterExited("killed by signal 9"), 6.1)
    assert spawned(stack.start([STORE], 6.2)) == []
    store = stack.instances[STORE]
    assert (store.state, store.reason) == (State.BACKOFF, "the router is away")
    assert spawned(stack.deadline_passed(7.0)) == []
    assert spawned(stack.router_event(happened.RouterJoined(), 8.0)) == ["store:0"]


def test_a_router_that_never_worked_ends_the_stack() -> None:
    stack = make()
    stack.start(stack.instances, 0.0)
    commands = stack.router_event(happened.RouterExited("port 8080 is taken"), 0.5)
    assert commands[-1] == do.Finish(3, "the router cannot run: port 8080 is taken")


def test_a_call_that_is_too_old_condemns() -> None:
    peers = {"store": PeerSpec("store", max_call_age_s=5.0)}
    stack = Stack.of(peers, ["store"], RouterSpec())
    stack.start(stack.instances, 0.0)
    stack.router_event(happened.RouterJoined(), 1.0)
    be_ready(stack, STORE)
    old = happened.HeartbeatAnswered(STORE, 1, True, None, 5.5)
    assert do.KillChild(STORE, 1, dump=True) in stack.heartbeat_answered(old, 9.0)


def test_fatal_ends_the_stack_only_if_asked() -> None:
    for stop_on_fatal, is_stopping in ((False, False), (True, True)):
        stack = make(stop_on_fatal=stop_on_fatal)
        stack.start(stack.instances, 0.0)
        stack.router_event(happened.RouterJoined(), 1.0)
        stack.instance_event(STORE, happened.ChildSpawned(1, 9), 1.1)
        gone(stack, STORE, 78)
        assert stack.is_stopping is is_stopping
        assert stack.exit_code == (3 if is_stopping else 0)


def test_rolling_restart_goes_one_by_one() -> None:
    stack = up()
    second = InstanceId("search", 1)
    assert spawned(stack.restart([SEARCH, second], 3.0)) == ["search:0"]
    assert drained(be_ready(stack, SEARCH, now=3.5)) == ["search:0"]
    assert stack.instances[second].incarnation == 1
    old = happened.ChildExited(1, 0, None)
    assert spawned(stack.instance_event(SEARCH, old, 4.0)) == ["search:1"]
    be_ready(stack, second, now=4.5)
    stack.instance_event(second, old, 5.0)
    assert stack.rolls.by_name == {}


def test_a_failed_replacement_ends_the_roll() -> None:
    stack = up()
    stack.restart([SEARCH, InstanceId("search", 1)], 3.0)
    stack.instance_event(SEARCH, happened.ChildSpawned(2, 77), 3.1)
    stack.instance_event(SEARCH, happened.ChildExited(2, 1, None), 3.2)
    assert stack.rolls.by_name == {}
    assert stack.instances[SEARCH].ready
    assert stack.instances[InstanceId("search", 1)].incarnation == 1


def test_restart_of_a_single_one_stops_and_starts() -> None:
    stack = up()
    assert drained(stack.restart([STORE], 3.0)) == ["store:0"]
    assert spawned(gone(stack, STORE)) == ["store:0"]


def test_hard_restart_stops_all_replicas() -> None:
    stack = up()
    commands = stack.restart([SEARCH, InstanceId("search", 1)], 3.0, hard=True)
    assert drained(commands) == ["search:0", "search:1"]


def test_a_starting_peer_gets_its_time_again_when_the_router_is_back() -> None:
    stack = make()
    stack.start(stack.instances, 0.0)
    stack.router_event(happened.RouterJoined(), 1.0)
    stack.router_event(happened.RouterLost("gone"), 20.0)
    stack.router_event(happened.RouterJoined(), 25.0)
    assert stack.instances[STORE].next_deadline() == 55.0


def test_deadlines_reach_everybody() -> None:
    stack = up()
    stack.stop([STORE], 3.0)
    assert stack.next_deadline() == 13.0
    assert [type(c) for c in stack.deadline_passed(13.0)] == [do.TerminateChild]


def test_heartbeats_of_unknown_or_former_ones_are_dropped() -> None:
    stack = up()
    stranger = InstanceId("nobody", 0)
    assert stack.heartbeat_missed(happened.HeartbeatMissed(stranger, 1, False), 3.0) == []
    assert stack.heartbeat_missed(happened.HeartbeatMissed(STORE, 9, False), 3.0) == []
    answer = happened.HeartbeatAnswered(STORE, 9, True, None, 0.0)
    assert stack.heartbeat_answered(answer, 3.0) == []
    assert stack.instance_event(stranger, happened.StopRequested(), 3.0) == []


def test_one_miss_suffices_where_the_policy_says_so() -> None:
    peers = {"store": PeerSpec("store", heartbeat=HeartbeatPolicy(failures=1))}
    stack = Stack.of(peers, ["store"], RouterSpec())
    stack.start(stack.instances, 0.0)
    stack.router_event(happened.RouterJoined(), 1.0)
    be_ready(stack, STORE)
    assert stack.heartbeat_missed(happened.HeartbeatMissed(STORE, 1, False), 3.0)


# ---------------------------------------------------------------------- a new manifest


def test_a_new_manifest_starts_what_is_new_and_drains_what_is_not_there_any_more() -> None:
    stack = up()
    specs = {
        "store": PeerSpec("store", replicas=2),
        "search": PEERS["search"],
        "cache": PeerSpec("cache", depends_on={"search": Condition.READY}),
    }
    commands = stack.replan(specs, ["store", "search", "cache"], 3.0)
    assert spawned(commands) == ["store:1", "cache:0"]
    assert drained(commands) == ["loader:0"]
    assert {str(i) for i in stack.instances} == {
        "store:0",
        "store:1",
        "search:0",
        "search:1",
        "cache:0",
        "loader:0",
    }
    assert stack.instances[STORE].incarnation == 1


def test_a_peer_that_left_the_manifest_is_drained_and_forgotten() -> None:
    stack = up()
    left = {"store": PEERS["store"]}
    assert drained(stack.replan(left, ["store"], 3.0)) == ["search:0", "search:1", "loader:0"]
    for one in (SEARCH, InstanceId("search", 1), InstanceId("loader", 0)):
        gone(stack, one)
    assert list(stack.instances) == [STORE]
    assert stack.retiring == set()


def test_no_new_manifest_while_all_is_stopping() -> None:
    stack = up()
    stack.shut_down(3.0)
    assert stack.replan({}, [], 3.5) == []
    assert STORE in stack.instances


# ---------------------------------------------------------------------- rolls that meet something


def test_a_roll_passes_over_what_does_not_run() -> None:
    stack = up()
    second = InstanceId("search", 1)
    stack.stop([SEARCH], 3.0)
    stack.rolls.add("search", [0, 1])
    assert spawned(stack.rolls.advance(3.1)) == ["search:1"]
    assert stack.instances[second].incarnation == 2


def test_a_roll_whose_current_one_is_stopped_ends() -> None:
    stack = up()
    second = InstanceId("search", 1)
    stack.restart([SEARCH, second], 3.0)
    stack.rolls.by_name["search"].current = 5  # scaled away meanwhile
    assert stack.rolls.advance(3.1) == []
    assert "search" not in stack.rolls
    assert stack.instances[second].incarnation == 1


def test_a_roll_goes_on_when_the_next_one_is_already_being_killed() -> None:
    stack = up()
    third = InstanceId("search", 1)
    stack.instance_event(SEARCH, happened.ChildCondemned(1, "hangs"), 3.0)
    assert spawned(stack.restart([SEARCH, third], 3.1)) == ["search:1"]
