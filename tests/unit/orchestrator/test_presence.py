"""What is asked of the Router, and what its answers mean; nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.presence import Answers, Finding, Question, Registry, Unanswered, look_at
from wampy.errors import RequestError
from wampy.messages import Result
from wampy.protocol.received import Reply

ME = "peer:adder:0#2"


def reply(value: Any) -> Reply:
    return Reply(1, Result(request_id=1, args=[value]))


def refusal(uri: str) -> Reply:
    return Reply(1, None, RequestError(uri))


class Router:
    """Answers by a table: (procedure, argument) to a value, a Reply, or None for silence."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.answers: dict[tuple[Any, ...], Any] = {("echo",): "x"}

    def registered(self, uri: str, registration: int, *sessions: int) -> None:
        self.answers["wamp.registration.lookup", uri] = registration
        self.answers["wamp.registration.list_callees", registration] = list(sessions)

    def answer(self, questions: list[Question]) -> Answers:
        self.asked += questions
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Reply | None:
        missing = (
            reply(None) if "lookup" in question.procedure else refusal("wamp.error.no_such_session")
        )
        found = self.answers.get((question.procedure, *question.args), missing)
        return found if found is None or isinstance(found, Reply) else reply(found)

    def look(
        self,
        *procedures: str,
        registry: Registry | None = None,
        authid: str | None = ME,
        heartbeat: str | None = None,
    ) -> Finding:
        inquiry = look_at(registry or Registry(), "echo", procedures, authid, heartbeat)
        questions = next(inquiry)
        try:
            while True:
                questions = inquiry.send(self.answer(questions))
        except StopIteration as end:
            found: Finding = end.value
            return found


@pytest.fixture
def router() -> Router:
    made = Router()
    made.answers["wamp.session.get", 7] = {"authid": ME}
    made.answers["wamp.session.get", 8] = {"authid": "peer:adder:0#1"}
    return made


def test_nothing_to_ask_for_is_nothing_missing(router):
    assert router.look() == Finding(None, False, {})
    assert router.asked == [Question("echo")]


def test_all_registered_by_itself(router):
    router.registered("a", 1, 8, 7)
    router.registered("b", 2, 7)
    assert router.look("a", "b").missing is None


def test_one_is_missing(router):
    router.registered("a", 1, 7)
    assert router.look("a", "b").missing == "b is not registered"


def test_what_its_forerunner_holds_says_nothing_of_it(router):
    router.registered("a", 1, 8)
    assert router.look("a").missing == "a is not registered by this instance"
    assert router.look("a", authid=None).missing is None


def test_who_is_known_is_not_asked_for_again(router):
    registry = Registry()
    router.registered("a", 1, 7)
    router.look("a", registry=registry)
    router.asked.clear()
    assert router.look("a", registry=registry).missing is None
    assert not [one for one in router.asked if one.procedure == "wamp.session.get"]


def test_a_session_that_has_gone_meanwhile_is_nobody(router):
    router.registered("a", 1, 99)
    assert router.look("a").missing == "a is not registered by this instance"


def test_a_registration_that_has_gone_meanwhile_has_no_callees(router):
    router.answers["wamp.registration.lookup", "a"] = 1
    router.answers["wamp.registration.list_callees", 1] = refusal("wamp.error.no_such_registration")
    assert router.look("a").missing == "a is not registered by this instance"


def test_a_router_that_refuses_to_tell(router):
    router.answers["wamp.registration.lookup", "a"] = refusal("wamp.error.not_authorized")
    assert "cannot look up a: the router answers wamp.error.not_authorized" in (
        router.look("a").missing
    )


@pytest.mark.parametrize("silent", [("echo",), ("wamp.registration.lookup", "a")])
def test_without_answers_of_the_router_nothing_is_known(router, silent):
    router.registered("a", 1, 7)
    router.answers[silent] = None
    with pytest.raises(Unanswered):
        router.look("a", heartbeat="beat")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(None), {"ready": True}),
        (reply(3), {"ready": True}),
        (reply({}), {"ready": True, "saturated": False}),
        (
            reply({"ready": False, "reason": "cold", "in_flight": 2, "calls": "x", "mine": 1}),
            {"ready": False, "reason": "cold", "in_flight": 2, "saturated": False},
        ),
        (reply({"oldest_call_s": True}), {"ready": True, "saturated": False}),
    ],
)
def test_what_a_heartbeat_answers(router, answer, expected):
    router.answers["beat",] = answer
    assert router.look(heartbeat="beat") == Finding(None, False, expected)


def test_a_heartbeat_that_fails_makes_it_unready(router):
    router.answers["beat",] = refusal("com.example.broken")
    report = router.look(heartbeat="beat").report
    assert report["ready"] is False
    assert "com.example.broken" in report["reason"]


def test_a_heartbeat_that_is_not_answered_and_one_that_is_gone(router):
    router.answers["beat",] = None
    assert router.look(heartbeat="beat") == Finding(None, True, {})
    router.answers["beat",] = refusal("wamp.error.no_such_procedure")
    assert router.look(heartbeat="beat") == Finding("beat cannot be called", False, {})
