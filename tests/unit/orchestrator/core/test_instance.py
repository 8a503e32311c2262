"""The life of one Instance, edge by edge; time is a number, nothing runs."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import replace

import pytest

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.instance import TABLE, TERM_GRACE_S, Instance
from orchestrator.core.spec import Backoff, Kind, PeerSpec, RestartPolicy
from orchestrator.core.states import InstanceId, State, UnexpectedEvent

SPEC = PeerSpec("search", backoff=Backoff(jitter=0.0), restart_limit=4, start_timeout_s=30.0)
ID = InstanceId("search", 0)


def make(spec: PeerSpec = SPEC) -> Instance:
    return Instance(ID, spec)


def started(spec: PeerSpec = SPEC) -> Instance:
    instance = make(spec)
    instance.handle(happened.StartRequested(), 0.0)
    instance.handle(happened.ChildSpawned(1, 101), 0.0)
    return instance


def running(spec: PeerSpec = SPEC) -> Instance:
    instance = started(spec)
    instance.handle(happened.ChildReady(1), 1.0)
    return instance


def crash(instance: Instance, now: float, *, code: int | None = 1) -> list[do.Command]:
    return instance.handle(happened.ChildExited(instance.incarnation, code, None), now)


def kinds(commands: list[do.Command]) -> list[type]:
    return [
        type(command)
        for command in commands
        if not isinstance(command, do.Report | do.ReportFailure)
    ]


def test_the_table_is_total() -> None:
    """Every state meets every event: an action, or a listed impossibility."""
    events = typing.get_args(happened.InstanceEvent)
    assert set(TABLE) == {(state, event) for state in State for event in events}


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair, action in TABLE.items() if action is None]
)
def test_the_impossible_is_told_and_changes_nothing(state: State, event: type) -> None:
    """A listed impossibility raises UnexpectedEvent and leaves the state alone."""
    instance = make()
    instance.state = state
    fields = {"pid": 1, "reason": "", "permanent": False, "code": 1, "signal": None, "cause": ""}
    names = [field.name for field in dataclasses.fields(event)]
    arguments = {name: fields[name] for name in names if name in fields}
    if "incarnation" in names:
        arguments["incarnation"] = 7
        from orchestrator.core.child import Child

        instance.child = Child(7)
    before = replace(instance)
    with pytest.raises(UnexpectedEvent, match=r"search:0: .* in "):
        instance.handle(event(**arguments), 1.0)
    assert instance == before


def test_start_spawns_the_first_incarnation() -> None:
    instance = make()
    commands = instance.handle(happened.StartRequested(), 5.0)
    assert do.SpawnChild(ID, 1) in commands
    assert (instance.state, instance.wanted, instance.restarts) == (State.STARTING, True, 0)
    assert instance.next_deadline() == 35.0


def test_ready_makes_it_running() -> None:
    instance = running()
    assert (instance.state, instance.ready, instance.next_deadline()) == (State.RUNNING, True, None)


def test_first_crash_after_ready_is_restarted_at_once() -> None:
    instance = running()
    assert kinds(crash(instance, 2.0)) == [do.SpawnChild]
    assert (instance.state, instance.incarnation, instance.restarts) == (State.STARTING, 2, 1)


def test_second_crash_in_a_row_waits() -> None:
    instance = running()
    crash(instance, 2.0)
    instance.handle(happened.ChildReady(2), 2.1)
    assert kinds(crash(instance, 2.2)) == []
    assert instance.state is State.BACKOFF
    assert instance.next_deadline() == pytest.approx(2.3)
    assert kinds(instance.handle(happened.DeadlinePassed(), 2.25)) == []
    assert kinds(instance.handle(happened.DeadlinePassed(), 2.31)) == [do.SpawnChild]


def test_staying_ready_forgets_earlier_failures() -> None:
    instance = running()
    crash(instance, 2.0)
    instance.handle(happened.ChildReady(2), 3.0)
    assert instance.next_deadline() == 33.0
    instance.handle(happened.DeadlinePassed(), 33.0)
    assert instance.failures == 0
    assert kinds(crash(instance, 40.0)) == [do.SpawnChild]


def test_crash_after_reset_time_counts_as_the_first() -> None:
    instance = running()
    crash(instance, 2.0)
    instance.handle(happened.ChildReady(2), 3.0)
    assert kinds(crash(instance, 34.0)) == [do.SpawnChild]
    assert instance.failures == 1


def test_a_start_that_never_gets_ready_waits_from_the_first() -> None:
    instance = started()
    assert kinds(crash(instance, 1.0)) == []
    assert instance.state is State.BACKOFF
    assert instance.next_deadline() == pytest.approx(1.1)


def test_restart_limit_makes_it_fatal_with_the_cause() -> None:
    instance = started()
    now = 1.0
    for _ in range(3):
        crash(instance, now)
        assert instance.state is State.BACKOFF
        now = instance.next_deadline() or 0.0
        instance.handle(happened.DeadlinePassed(), now)
    crash(instance, now)
    assert instance.state is State.FATAL
    assert instance.reason == "4 starts in a row failed; the last: exit code 1"
    assert instance.next_deadline() is None


def test_no_limit_never_gives_up() -> None:
    instance = started(replace(SPEC, restart_limit=None))
    for _ in range(50):
        crash(instance, 1.0)
        instance.handle(happened.DeadlinePassed(), 1e9)
    assert instance.state is State.STARTING


def test_exit_78_is_fatal_at_once() -> None:
    instance = started()
    instance.handle(happened.ChildExited(1, 78, None, "config: path is missing"), 1.0)
    assert (instance.state, instance.reason) == (State.FATAL, "config: path is missing")


def test_start_leaves_fatal_and_forgets() -> None:
    instance = started()
    instance.handle(happened.ChildExited(1, 78, None), 1.0)
    assert kinds(instance.handle(happened.StartRequested(), 2.0)) == [do.SpawnChild]
    assert instance.failures == 0


@pytest.mark.parametrize(
    ("policy", "code", "state"),
    [
        (RestartPolicy.ALWAYS, 0, State.STARTING),
        (RestartPolicy.ALWAYS, 1, State.STARTING),
        (RestartPolicy.ON_FAILURE, 0, State.EXITED),
        (RestartPolicy.ON_FAILURE, 3, State.EXITED),
        (RestartPolicy.ON_FAILURE, 1, State.STARTING),
        (RestartPolicy.NEVER, 0, State.EXITED),
        (RestartPolicy.NEVER, 1, State.EXITED),
    ],
)
def test_restart_policy(policy: RestartPolicy, code: int, state: State) -> None:
    """Policy times kind of exit; 3 counts as success here."""
    instance = running(replace(SPEC, restart=policy, success_exit_codes=frozenset({0, 3})))
    crash(instance, 2.0, code=code)
    assert instance.state is state


def test_a_job_that_returns_is_completed() -> None:
    instance = running(replace(SPEC, kind=Kind.JOB))
    crash(instance, 2.0, code=0)
    assert (instance.state, instance.completed, instance.is_settled) == (State.EXITED, True, True)


def test_a_job_that_fails_is_tried_again() -> None:
    instance = running(replace(SPEC, kind=Kind.JOB))
    assert kinds(crash(instance, 2.0)) == [do.SpawnChild]
    assert not instance.completed


def test_whoever_ends_while_the_router_is_away_has_not_failed() -> None:
    instance = started()
    instance.held = "the router is away"
    instance.handle(happened.ChildExited(1, 1, None, router_ready=False), 1.0)
    assert (instance.state, instance.failures, instance.is_held) == (State.BACKOFF, 0, True)
    instance.held = None
    assert kinds(instance.handle(happened.DeadlinePassed(), 1.0)) == [do.SpawnChild]


def test_a_due_restart_waits_for_the_gate() -> None:
    instance = running()
    instance.held = "the router is away"
    crash(instance, 2.0)
    assert kinds(instance.handle(happened.DeadlinePassed(), 2.0)) == []
    assert instance.is_held


def test_stop_while_running_drains_terms_and_kills() -> None:
    """Grace, then TERM, then 5 s, then KILL, again and again until it is gone."""
    instance = running()
    assert kinds(instance.handle(happened.StopRequested(), 10.0)) == [do.DrainChild]
    assert instance.next_deadline() == 20.0
    assert kinds(instance.handle(happened.DeadlinePassed(), 20.0)) == [do.TerminateChild]
    assert instance.next_deadline() == 20.0 + TERM_GRACE_S
    assert kinds(instance.handle(happened.DeadlinePassed(), 25.0)) == [do.KillChild]
    assert kinds(instance.handle(happened.DeadlinePassed(), 26.0)) == [do.KillChild]
    instance.handle(happened.ChildExited(1, None, 9), 26.1)
    assert (instance.state, instance.is_gone, instance.wanted) == (State.STOPPED, True, False)


def test_stop_before_ready_terminates_at_once() -> None:
    instance = started()
    assert kinds(instance.handle(happened.StopRequested(), 1.0)) == [do.TerminateChild]


def test_stop_between_order_and_fork() -> None:
    instance = make()
    instance.handle(happened.StartRequested(), 0.0)
    assert kinds(instance.handle(happened.StopRequested(), 0.1)) == []
    assert kinds(instance.handle(happened.ChildSpawned(1, 5), 0.2)) == [do.TerminateChild]


def test_stop_when_the_fork_fails_after_all() -> None:
    instance = make()
    instance.handle(happened.StartRequested(), 0.0)
    instance.handle(happened.StopRequested(), 0.1)
    instance.handle(happened.SpawnFailed(1, "no memory", False), 0.2)
    assert instance.state is State.STOPPED


def test_stop_beats_a_pending_restart() -> None:
    instance = started()
    crash(instance, 1.0)
    instance.handle(happened.StopRequested(), 1.05)
    assert (instance.state, instance.next_deadline()) == (State.STOPPED, None)
    assert instance.handle(happened.DeadlinePassed(), 9.0) == []


def test_start_while_stopping_is_remembered() -> None:
    instance = running()
    instance.handle(happened.StopRequested(), 2.0)
    instance.handle(happened.StartRequested(), 2.1)
    crash(instance, 2.2, code=0)
    assert (instance.state, instance.wanted) == (State.STOPPED, True)


def test_not_ready_in_time_is_condemned_with_what_it_said() -> None:
    instance = started()
    instance.handle(happened.ChildUnready(1, "index is behind"), 3.0)
    assert instance.handle(happened.DeadlinePassed(), 29.9) == []
    commands = instance.handle(happened.DeadlinePassed(), 30.0)
    assert do.KillChild(ID, 1, dump=True) in commands
    assert instance.condemned_cause() == "not ready within 30 s: index is behind"
    assert kinds(instance.handle(happened.DeadlinePassed(), 31.0)) == [do.KillChild]
    instance.handle(happened.ChildExited(1, None, 9), 31.1)
    assert instance.last_exit is not None
    assert instance.last_exit.cause == "not ready within 30 s: index is behind"


def test_condemned_once_only_and_replaced_when_dead() -> None:
    instance = running()
    assert kinds(instance.handle(happened.ChildCondemned(1, "hung"), 5.0)) == [do.KillChild]
    assert instance.handle(happened.ChildCondemned(1, "hung"), 5.1) == []
    assert instance.handle(happened.ChildReady(1), 5.2) == []
    assert not instance.ready
    assert kinds(instance.handle(happened.DeadlinePassed(), 6.0)) == [do.KillChild]
    assert do.SpawnChild(ID, 2) in instance.handle(happened.ChildExited(1, None, 9), 6.1)


def test_unready_and_ready_again() -> None:
    instance = running()
    instance.handle(happened.ChildUnready(1, "it lost its session"), 2.0)
    assert (instance.state, instance.ready, instance.reason) == (
        State.RUNNING,
        False,
        "it lost its session",
    )
    assert instance.handle(happened.ChildUnready(1, "still"), 2.1) == []
    instance.handle(happened.ChildReady(1), 2.2)
    assert instance.ready
    assert instance.handle(happened.ChildReady(1), 2.3) == []


def test_late_events_of_a_former_incarnation_are_dropped() -> None:
    instance = running()
    crash(instance, 2.0)
    for event in (
        happened.ChildReady(1),
        happened.ChildExited(1, 0, None),
        happened.ChildCondemned(1, "late"),
    ):
        assert instance.handle(event, 2.1) == []
    assert instance.state is State.STARTING


def test_roll_serves_on_until_the_new_one_is_ready() -> None:
    instance = running()
    commands = instance.handle(happened.RollRequested(), 2.0)
    assert kinds(commands) == [do.HandOver, do.SpawnChild]
    commands = instance.handle(happened.ChildReady(2), 2.5)
    assert do.DrainChild(ID, 1) in commands
    assert instance.next_deadline() == 12.5
    instance.handle(happened.ChildExited(1, 0, None), 2.6)
    assert (instance.outgoing, instance.state, instance.ready) == ({}, State.RUNNING, True)


def test_roll_takes_back_when_the_new_one_fails() -> None:
    instance = running()
    instance.handle(happened.RollRequested(), 2.0)
    instance.handle(happened.ChildSpawned(2, 102), 2.0)
    commands = crash(instance, 2.1)
    assert kinds(commands) == [do.TakeBack]
    assert instance.child is not None
    assert (instance.child.incarnation, instance.ready) == (1, True)
    assert instance.reason == "the replacement failed: exit code 1"


def test_roll_takes_back_when_the_fork_fails() -> None:
    instance = running()
    instance.handle(happened.RollRequested(), 2.0)
    commands = instance.handle(happened.SpawnFailed(2, "no memory", False), 2.1)
    assert kinds(commands) == [do.TakeBack]


def test_old_one_that_does_not_drain_is_terminated_and_killed() -> None:
    instance = running()
    instance.handle(happened.RollRequested(), 2.0)
    instance.handle(happened.ChildReady(2), 3.0)
    instance.outgoing[1].pid = 101
    assert kinds(instance.handle(happened.DeadlinePassed(), 13.0)) == [do.TerminateChild]
    assert kinds(instance.handle(happened.DeadlinePassed(), 18.0)) == [do.KillChild]
    assert instance.state is State.RUNNING


def test_stop_during_a_roll_ends_both() -> None:
    instance = running()
    instance.handle(happened.RollRequested(), 2.0)
    instance.handle(happened.ChildSpawned(2, 102), 2.0)
    commands = instance.handle(happened.StopRequested(), 2.1)
    assert kinds(commands) == [do.TerminateChild, do.DrainChild]
    instance.handle(happened.ChildExited(2, None, 15), 2.2)
    assert not instance.is_gone
    instance.handle(happened.ChildExited(1, 0, None), 2.3)
    assert instance.state is State.STOPPED


def test_no_second_roll_while_one_is_under_way() -> None:
    instance = running()
    instance.handle(happened.RollRequested(), 2.0)
    instance.handle(happened.ChildReady(2), 2.5)
    assert instance.handle(happened.RollRequested(), 2.6) == []


def test_spawn_failure_that_is_permanent_is_fatal() -> None:
    instance = make()
    instance.handle(happened.StartRequested(), 0.0)
    instance.handle(happened.SpawnFailed(1, "cannot import", True), 0.1)
    assert (instance.state, instance.reason) == (State.FATAL, "cannot import")
    instance.handle(happened.StopRequested(), 0.2)
    assert instance.state is State.STOPPED


def test_spawn_failure_is_tried_again() -> None:
    instance = make()
    instance.handle(happened.StartRequested(), 0.0)
    instance.handle(happened.SpawnFailed(1, "fork: no memory", False), 0.1)
    assert instance.state is State.BACKOFF


@pytest.mark.parametrize(
    ("failures", "delay_s"), [(1, 0.1), (2, 0.2), (3, 0.4), (8, 10.0), (5000, 10.0)]
)
def test_backoff_grows_to_its_bound(failures: int, delay_s: float) -> None:
    assert Backoff().delay_s(failures, 0.0) == pytest.approx(delay_s)


def test_backoff_jitter_is_a_share_of_the_delay() -> None:
    assert Backoff().delay_s(1, 1.0) == pytest.approx(0.12)
    assert Backoff().delay_s(1, -1.0) == pytest.approx(0.08)


# ---------------------------------------------------------------------- failures, reported


def failure_of(commands: list[do.Command]) -> do.ReportFailure | None:
    return next((one for one in commands if isinstance(one, do.ReportFailure)), None)


@pytest.mark.parametrize("policy", list(RestartPolicy))
@pytest.mark.parametrize(("code", "signum"), [(0, None), (1, None), (78, None), (None, 9)])
def test_what_becomes_of_each_end_under_each_policy(
    policy: RestartPolicy, code: int | None, signum: int | None
) -> None:
    instance = running(replace(SPEC, restart=policy))
    commands = instance.handle(happened.ChildExited(1, code, signum), 5.0)
    failure = failure_of(commands)
    is_success = code == 0
    if code == 78:
        expected = State.FATAL
    elif policy is RestartPolicy.ALWAYS or (policy is RestartPolicy.ON_FAILURE and not is_success):
        expected = State.STARTING
    else:
        expected = State.EXITED
    assert instance.state is expected
    if expected is State.EXITED and is_success:
        assert failure is None
    else:
        assert failure is not None
        assert (failure.code, failure.signal, failure.was_ready) == (code, signum, True)
        assert (
            failure.then
            == {
                State.STARTING: "started again at once",
                State.FATAL: "given up: exit code 78",
                State.EXITED: "left as it is, as its restart policy says",
            }[expected]
        )


def test_what_cannot_be_told_to_drain_gets_sigterm_and_its_whole_grace() -> None:
    """A program: TERM, stop_grace, KILL; while it starts and while it runs."""
    spec = replace(SPEC, drains=False, stop_grace_s=20.0)
    for instance in (started(spec), running(spec)):
        assert kinds(instance.handle(happened.StopRequested(), 2.0)) == [do.TerminateChild]
        assert instance.next_deadline() == 22.0
        assert kinds(instance.handle(happened.DeadlinePassed(), 22.0)) == [do.KillChild]
    assert TERM_GRACE_S < 20.0
