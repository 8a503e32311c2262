"""When a program is ready, unready, missed: rule by rule, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestrator.core.spec import HeartbeatPolicy
from orchestrator.core.states import InstanceId
from orchestrator.loop import Timer
from orchestrator.presence import Answers, Question
from orchestrator.program_watch import Program, ProgramWatch
from wampy.errors import RequestError
from wampy.messages import Result
from wampy.protocol.received import Reply

ID = InstanceId("js", 0)
AUTHID = "peer:js:0#1"


class Clock:
    """The loop's timers, and time that passes when the test says so."""

    def __init__(self) -> None:
        self.time = 100.0
        self.timers: list[Timer] = []

    def now(self) -> float:
        return self.time

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.time + delay_s, len(self.timers), callback))
        return self.timers[-1]

    def pass_s(self, seconds: float) -> None:
        end = self.time + seconds
        while due := sorted(t for t in self.timers if t.callback and t.due_at <= end):
            first = due[0]
            self.timers.remove(first)
            self.time = max(self.time, first.due_at)
            assert first.callback is not None
            first.callback()
        self.time = end


class Case:
    """A watch of one program, a Router that answers at once, and what was told."""

    def __init__(self, heartbeat: str | None = None, provides: tuple[str, ...] = ("a",)) -> None:
        self.clock = Clock()
        self.registered = True
        self.beats: Any = True
        self.is_router_silent = False
        self.told: list[Any] = []
        watch: Any = ProgramWatch
        self.watch: ProgramWatch = watch(
            self.clock, self.ask, "echo", self.answered, lambda *_: self.told.append("missed")
        )
        policy = HeartbeatPolicy(interval_s=2.0, timeout_s=1.0, failures=3)
        self.program = Program(ID, 1, 0, AUTHID, provides, heartbeat, policy, 5.0, 30.0)

    def ready(self) -> Case:
        self.watch.joined()
        self.watch.watch(self.program)
        self.clock.pass_s(0.01)
        assert self.heard() == [True]
        return self

    def heard(self) -> list[Any]:
        heard, self.told = self.told, []
        return heard

    def answered(self, instance: Any, number: Any, report: dict[str, Any], _: float) -> None:
        assert (instance, number, report["incarnation"]) == (ID, 1, 1)
        self.told.append(True if report["ready"] else report["reason"])

    def ask(
        self, questions: Sequence[Question], timeout_s: float, done: Callable[[Answers], None]
    ) -> None:
        answers = [self.answer(question) for question in questions]
        delay_s = timeout_s if None in answers else 0.0
        self.clock.call_later(delay_s, lambda: done(answers))

    def answer(self, question: Question) -> Reply | None:
        if self.is_router_silent:
            return None
        values = {
            "echo": 1,
            "wamp.registration.lookup": 5 if self.registered else None,
            "wamp.registration.list_callees": [7],
            "wamp.session.get": {"authid": AUTHID},
        }
        if question.procedure in values:
            return Reply(1, Result(request_id=1, args=[values[question.procedure]]))
        if not self.registered:
            return Reply(1, None, RequestError("wamp.error.no_such_procedure"))
        return Reply(1, Result(request_id=1, args=[1])) if self.beats else None


def test_it_is_looked_at_until_it_is_ready_and_then_each_interval():
    case = Case()
    case.registered = False
    case.watch.joined()
    case.watch.watch(case.program)
    case.clock.pass_s(0.01)
    assert case.heard() == ["a is not registered"]
    case.registered = True
    case.clock.pass_s(0.05)
    assert case.heard() == [True]
    case.clock.pass_s(1.9)
    assert case.heard() == []
    case.clock.pass_s(2.0)
    assert case.heard() == [True]


def test_without_anything_to_ask_it_by_it_is_ready():
    Case(provides=()).ready()


def test_nothing_is_asked_before_the_session_is_there():
    case = Case()
    case.watch.watch(case.program)
    case.clock.pass_s(10)
    assert case.heard() == []
    case.watch.joined()
    case.clock.pass_s(0.01)
    assert case.heard() == [True]


def test_what_is_gone_for_as_many_looks_as_may_fail_makes_it_unready():
    case = Case().ready()
    case.registered = False
    case.clock.pass_s(4.1)
    assert case.heard() == []
    case.clock.pass_s(2.0)
    assert case.heard()[0] == "a is not registered"
    case.clock.pass_s(60)
    assert "missed" not in case.heard()
    case.registered = True
    case.clock.pass_s(2.1)
    assert case.heard()[-1] is True


def test_what_the_router_tells_is_believed_at_one_look():
    case = Case().ready()
    case.registered = False
    case.watch.program_left(AUTHID)
    case.watch.program_left("peer:other:0#1")
    case.clock.pass_s(0.06)
    assert case.heard()[0] == "a is not registered"


def test_whoever_joins_is_looked_at_soon():
    case = Case()
    case.registered = False
    case.watch.joined()
    case.watch.watch(case.program)
    case.clock.pass_s(10)
    case.heard()
    case.registered = True
    case.watch.program_joined(AUTHID)
    case.clock.pass_s(0.03)
    assert case.heard() == [True]


def test_a_silent_heartbeat_is_missed_each_interval():
    case = Case("beat").ready()
    case.beats = False
    case.clock.pass_s(7.1)
    assert case.heard() == ["missed"] * 3


def test_while_it_starts_a_silent_heartbeat_is_no_miss():
    case = Case("beat")
    case.beats = False
    case.watch.joined()
    case.watch.watch(case.program)
    case.clock.pass_s(5)
    assert set(case.heard()) == {"its heartbeat is not answered"}


def test_one_that_is_gone_has_its_time_to_come_back_before_it_is_missed():
    case = Case("beat").ready()
    case.registered = False
    case.watch.program_left(AUTHID)
    case.clock.pass_s(5)
    assert "missed" not in case.heard()
    case.clock.pass_s(5)
    assert "missed" in case.heard()


def test_a_router_that_is_silent_blames_nobody():
    case = Case("beat").ready()
    case.is_router_silent = True
    case.clock.pass_s(20)
    assert case.heard() == []


def test_with_a_new_session_everybody_is_looked_at_anew():
    case = Case("beat").ready()
    case.watch.lost()
    case.clock.pass_s(20)
    assert case.heard() == []
    case.registered = False
    case.watch.joined()
    case.clock.pass_s(4)
    assert "missed" not in case.heard()
    case.registered = True
    case.clock.pass_s(0.6)
    assert case.heard()[-1] is True


@pytest.mark.parametrize("how", ["unwatch", "watch another"])
def test_who_is_not_watched_any_more_is_not_heard_of(how):
    case = Case().ready()
    case.clock.pass_s(1.0)
    case.watch._look(case.watch._watched[ID])
    case.watch.unwatch(ID)
    if how == "watch another":
        case.watch.lost()
        case.watch.watch(case.program)
    case.clock.pass_s(10)
    assert case.heard() == []
