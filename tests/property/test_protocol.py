"""A client's Session: replies in any legal order find their requests; anything else is an error."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.property.wamp import messages
from wampy.auth import Ticket
from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.messages import (
    Error,
    Message,
    Published,
    Registered,
    Result,
    Subscribed,
    Unregistered,
    Unsubscribed,
    Welcome,
)
from wampy.protocol.session import ClientProtocol, Dropped, Reply, SessionState

REQUESTS = {
    "call": lambda protocol: protocol.call("a.b"),
    "publish": lambda protocol: protocol.publish("a.b", options={"acknowledge": True}),
    "subscribe": lambda protocol: protocol.subscribe("a.b"),
    "unsubscribe": lambda protocol: protocol.unsubscribe(1),
    "register": lambda protocol: protocol.register("a.b"),
    "unregister": lambda protocol: protocol.unregister(1),
}
ANSWERS = {
    "call": lambda request_id: Result(request_id=request_id),
    "publish": lambda request_id: Published(request_id=request_id, publication_id=1),
    "subscribe": lambda request_id: Subscribed(request_id=request_id, subscription_id=1),
    "unsubscribe": lambda request_id: Unsubscribed(request_id=request_id),
    "register": lambda request_id: Registered(request_id=request_id, registration_id=1),
    "unregister": lambda request_id: Unregistered(request_id=request_id),
}
CODES = {
    "call": 48,
    "publish": 16,
    "subscribe": 32,
    "unsubscribe": 34,
    "register": 64,
    "unregister": 66,
}


def joined() -> ClientProtocol:
    protocol = ClientProtocol("realm1")
    protocol.hello()
    protocol.receive(Welcome(session_id=1))
    return protocol


class Requests(RuleBasedStateMachine):
    """Requests made, given up, withdrawn and answered, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol = joined()
        self.last = 0
        self.waiting: dict[int, str] = {}
        self.given_up: dict[int, str] = {}

    @rule(kind=st.sampled_from(list(REQUESTS)))
    def ask(self, kind: str) -> None:
        self.last += 1
        assert REQUESTS[kind](self.protocol).request_id == self.last
        self.waiting[self.last] = kind

    @rule()
    def publish_without_an_answer(self) -> None:
        self.last += 1
        assert self.protocol.publish("a.b").request_id == self.last

    @precondition(lambda self: self.last in self.waiting)
    @rule()
    def withdraw(self) -> None:
        self.protocol.withdraw(self.last)
        del self.waiting[self.last]
        self.last -= 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(list(self.waiting)))
        kind = self.given_up[request_id] = self.waiting.pop(request_id)
        assert (self.protocol.give_up(request_id) is not None) == (kind == "call")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), fails=st.booleans())
    def answer(self, data: st.DataObject, fails: bool) -> None:
        request_id = data.draw(st.sampled_from(list(self.waiting)))
        message = self.message(request_id, self.waiting.pop(request_id), fails)
        reply = self.protocol.receive(message)
        assert isinstance(reply, Reply)
        assert (reply.request_id, reply.is_final) == (request_id, True)
        assert (reply.error is not None, reply.message is None) == (fails, fails)

    @precondition(lambda self: "call" in self.waiting.values())
    @rule(data=st.data())
    def answer_in_part(self, data: st.DataObject) -> None:
        calls = [request_id for request_id, kind in self.waiting.items() if kind == "call"]
        part = Result(request_id=data.draw(st.sampled_from(calls)), details={"progress": True})
        assert self.protocol.receive(part) == Reply(part.request_id, part, None, False)

    @precondition(lambda self: self.given_up)
    @rule(data=st.data(), fails=st.booleans())
    def answer_late(self, data: st.DataObject, fails: bool) -> None:
        request_id = data.draw(st.sampled_from(list(self.given_up)))
        message = self.message(request_id, self.given_up.pop(request_id), fails)
        assert self.protocol.receive(message) == Dropped(message)

    @invariant()
    def the_session_goes_on(self) -> None:
        assert self.protocol.state is SessionState.ESTABLISHED

    @staticmethod
    def message(request_id: int, kind: str, fails: bool) -> Message:
        if fails:
            return Error(request_type=CODES[kind], request_id=request_id, error="a.b")
        return ANSWERS[kind](request_id)


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.booleans(), st.lists(messages(), max_size=8))
def test_any_messages_at_any_time(is_joined, received):
    """The other side may say anything: a result, or one of our errors, and the end is the end."""
    protocol = joined() if is_joined else ClientProtocol("realm1", Ticket("joe", "secret"))
    if is_joined:
        protocol.call("a.b")
    else:
        protocol.hello()
    for message in received:
        was_closed = protocol.state is SessionState.CLOSED
        try:
            protocol.receive(message)
        except (RemoteProtocolError, LocalProtocolError):
            assert protocol.state is SessionState.CLOSED
        else:
            assert not was_closed
