"""Requests, and the replies that answer them."""

from __future__ import annotations

import pytest

from tests.unit.wampy.protocol.talking import RESULT, assert_broken, error, joined
from wampy.errors import (
    LocalProtocolError,
    NotAuthorized,
    SerializationError,
)
from wampy.messages import (
    Call,
    Error,
    Publish,
    Published,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregister,
    Unregistered,
    Unsubscribe,
    Unsubscribed,
)
from wampy.protocol.session import (
    ClientProtocol,
    Dropped,
    Reply,
    SessionState,
)


def requests(protocol: ClientProtocol) -> list:
    """Make one of each request that is answered."""
    return [
        protocol.call("a.b", [1], {"k": 2}, {"disclose_me": True}),
        protocol.publish("a.b", [1], {"k": 2}, {"acknowledge": True}),
        protocol.subscribe("a.", {"match": "prefix"}),
        protocol.unsubscribe(8),
        protocol.register("a..b", {"match": "wildcard"}),
        protocol.unregister(9),
    ]


def answers() -> list:
    return [
        RESULT,
        Published(request_id=2, publication_id=5),
        Subscribed(request_id=3, subscription_id=8),
        Unsubscribed(request_id=4),
        Registered(request_id=5, registration_id=9),
        Unregistered(request_id=6),
    ]


def test_requests_count_from_1():
    assert requests(joined()) == [
        Call(
            request_id=1, options={"disclose_me": True}, procedure="a.b", args=[1], kwargs={"k": 2}
        ),
        Publish(
            request_id=2, options={"acknowledge": True}, topic="a.b", args=[1], kwargs={"k": 2}
        ),
        Subscribe(request_id=3, options={"match": "prefix"}, topic="a."),
        Unsubscribe(request_id=4, subscription_id=8),
        Register(request_id=5, options={"match": "wildcard"}, procedure="a..b"),
        Unregister(request_id=6, registration_id=9),
    ]


def test_each_session_counts_anew():
    joined().call("a.b")
    assert joined().call("a.b").request_id == 1


def test_each_answer_finds_its_request():
    protocol = joined()
    requests(protocol)
    for answer in reversed(answers()):
        assert protocol.receive(answer) == Reply(answer.request_id, answer)


def test_each_request_may_fail():
    protocol = joined()
    for request in requests(protocol):
        message = Error(
            request_type=request.WAMP_CODE,
            request_id=request.request_id,
            error="wamp.error.not_authorized",
            args=("no",),
            kwargs={"k": 1},
            details={"d": 2},
        )
        reply = protocol.receive(message)
        assert isinstance(reply, Reply)
        assert (reply.request_id, reply.message, reply.is_final) == (
            request.request_id, None, True,
        )  # fmt: skip
        assert type(reply.error) is NotAuthorized
        assert (reply.error.args, reply.error.kwargs) == (("no",), {"k": 1})
        assert reply.error.details == {"d": 2}


@pytest.mark.parametrize("answer", answers(), ids=lambda answer: answer.name)
def test_an_answer_to_nothing_is_a_fault(answer):
    assert_broken(joined(), answer, f"{answer.name} answers request .* not pending")


@pytest.mark.parametrize("answer", answers()[1:], ids=lambda answer: answer.name)
def test_an_answer_of_the_wrong_kind_is_a_fault(answer):
    protocol = joined()
    for _ in range(6):
        protocol.call("a.b")
    assert_broken(protocol, answer, "not pending")


def test_a_second_answer_to_a_call_is_dropped():
    """Crossbar sends one when the callee dies just after it has answered."""
    protocol = joined()
    protocol.call("a.b")
    protocol.receive(RESULT)
    late = error(Call.WAMP_CODE, 1)
    assert protocol.receive(late) == Dropped(late)
    assert protocol.receive(RESULT) == Dropped(RESULT)
    assert protocol.state is SessionState.ESTABLISHED


def test_an_answer_to_a_call_that_was_never_made_is_a_fault():
    assert_broken(joined(), RESULT, "RESULT answers request 1, which is not pending")


def test_a_second_answer_to_anything_else_is_a_fault():
    protocol = joined()
    protocol.subscribe("a.b")
    answer = Subscribed(request_id=1, subscription_id=5)
    protocol.receive(answer)
    assert_broken(protocol, answer, "SUBSCRIBED answers request 1, which is not pending")


def test_an_error_of_the_wrong_kind_is_a_fault():
    protocol = joined()
    protocol.call("a.b")
    assert_broken(protocol, error(Register.WAMP_CODE, 1), "not pending")


def test_a_publication_is_answered_only_if_it_was_asked_for():
    protocol = joined()
    assert protocol.publish("a.b").request_id == 1
    assert protocol.publish("a.b", options={"acknowledge": False}).request_id == 2
    # A Router that complains all the same does not end the Session.
    complaint = error(Publish.WAMP_CODE, 2)
    assert protocol.receive(complaint) == Dropped(complaint)
    assert_broken(protocol, Published(request_id=1, publication_id=9), "not pending")


def test_a_complaint_about_a_publication_never_made():
    assert_broken(joined(), error(Publish.WAMP_CODE, 1), "not pending")


def test_a_complaint_about_a_publication_does_not_answer_a_call():
    protocol = joined()
    protocol.call("a.b")
    assert_broken(protocol, error(Publish.WAMP_CODE, 1), "not pending")


def test_progressive_results():
    protocol = joined()
    protocol.call("a.b", options={"receive_progress": True})
    part = Result(request_id=1, details={"progress": True}, args=(1,))
    assert protocol.receive(part) == Reply(1, part, None, False)
    assert protocol.receive(part) == Reply(1, part, None, False)
    assert protocol.receive(RESULT) == Reply(1, RESULT)
    assert protocol.receive(part) == Dropped(part)


@pytest.mark.parametrize(
    "ask",
    [
        lambda protocol: protocol.call("a b"),
        lambda protocol: protocol.publish("a..b"),
        lambda protocol: protocol.subscribe(""),
        lambda protocol: protocol.register("a..b"),
        lambda protocol: protocol.register("a", {"match": "regex"}),
        lambda protocol: protocol.subscribe("a", {"match": ["prefix"]}),
        lambda protocol: protocol.call(None),
        lambda protocol: protocol.invocation_error(1, "not a uri"),
        lambda protocol: protocol.goodbye("not a uri"),
    ],
)
def test_a_wrong_uri_costs_nothing(ask):
    protocol = joined()
    with pytest.raises(LocalProtocolError):
        ask(protocol)
    assert protocol.state is SessionState.ESTABLISHED
    assert protocol.call("a.b").request_id == 1


@pytest.mark.parametrize("options", [[1], "acknowledge", 5])
@pytest.mark.parametrize("ask", ["call", "publish", "subscribe", "register"])
def test_options_of_the_wrong_type_cost_nothing(ask, options):
    protocol = joined()
    with pytest.raises(SerializationError, match=r"Options is an? "):
        getattr(protocol, ask)("a.b", options=options)
    assert protocol.call("a.b").request_id == 1
