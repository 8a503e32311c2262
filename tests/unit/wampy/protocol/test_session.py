"""Coming and going."""

from __future__ import annotations

import pytest

from tests.unit.wampy.protocol.talking import RESULT, WELCOME, assert_broken, closing, joined
from wampy.auth import Scram, Ticket, WampCra
from wampy.errors import (
    LocalProtocolError,
    NoSuchRealm,
)
from wampy.messages import (
    Abort,
    Authenticate,
    Call,
    Cancel,
    Challenge,
    Event,
    Goodbye,
    Hello,
    Invocation,
    Publish,
    Register,
    Registered,
    Subscribe,
    Unregister,
    Unsubscribe,
    Welcome,
    Yield,
)
from wampy.protocol.session import (
    DEFAULT_ROLES,
    Challenged,
    ClientProtocol,
    EventReceived,
    Joined,
    Left,
    Rejected,
    Reply,
    SessionState,
)


def test_joining_as_nobody():
    protocol = ClientProtocol("realm1", agent="wampy-1.0")
    assert protocol.hello() == Hello(
        realm="realm1", details={"agent": "wampy-1.0", "roles": DEFAULT_ROLES}
    )
    assert protocol.session_id is None
    assert protocol.receive(WELCOME) == Joined(WELCOME)
    assert protocol.state is SessionState.ESTABLISHED
    assert protocol.session_id == 4711
    assert protocol.details == {"authrole": "anonymous"}


def test_joining_as_the_same_client_as_before():
    protocol = ClientProtocol("realm1", client="a secret")
    assert protocol.hello().details == {
        "agent": "wampy",
        "roles": DEFAULT_ROLES,
        "_wampy_client": "a secret",
    }


def test_joining_with_a_ticket():
    protocol = ClientProtocol("realm1", Ticket("joe", "secret"), roles={"caller": {}})
    details = {"authmethods": ["ticket"], "authid": "joe"}
    assert protocol.hello().details == {"agent": "wampy", "roles": {"caller": {}}, **details}
    answer = Challenged(Authenticate(signature="secret", extra={}))
    assert protocol.receive(Challenge(authmethod="ticket")) == answer
    assert protocol.state is SessionState.AUTHENTICATING
    protocol.receive(Welcome(session_id=1, details=None))
    assert protocol.details == {}


def test_a_challenge_without_an_answer_is_the_end():
    protocol = ClientProtocol("realm1")
    protocol.hello()
    with pytest.raises(LocalProtocolError, match="'ticket'"):
        protocol.receive(Challenge(authmethod="ticket"))
    assert protocol.state is SessionState.CLOSED


def test_a_realm_is_a_uri():
    with pytest.raises(LocalProtocolError, match="'realm 1' is not a URI"):
        ClientProtocol("realm 1").hello()


def test_rejected():
    protocol = ClientProtocol("nowhere")
    protocol.hello()
    received = protocol.receive(Abort(reason="wamp.error.no_such_realm", details=None))
    assert isinstance(received, Rejected)
    assert type(received.error) is NoSuchRealm
    assert protocol.state is SessionState.CLOSED


def test_aborted_later():
    protocol = joined()
    received = protocol.receive(Abort(reason="a.b", details={"message": "enough"}))
    assert isinstance(received, Rejected)
    assert str(received.error) == "a.b: enough"


def test_we_leave():
    protocol = joined()
    assert protocol.goodbye() == Goodbye(details={}, reason="wamp.close.normal")
    answer = Goodbye(details={}, reason="wamp.close.goodbye_and_out")
    assert protocol.receive(answer) == Left(answer, None)
    assert protocol.state is SessionState.CLOSED


def test_the_states_on_the_way():
    protocol = ClientProtocol("realm1")
    states = [protocol.state]
    for step in (
        protocol.hello,
        lambda: protocol.receive(WELCOME),
        protocol.goodbye,
        lambda: protocol.receive(Goodbye(reason="a.b")),
    ):
        step()
        states.append(protocol.state)
    assert [state.value for state in states] == [
        "new", "establishing", "established", "closing", "closed",
    ]  # fmt: skip


def test_the_router_leaves():
    protocol = joined()
    goodbye = Goodbye(details={}, reason="wamp.close.system_shutdown")
    reply = Goodbye(details={}, reason="wamp.close.goodbye_and_out")
    assert protocol.receive(goodbye) == Left(goodbye, reply)
    assert protocol.state is SessionState.CLOSED


def test_what_is_on_its_way_when_we_leave_still_counts():
    protocol = joined()
    protocol.call("a.b")
    protocol.goodbye()
    assert protocol.receive(RESULT) == Reply(1, RESULT)
    event = Event(subscription_id=1, publication_id=2)
    assert protocol.receive(event) == EventReceived(event)
    assert protocol.state is SessionState.CLOSING


@pytest.mark.parametrize("make", [lambda: ClientProtocol("realm1"), joined, closing])
def test_we_may_abort_at_any_time(make):
    protocol = make()
    abort = protocol.abort("wamp.error.protocol_violation", "why")
    assert abort == Abort(details={"message": "why"}, reason="wamp.error.protocol_violation")
    assert protocol.state is SessionState.CLOSED


@pytest.mark.parametrize("make", [lambda: ClientProtocol("realm1"), closing])
def test_without_a_session_nothing_is_sent(make):
    protocol = make()
    state = protocol.state
    for send in (
        lambda: protocol.call("a.b"),
        lambda: protocol.publish("a.b"),
        lambda: protocol.subscribe("a.b"),
        lambda: protocol.unsubscribe(1),
        lambda: protocol.register("a.b"),
        lambda: protocol.unregister(1),
        lambda: protocol.goodbye(),
    ):
        with pytest.raises(LocalProtocolError, match=f"the session is {state.value}"):
            send()
    assert protocol.state is state


def test_hello_is_said_once():
    protocol = joined()
    with pytest.raises(LocalProtocolError, match="cannot send HELLO"):
        protocol.hello()


def test_a_router_that_has_to_prove_itself_and_does_not_is_left():
    protocol = ClientProtocol("realm1", Scram("joe", "secret"))
    protocol.hello()
    assert_broken(protocol, WELCOME, "WELCOME without a CHALLENGE")
    assert protocol.session_id is None


def test_a_challenge_that_asks_for_too_much_is_the_routers_fault():
    protocol = ClientProtocol("realm1", WampCra("joe", "secret"))
    protocol.hello()
    extra = {"challenge": "{}", "salt": "x", "iterations": 10**9, "keylen": 32}
    assert_broken(protocol, Challenge(authmethod="wampcra", extra=extra), "iterations is 10000")


def test_sessions_of_one_client_have_handshakes_of_their_own():
    client = Scram("joe", "secret")
    one, other = ClientProtocol("realm1", client), ClientProtocol("realm1", client)
    hello = one.hello()
    other.hello()
    nonce = (hello.details or {})["authextra"]["nonce"]
    extra = {
        "nonce": nonce + "abcd", "salt": "A" * 12, "kdf": "pbkdf2", "iterations": 4096,
    }  # fmt: skip
    assert isinstance(one.receive(Challenge(authmethod="scram", extra=extra)), Challenged)


@pytest.mark.parametrize("message", [WELCOME, Challenge(authmethod="x"), Abort(reason="a.b")])
def test_nothing_comes_after_the_end(message):
    protocol = joined()
    protocol.receive(Goodbye(reason="a.b"))
    assert_broken(protocol, message, f"{message.name} while the session is closed")


@pytest.mark.parametrize(
    "message",
    [
        RESULT,
        Event(subscription_id=1, publication_id=2),
        Invocation(request_id=1, registration_id=2),
        Registered(request_id=1, registration_id=2),
        Goodbye(reason="a.b"),
    ],
    ids=lambda message: message.name,
)
def test_nothing_comes_before_welcome(message):
    protocol = ClientProtocol("realm1")
    protocol.hello()
    assert_broken(protocol, message, "while the session is establishing")


@pytest.mark.parametrize(
    "message",
    [
        Hello(realm="realm1"),
        Authenticate(signature="x"),
        Call(request_id=1, procedure="a"),
        Cancel(request_id=1),
        Publish(request_id=1, topic="a"),
        Subscribe(request_id=1, topic="a"),
        Unsubscribe(request_id=1, subscription_id=1),
        Register(request_id=1, procedure="a"),
        Unregister(request_id=1, registration_id=1),
        Yield(request_id=1),
    ],
    ids=lambda message: message.name,
)
def test_what_only_clients_say(message):
    assert_broken(joined(), message, f"{message.name} is not for a client to receive")


def test_welcome_comes_once():
    assert_broken(joined(), WELCOME, "WELCOME while the session is established")
