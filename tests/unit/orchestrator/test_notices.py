"""What the Router's meta events mean for the Instances."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.states import InstanceId
from orchestrator.notices import (
    MemberJoined,
    MemberLost,
    Notice,
    Notices,
    PeerJoined,
    PeerLost,
    PeerRegistered,
)
from wampy.errors import RequestError
from wampy.messages import Event, Result, Subscribed, Welcome
from wampy.protocol.session import ClientProtocol, Reply

HEARTBEAT = "wampy.demo.peer.search.3.heartbeat"


class Told:
    """Notices whose requests have been granted; ``tell`` gives what an event means."""

    def __init__(self, sessions: list[dict[str, Any]] | None = None) -> None:
        self.protocol = ClientProtocol("realm1")
        self.protocol.hello()
        self.protocol.receive(Welcome(session_id=1, details={"roles": {}}))
        self.notices = Notices("demo")
        *subscribes, listing = self.notices.requests(self.protocol)
        self.topics: dict[str, int] = {}
        for number, one in enumerate(subscribes, 100):
            self.topics[one.topic] = number  # type: ignore[attr-defined]
            self.answer(one, Subscribed(request_id=1, subscription_id=number))
        sessions = sessions or []
        ids = [each.get("session") for each in sessions]
        gets = self.answer(listing, Result(request_id=1, details={}, args=[ids]))
        for get, details in zip(gets, sessions, strict=True):
            assert self.answer(get, Result(request_id=1, details={}, args=[details])) == []

    def answer(self, request: Any, message: Any) -> list[Any]:
        reply = Reply(request.request_id, message)
        assert self.notices.is_for(reply)
        return list(self.notices.answered(reply, self.protocol))

    def tell(self, topic: str, *args: Any) -> Notice | None:
        number = self.topics[f"wamp.{topic}"]
        return self.notices.heard(Event(subscription_id=number, publication_id=1, args=args))


def details(session: Any, peer: Any) -> dict[str, Any]:
    return {"session": session, "authid": "peer", "transport": {"type": "unix", "peer": peer}}


def test_who_joins_over_the_unix_socket_is_told_by_its_pid():
    told = Told()
    assert told.tell("session.on_join", details(7, "unix:4711")) == PeerJoined(4711)
    assert told.tell("session.on_join", details(8, "tcp:127.0.0.1:4711")) is None
    assert told.tell("session.on_leave", 7) == PeerLost(4711)
    assert told.tell("session.on_leave", 7) is None
    assert told.tell("session.on_leave", 8) is None


def test_who_was_there_before_is_asked_for():
    told = Told([details(5, "unix:99"), details(6, "tcp:[::1]:1")])
    assert told.tell("session.on_leave", 5) == PeerLost(99)
    assert told.tell("session.on_leave", 6) is None


def test_a_program_is_known_by_an_authid_of_its_own():
    told = Told()
    member = {**details(5, "tcp:127.0.0.1:1"), "authid": "peer:js:0#1"}
    assert told.tell("session.on_join", member) == MemberJoined("peer:js:0#1")
    assert told.tell("registration.on_unregister", 5, 1) == MemberLost("peer:js:0#1")
    assert told.tell("session.on_leave", 5) == MemberLost("peer:js:0#1")
    assert told.tell("session.on_leave", 5) is None


def test_a_registered_heartbeat_names_its_instance():
    told = Told()
    created = told.tell("registration.on_create", 7, {"id": 1, "uri": HEARTBEAT})
    assert created == PeerRegistered(InstanceId("search", 3))


def test_a_procedure_less():
    told = Told([details(5, "unix:99")])
    assert told.tell("registration.on_unregister", 5, 1234) == PeerLost(99)
    assert told.tell("registration.on_unregister", 6, 1234) is None


@pytest.mark.parametrize(
    "uri",
    [
        "com.example.search.find", "wampy.demo.orchestrator.echo",
        "wampy.demo.peer.search.3.describe", "wampy.demo.peer.search.heartbeat",
        "wampy.demo.peer.search.x.heartbeat", "wampy.other.peer.search.3.heartbeat", None, 5,
        f"wampy.demo.peer.search.{'9' * 5000}.heartbeat",
    ],
)  # fmt: skip
def test_what_else_is_registered_means_nothing(uri):
    assert Told().tell("registration.on_create", 7, {"uri": uri}) is None


@pytest.mark.parametrize(
    "given",
    [
        None,
        5,
        {},
        {"transport": None},
        {"transport": {}},
        details(7, "unix:x"),
        details(7, None),
        details([], "unix:5"),
        details(7, "unix:" + "9" * 5000),
    ],
)
def test_details_that_say_no_pid_mean_nothing(given):
    told = Told()
    assert told.tell("session.on_join", given) is None
    assert told.tell("session.on_leave", 7) is None
    assert told.tell("session.on_leave", []) is None


def test_events_without_arguments_and_of_nobody_mean_nothing():
    told = Told()
    assert told.tell("session.on_join") is None
    assert told.tell("registration.on_create", 7) is None
    assert told.notices.heard(Event(subscription_id=1, publication_id=1, args=[7])) is None


def test_a_refusal_is_taken_for_silence():
    protocol = Told().protocol
    notices = Notices("demo")
    requests: list[Any] = notices.requests(protocol)
    for request in requests:
        reply = Reply(request.request_id, None, RequestError("wamp.error.not_authorized"))
        assert notices.is_for(reply)
        assert notices.answered(reply, protocol) == []
        assert not notices.is_for(reply)
    assert notices.heard(Event(subscription_id=100, publication_id=1, args=[7])) is None
