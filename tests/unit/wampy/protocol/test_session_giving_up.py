"""Requests that nobody waits for any more."""

from __future__ import annotations

import pytest

from tests.unit.wampy.protocol.talking import RESULT, assert_broken, error, joined
from wampy.errors import (
    LocalProtocolError,
    NoSuchProcedure,
)
from wampy.messages import (
    Call,
    Cancel,
    Registered,
    Result,
    Subscribed,
)
from wampy.protocol import session as module
from wampy.protocol.session import (
    Dropped,
    Reply,
)


def test_a_canceled_call_is_given_up():
    protocol = joined()
    protocol.call("a.b")
    assert protocol.cancel(1, "kill") == Cancel(request_id=1, options={"mode": "kill"})
    assert protocol.receive(RESULT) == Dropped(RESULT)
    assert protocol.receive(RESULT) == Dropped(RESULT)


def test_only_pending_calls_are_canceled():
    protocol = joined()
    protocol.subscribe("a.b")
    for request_id in (1, 2):
        with pytest.raises(LocalProtocolError, match=f"no call with request id {request_id}"):
            protocol.cancel(request_id)
    protocol.call("a.b")
    with pytest.raises(LocalProtocolError, match="cancel mode 'now'; expected one of skip, kill"):
        protocol.cancel(2, "now")  # type: ignore[arg-type]


def test_no_cancel_once_we_leave():
    protocol = joined()
    protocol.call("a.b")
    protocol.goodbye()
    with pytest.raises(LocalProtocolError):
        protocol.cancel(1)


@pytest.mark.parametrize("request_type", [Call.WAMP_CODE, Cancel.WAMP_CODE])
def test_the_error_that_answers_a_canceled_call(request_type):
    """Some Routers name the CALL, others the CANCEL."""
    protocol = joined()
    protocol.call("a.b")
    protocol.cancel(1)
    answer = error(request_type, 1, "wamp.error.canceled")
    assert protocol.receive(answer) == Dropped(answer)


def test_an_error_for_a_cancel_that_came_too_late():
    """CANCEL and RESULT crossed; then the Router finds no call to cancel."""
    protocol = joined()
    protocol.call("a.b")
    protocol.cancel(1)
    assert protocol.receive(RESULT) == Dropped(RESULT)
    answer = error(Cancel.WAMP_CODE, 1, "wamp.error.no_such_call")
    assert protocol.receive(answer) == Dropped(answer)


def test_an_error_that_names_the_cancel_answers_a_pending_call():
    protocol = joined()
    protocol.call("a.b")
    reply = protocol.receive(error(Cancel.WAMP_CODE, 1, "wamp.error.no_such_procedure"))
    assert isinstance(reply, Reply)
    assert isinstance(reply.error, NoSuchProcedure)


def test_parts_of_a_call_given_up():
    protocol = joined()
    protocol.call("a.b")
    protocol.give_up(1)
    part = Result(request_id=1, details={"progress": True})
    assert protocol.receive(part) == Dropped(part)
    assert protocol.receive(part) == Dropped(part)
    assert protocol.receive(RESULT) == Dropped(RESULT)


def test_giving_up_a_call_cancels_it():
    protocol = joined()
    protocol.call("a.b")
    assert protocol.give_up(1) == Cancel(request_id=1, options={"mode": "killnowait"})
    assert protocol.give_up(1) is None


def test_giving_up_anything_else():
    protocol = joined()
    protocol.subscribe("a.b")
    assert protocol.give_up(1) is None
    late = Subscribed(request_id=1, subscription_id=5)
    assert protocol.receive(late) == Dropped(late)


def test_giving_up_while_we_leave():
    protocol = joined()
    protocol.call("a.b")
    protocol.goodbye()
    assert protocol.give_up(1) is None
    assert protocol.receive(RESULT) == Dropped(RESULT)


def test_an_answer_is_never_too_late(monkeypatch):
    """What is remembered is bounded; an answer to what was forgotten still ends no Session."""
    monkeypatch.setattr(module, "_GIVEN_UP_KEPT", 2)
    protocol = joined()
    for _ in range(5):
        protocol.give_up(protocol.call("a.b").request_id or 0)
    late = [Result(request_id=request_id) for request_id in (1, 5, 3, 2, 4)]
    assert [protocol.receive(message) for message in late] == [Dropped(part) for part in late]
    part = Result(request_id=2, details={"progress": True})
    assert protocol.receive(part) == Dropped(part)
    protocol.call("a.b")
    assert_broken(protocol, Result(request_id=7), "not pending")


def test_what_was_forgotten_need_not_be_a_call(monkeypatch):
    monkeypatch.setattr(module, "_GIVEN_UP_KEPT", 0)
    protocol = joined()
    protocol.give_up(protocol.register("a.b").request_id or 0)
    late = Registered(request_id=1, registration_id=1)
    assert protocol.receive(late) == Dropped(late)


def test_what_was_forgotten_hides_no_pending_request(monkeypatch):
    monkeypatch.setattr(module, "_GIVEN_UP_KEPT", 0)
    protocol = joined()
    protocol.call("a.b")
    protocol.give_up(protocol.call("a.b").request_id or 0)
    assert protocol.receive(RESULT) == Reply(1, RESULT)
    protocol = joined()
    protocol.call("a.b")
    protocol.give_up(protocol.call("a.b").request_id or 0)
    assert_broken(protocol, Registered(request_id=1, registration_id=1), "not pending")


def test_a_request_never_sent_is_withdrawn():
    """Ids on the wire have no gaps."""
    protocol = joined()
    protocol.call("a.b")
    protocol.withdraw(protocol.call("a.b").request_id or 0)
    protocol.withdraw(protocol.publish("a.b").request_id or 0)
    assert protocol.call("a.b").request_id == 2
    protocol.withdraw(1)
    assert protocol.call("a.b").request_id == 3


def test_no_id_is_withdrawn_before_the_first():
    """What was made by hand may carry 0; the ids on the wire begin with 1 all the same."""
    protocol = joined()
    protocol.withdraw(0)
    assert protocol.call("a.b").request_id == 1


def test_what_has_been_sent_is_not_withdrawn():
    protocol = joined()
    protocol.call("a.b")
    protocol.call("a.b")
    protocol.withdraw(1)
    assert isinstance(protocol.receive(RESULT), Reply)
