from __future__ import annotations

import pytest

from wampy.auth import Scram, Ticket, WampCra
from wampy.errors import (
    ApplicationError,
    LocalProtocolError,
    NoSuchProcedure,
    NoSuchRealm,
    NotAuthorized,
    RemoteProtocolError,
    SerializationError,
)
from wampy.messages import (
    Abort,
    Authenticate,
    Call,
    Cancel,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Interrupt,
    Invocation,
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
    Welcome,
    Yield,
)
from wampy.protocol import session as module
from wampy.protocol.session import (
    DEFAULT_ROLES,
    Challenged,
    ClientProtocol,
    Dropped,
    EventReceived,
    Interrupted,
    Invoked,
    Joined,
    Left,
    Rejected,
    Reply,
    Revoked,
    SessionState,
)

WELCOME = Welcome(session_id=4711, details={"authrole": "anonymous"})
RESULT = Result(request_id=1, args=("done",))


def joined(**options) -> ClientProtocol:
    protocol = ClientProtocol("realm1", **options)
    protocol.hello()
    protocol.receive(WELCOME)
    return protocol


def closing() -> ClientProtocol:
    protocol = joined()
    protocol.goodbye()
    return protocol


def error(request_type: int, request_id: int, uri: str = "a.b") -> Error:
    return Error(request_type=request_type, request_id=request_id, error=uri)


def assert_broken(protocol: ClientProtocol, message, what: str) -> None:
    """The Router broke a rule: that is said, and there is no way on."""
    with pytest.raises(RemoteProtocolError, match=what):
        protocol.receive(message)
    assert protocol.state is SessionState.CLOSED
    with pytest.raises(LocalProtocolError):
        protocol.call("a.b")


# ---------------------------------------------------------------------- coming and going


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


# ---------------------------------------------------------------------- requests and replies


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


# ---------------------------------------------------------------------- giving up


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


# ---------------------------------------------------------------------- callees and subscribers


def test_invocations_and_their_answers():
    protocol = joined()
    invocation = Invocation(request_id=6, registration_id=1, args=(1,))
    assert protocol.receive(invocation) == Invoked(invocation)
    interrupt = Interrupt(request_id=6, options={"mode": "kill"})
    assert protocol.receive(interrupt) == Interrupted(interrupt)
    assert protocol.yield_(6, [1], {"k": 2}, {"progress": True}) == Yield(
        request_id=6, options={"progress": True}, args=[1], kwargs={"k": 2}
    )
    assert protocol.invocation_error(6, "a.b", ["no"], {"k": 1}, {"d": 2}) == Error(
        request_type=68, request_id=6, details={"d": 2}, error="a.b", args=["no"], kwargs={"k": 1}
    )


def test_events():
    event = Event(subscription_id=5, publication_id=6, args=("news",))
    assert joined().receive(event) == EventReceived(event)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Unregistered(request_id=0, details={"registration": 5}), Revoked(registration_id=5)),
        (Unsubscribed(request_id=0, details={"subscription": 5}), Revoked(subscription_id=5)),
        (Unregistered(request_id=0), Revoked()),
        (Unsubscribed(request_id=0, details={}), Revoked()),
        (Unregistered(request_id=0, details={"registration": [5]}), Revoked()),
        (Unsubscribed(request_id=0, details={"subscription": "5"}), Revoked()),
        (Unsubscribed(request_id=0, details={"subscription": True}), Revoked()),
    ],
)
def test_a_revocation_never_ends_the_session(message, expected):
    """Not even one that names what cannot be an ID, such as a list, which has no hash."""
    protocol = joined()
    assert protocol.receive(message) == expected
    assert protocol.state is SessionState.ESTABLISHED


def test_an_error_with_a_uri_of_an_application():
    protocol = joined()
    protocol.call("a.b")
    reply = protocol.receive(error(48, 1, "com.example.error.full"))
    assert isinstance(reply, Reply)
    assert type(reply.error) is ApplicationError


# ---------------------------------------------------------------------- payloads that are packed

PACKED = {"ppt_scheme": "x_mine", "ppt_serializer": "json"}


def joined_at(agent: str | None = None, **features: dict) -> ClientProtocol:
    """A Session at a Router that announces these features of these roles."""
    roles = {role: {"features": found} for role, found in features.items()}
    protocol = ClientProtocol("realm1")
    protocol.hello()
    details = {"roles": roles} if agent is None else {"roles": roles, "agent": agent}
    protocol.receive(Welcome(session_id=4711, details=details))
    return protocol


def test_a_payload_is_packed_for_a_router_that_passes_it_on():
    passes = {"payload_passthru_mode": True}
    protocol = joined_at(broker=passes, dealer=passes)
    packed = [b'{"args":[1],"kwargs":{}}']
    for message in (
        protocol.call("a.b", [1], options=PACKED),
        protocol.publish("a.b", [1], options=PACKED),
        protocol.yield_(7, [1], options=PACKED),
    ):
        assert (message.args, message.kwargs, message.options) == (packed, None, PACKED)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda protocol: protocol.call("a.b", [1], options=PACKED), "CALL"),
        (lambda protocol: protocol.publish("a.b", [1], options=PACKED), "PUBLISH"),
        (lambda protocol: protocol.yield_(7, [1], options=PACKED), "YIELD"),
    ],
)
def test_a_payload_is_not_packed_for_a_router_that_would_drop_it(ask, what):
    protocol = joined()
    with pytest.raises(LocalProtocolError, match=rf"{what}\.Options has ppt_ .* does not announce"):
        ask(protocol)
    assert protocol.call("a.b").request_id == 1


# ---------------------------------------------------------------------- calls in parts


def test_a_call_in_parts_keeps_its_request():
    protocol = joined_at(
        dealer={"progressive_call_invocations": True, "payload_passthru_mode": True}
    )
    first = protocol.call_parts("a.b", [1], None, {"progress": True})
    second = protocol.call_part(1, "a.b", [2], None, {"progress": True})
    last = protocol.call_part(1, "a.b", [3], None, {})
    assert [message.request_id for message in (first, second, last)] == [1, 1, 1]
    assert [message.args for message in (first, second, last)] == [[1], [2], [3]]
    packed = protocol.call_part(1, "a.b", [4], None, PACKED)
    assert packed.args == [b'{"args":[4],"kwargs":{}}']
    assert protocol.call("a.b").request_id == 2


def test_no_part_of_a_call_that_is_not_pending():
    protocol = joined_at(dealer={"progressive_call_invocations": True})
    protocol.call_parts("a.b", [1], None, {"progress": True})
    protocol.receive(RESULT)
    with pytest.raises(LocalProtocolError, match="no call with request id 1 is pending"):
        protocol.call_part(1, "a.b", [2], None, {})


def test_no_call_in_parts_at_a_router_that_takes_none():
    with pytest.raises(LocalProtocolError, match="does not announce progressive_call_invocations"):
        joined().call_parts("a.b", [1], None, {"progress": True})


# ---------------------------------------------------------------------- timeouts that are sent


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (joined_at(dealer={"call_timeout": True}), {"timeout": 1500}),
        (joined_at("Crossbar.io-25.12.1"), {"timeout": 2}),  # counts seconds, and announces nothing
        (joined_at("another-1.0"), {}),
    ],
)
def test_a_timeout_is_told_in_the_routers_unit(protocol, expected):
    assert protocol.call("a.b", timeout_s=1.5).options == expected


@pytest.mark.parametrize("timeout_s", [0, 2.0**53])
def test_no_timeout_is_told_that_has_no_number(timeout_s):
    protocol = joined_at(dealer={"call_timeout": True})
    assert protocol.call("a.b", timeout_s=timeout_s).options == {}


def test_a_timeout_of_the_programs_own_is_sent_as_it_is():
    protocol = joined_at(dealer={"call_timeout": True})
    assert protocol.call("a.b", options={"timeout": 7}, timeout_s=1.5).options == {"timeout": 7}


@pytest.mark.parametrize(
    ("told", "limit"),
    [(65536, 65536), (None, None), (0, None), (-1, None), (True, None), (1.5, None), ("9", None)],
)
def test_how_long_a_message_the_router_takes(told, limit):
    protocol = ClientProtocol("realm1")
    assert protocol.max_message_bytes is None
    protocol.hello()
    protocol.receive(Welcome(session_id=1, details={"_max_message_bytes": told}))
    assert protocol.max_message_bytes == limit
