"""The life of the Router: what each event brings in each state; time is a number."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from orchestrator.core.commands import Command, KillRouter, ReportRouter, StartRouter, StopRouter
from orchestrator.core.events import (
    DeadlinePassed,
    RouterCondemned,
    RouterEvent,
    RouterExited,
    RouterJoined,
    RouterLost,
    RouterSpawned,
    RouterStartRequested,
    RouterStopRequested,
)
from orchestrator.core.router import KILL_AGAIN_S, TABLE, Router, RouterSpec
from orchestrator.core.spec import Backoff
from orchestrator.core.states import State, UnexpectedEvent

SPEC = RouterSpec(
    start_timeout_s=30.0,
    stop_step_waits_s=(10.0, 5.0),
    backoff=Backoff(jitter=0.0),
    restart_limit=3,
)
EXTERNAL = RouterSpec(is_external=True, start_timeout_s=30.0)
RESET_S = SPEC.backoff.reset_after_s

EVENTS: dict[type[RouterEvent], RouterEvent] = {
    RouterStartRequested: RouterStartRequested(),
    RouterStopRequested: RouterStopRequested(),
    RouterSpawned: RouterSpawned(50),
    RouterJoined: RouterJoined(),
    RouterLost: RouterLost("closed"),
    RouterExited: RouterExited("exited with code 1"),
    RouterCondemned: RouterCondemned("hangs"),
    DeadlinePassed: DeadlinePassed(),
}


def reported(commands: list[Command]) -> ReportRouter:
    """The first of them that reports."""
    return next(c for c in commands if isinstance(c, ReportRouter))


def starting(spec: RouterSpec = SPEC) -> Router:
    router = Router(spec)
    router.handle(RouterStartRequested(), 0.0)
    if not spec.is_external:
        router.handle(RouterSpawned(50), 0.0)
    return router


def running(spec: RouterSpec = SPEC) -> Router:
    router = starting(spec)
    router.handle(RouterJoined(), 1.0)
    return router


def kinds(commands: list) -> list[type]:
    return [type(command) for command in commands]


# ---------------------------------------------------------------------- the table


def test_the_table_is_total():
    known = {event for event in get_args(RouterEvent)} | {DeadlinePassed}
    assert known == set(EVENTS)
    assert set(TABLE) == set(itertools.product(State, EVENTS))


@pytest.mark.parametrize(("state", "kind"), [pair for pair, action in TABLE.items() if not action])
def test_what_cannot_happen_changes_nothing(state, kind):
    router = Router(SPEC, state=state)
    with pytest.raises(UnexpectedEvent, match=f"router: {kind.__name__} in {state.value}"):
        router.handle(EVENTS[kind], 1.0)
    assert router == Router(SPEC, state=state)


# ---------------------------------------------------------------------- starting


def test_it_is_ready_with_its_welcome():
    router = Router(SPEC)
    assert kinds(router.handle(RouterStartRequested(), 0.0)) == [ReportRouter, StartRouter]
    assert (router.state, router.ready, router.next_deadline()) == (State.STARTING, False, 30.0)
    router.handle(RouterSpawned(50), 0.1)
    assert router.handle(RouterLost("connection refused"), 0.2) == []
    assert router.handle(RouterStartRequested(), 0.3) == []
    assert router.handle(RouterJoined(), 0.4) == [
        ReportRouter(State.STARTING, State.RUNNING, True, None)
    ]
    assert (router.pid, router.restarts) == (50, 0)


def test_one_that_is_not_ready_in_time_is_killed_and_says_what_it_waited_for():
    router = starting()
    router.handle(RouterLost("connection refused"), 0.2)
    assert router.handle(DeadlinePassed(), 29.9) == []
    commands = router.handle(DeadlinePassed(), 30.0)
    assert kinds(commands) == [KillRouter, ReportRouter]
    assert reported(commands).reason == "not ready within 30 s: connection refused"
    assert router.handle(RouterJoined(), 30.1) == []  # too late: it dies
    assert router.state is State.STARTING
    assert router.handle(DeadlinePassed(), 30.0 + KILL_AGAIN_S) == [KillRouter()]
    router.handle(RouterExited("killed"), 31.5)
    assert (router.state, router.reason) == (
        State.FATAL,
        "not ready within 30 s: connection refused",
    )
    assert router.next_deadline() is None


def test_one_that_never_worked_is_not_tried_again():
    router = starting()
    assert router.handle(RouterExited("port 8080 is taken"), 0.5) == [
        ReportRouter(State.STARTING, State.FATAL, False, "port 8080 is taken")
    ]
    assert not router.wanted


def test_a_foreign_one_that_never_answers_is_given_up_and_not_killed():
    router = starting(EXTERNAL)
    assert router.handle(DeadlinePassed(), 30.0) == [
        ReportRouter(State.STARTING, State.FATAL, False, "not ready within 30 s")
    ]


@pytest.mark.parametrize("state", [State.FATAL, State.EXITED, State.STOPPED])
def test_it_is_started_again_by_hand(state):
    router = Router(SPEC, state=state, failures=2, started_at=0.0)
    assert StartRouter() in router.handle(RouterStartRequested(), 9.0)
    assert (router.state, router.failures, router.restarts) == (State.STARTING, 0, 1)


# ---------------------------------------------------------------------- failing


def test_one_that_worked_is_replaced_at_once():
    router = running()
    commands = router.handle(RouterExited("killed by SIGKILL"), 2.0)
    assert kinds(commands) == [ReportRouter, ReportRouter, StartRouter]
    assert commands[0] == ReportRouter(State.RUNNING, State.BACKOFF, False, "killed by SIGKILL")
    assert (router.state, router.restarts, router.failures) == (State.STARTING, 1, 1)


def test_one_that_fails_again_waits_longer_and_is_given_up():
    router = running()
    router.handle(RouterExited("first"), 2.0)
    router.handle(RouterSpawned(51), 2.0)
    assert kinds(router.handle(RouterExited("second"), 2.5)) == [ReportRouter]
    assert router.state is State.BACKOFF
    due = router.next_deadline()
    assert due == 2.5 + SPEC.backoff.delay_s(1, 0.0)
    assert router.handle(DeadlinePassed(), due - 0.01) == []
    assert kinds(router.handle(DeadlinePassed(), due)) == [ReportRouter, StartRouter]
    router.handle(RouterSpawned(52), due)
    report = reported(router.handle(RouterExited("third"), due + 1))
    assert report.new is State.FATAL
    assert report.reason == "3 starts in a row failed; the last: third"


def test_failures_are_forgotten_once_it_has_worked_for_long_enough():
    router = running()
    router.handle(RouterExited("first"), 2.0)
    router.handle(RouterSpawned(51), 2.0)
    router.handle(RouterJoined(), 3.0)
    assert router.handle(DeadlinePassed(), 3.0 + RESET_S) == []
    assert (router.failures, router.next_deadline()) == (0, None)


def test_failures_are_forgotten_even_where_no_deadline_was_seen():
    router = running()
    router.failures = 2
    router.handle(RouterExited("late"), 1.0 + RESET_S)
    assert (router.state, router.failures) == (State.STARTING, 1)


def test_one_that_is_not_wanted_any_more_is_not_replaced():
    router = running()
    router.wanted = False
    assert router.handle(RouterExited("gone"), 2.0) == [
        ReportRouter(State.RUNNING, State.STOPPED, False, "gone")
    ]
    assert router.next_deadline() is None


# ---------------------------------------------------------------------- lost, and hung


def test_a_session_that_is_lost_may_come_back():
    router = running()
    assert router.handle(RouterLost("closed"), 5.0) == [
        ReportRouter(State.RUNNING, State.RUNNING, False, "closed")
    ]
    assert router.handle(RouterLost("refused"), 5.1) == []
    router.handle(RouterJoined(), 6.0)
    assert router.ready


def test_one_that_accepts_no_session_is_killed_in_the_end():
    router = running()
    router.handle(RouterLost("closed"), 5.0)
    assert router.handle(DeadlinePassed(), 34.9) == []
    commands = router.handle(DeadlinePassed(), 35.0)
    assert kinds(commands) == [KillRouter, ReportRouter]
    assert reported(commands).reason == "accepts no session: closed"
    assert router.handle(DeadlinePassed(), 35.0 + KILL_AGAIN_S) == [KillRouter()]


def test_one_that_hangs_is_killed_and_replaced():
    router = running()
    commands = router.handle(RouterCondemned("no answer to 3 canaries"), 9.0)
    assert kinds(commands) == [KillRouter, ReportRouter]
    commands = router.handle(RouterExited("killed by SIGKILL"), 9.1)
    assert reported(commands).reason == "no answer to 3 canaries"
    assert StartRouter() in commands


def test_a_foreign_one_that_hangs_is_waited_for():
    router = running(EXTERNAL)
    assert router.handle(RouterCondemned("no answer"), 9.0) == [
        ReportRouter(State.RUNNING, State.RUNNING, False, "no answer")
    ]
    assert router.handle(DeadlinePassed(), 99.0) == []
    assert router.next_deadline() is None
    router.handle(RouterJoined(), 100.0)
    assert router.ready


# ---------------------------------------------------------------------- stopping


def test_it_is_asked_and_asked_again_and_killed():
    router = running()
    assert router.handle(RouterStopRequested(), 5.0) == [
        ReportRouter(State.RUNNING, State.STOPPING, False, None),
        StopRouter(0),
    ]
    assert router.handle(RouterStopRequested(), 6.0) == []
    assert router.handle(DeadlinePassed(), 14.9) == []
    assert router.handle(DeadlinePassed(), 15.0) == [StopRouter(1)]
    assert router.handle(DeadlinePassed(), 20.0) == [KillRouter()]
    assert router.handle(DeadlinePassed(), 20.0 + KILL_AGAIN_S) == [KillRouter()]
    assert router.handle(RouterExited("killed"), 21.5) == [
        ReportRouter(State.STOPPING, State.STOPPED, False, None)
    ]
    assert (router.pid, router.next_deadline()) == (None, None)


def test_a_foreign_one_has_nothing_to_stop():
    router = running(EXTERNAL)
    assert router.handle(RouterStopRequested(), 5.0) == [
        ReportRouter(State.RUNNING, State.STOPPED, False, None)
    ]


def test_a_stop_beats_a_restart():
    router = running()
    router.handle(RouterExited("first"), 2.0)
    router.handle(RouterExited("second"), 2.5)
    assert router.handle(RouterStopRequested(), 2.6) == [
        ReportRouter(State.BACKOFF, State.STOPPED, False, None)
    ]
    assert (router.wanted, router.next_deadline()) == (False, None)


def test_one_that_waits_and_is_not_wanted_any_more_does_not_start():
    router = running()
    router.handle(RouterExited("first"), 2.0)
    router.handle(RouterExited("second"), 2.5)
    router.wanted = False
    assert router.handle(DeadlinePassed(), 60.0) == [
        ReportRouter(State.BACKOFF, State.STOPPED, False, None)
    ]
