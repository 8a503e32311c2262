"""Calls: of ours, packed, in parts, with a timeout; and those that come."""

from __future__ import annotations

import pytest

from tests.unit.wampy.protocol.talking import RESULT, error, joined
from wampy.errors import (
    ApplicationError,
    LocalProtocolError,
)
from wampy.messages import (
    Error,
    Event,
    Interrupt,
    Invocation,
    Unregistered,
    Unsubscribed,
    Welcome,
    Yield,
)
from wampy.protocol.session import (
    ClientProtocol,
    EventReceived,
    Interrupted,
    Invoked,
    Reply,
    Revoked,
    SessionState,
)

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
