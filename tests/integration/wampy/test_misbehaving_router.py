"""A Router that says what it should not, when it should not, or nothing at all.

What is merely odd costs a Session nothing; what breaks the protocol costs the connection, at once
and with a reason, and the Session is there again on the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

import wampy
from tests.integration.wampy.scripted import (
    ABORT,
    CALL,
    CANCEL,
    ERROR,
    EVENT,
    GOODBYE,
    INTERRUPT,
    INVOCATION,
    OUT,
    PUBLISH,
    PUBLISHED,
    REGISTER,
    REGISTERED,
    RESULT,
    SUBSCRIBE,
    SUBSCRIBED,
    UNREGISTER,
    UNREGISTERED,
    UNSUBSCRIBED,
    YIELD,
    Conversation,
    HungUp,
    ScriptedRouter,
    accepted,
)
from tests.support import wait_until
from wampy.session import receiving
from wampy.session.connecting import Connecting

Scripted = Callable[..., ScriptedRouter]
Open = Callable[..., Any]
VIOLATION = "wamp.error.protocol_violation"
CANCELED = "wamp.error.canceled"


def well(it: Conversation) -> None:
    """As it should be."""
    it.welcome()
    it.serve()


def returns(session: Any, router: ScriptedRouter) -> None:
    """See that the Session came back on the second connection, and works there."""
    wait_until(lambda: session.id == 1001)
    assert session.call("com.example.echo", 7) == 7
    assert len(router.conversations) == 2


# ---------------------------------------------------------------------- what costs nothing


def test_a_late_reply_is_nobody_elses(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        late = it.until(CALL)[1]
        assert it.until(CANCEL)[1] == late
        following = it.until(CALL)
        it.send(RESULT, late, {}, ["late"])
        it.send(ERROR, CALL, late, {}, CANCELED)  # and once more
        it.answer(following)
        it.serve()

    session = opened(scripted(script))
    with pytest.raises(wampy.RequestTimeout):
        session.call("com.example.slow", timeout=0.05)
    assert session.call("com.example.echo", "mine") == "mine"
    assert session.call("com.example.echo", "again") == "again"
    assert session.id == 1000


def test_each_reply_finds_its_call_in_any_order(
    scripted: Scripted, opened: Open, later: Callable[..., Future[Any]]
) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        calls = [it.until(CALL) for _ in range(8)]
        for call in reversed(calls):
            it.answer(call)
        it.serve()

    session = opened(scripted(script))
    waiting = [later(session.call, "com.example.echo", number) for number in range(8)]
    assert [one.result(10) for one in waiting] == list(range(8))


def test_an_event_in_one_segment_with_subscribed(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(SUBSCRIBE)[1]
        it.octets(it.encode(SUBSCRIBED, request, 5) + it.encode(EVENT, 5, 77, {}, ["first"]))
        it.send(EVENT, 5, 78, {}, ["second"])
        it.serve()

    heard: list[str] = []
    session = opened(scripted(script))
    session.subscribe("com.example.topic", heard.append)
    wait_until(lambda: heard == ["first", "second"])


def test_an_invocation_in_one_segment_with_registered(scripted: Scripted, opened: Open) -> None:
    answers: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(REGISTER)[1]
        it.octets(it.encode(REGISTERED, request, 5) + it.encode(INVOCATION, 1, 5, {}, [2]))
        answers.append(it.until(YIELD))
        it.serve()

    session = opened(scripted(script))
    session.register("com.example.double", lambda number: number * 2)
    wait_until(lambda: answers)
    assert (answers[0][1], answers[0][3]) == (1, [4])


def test_an_invocation_interrupted_in_one_segment(scripted: Scripted, opened: Open) -> None:
    """Nobody begins with it, and it is answered."""
    answers: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(REGISTER)[1]
        it.send(REGISTERED, request, 5)
        both = it.encode(INVOCATION, 1, 5, {}, [2]) + it.encode(INTERRUPT, 1, {"mode": "kill"})
        it.octets(both)
        answers.append(it.until(ERROR, YIELD))
        it.octets(it.encode(INTERRUPT, 1, {}) + it.encode(INTERRUPT, 99, {}))  # of nothing at all
        it.send(INVOCATION, 2, 5, {}, [3])
        answers.append(it.until(ERROR, YIELD))
        it.serve()

    begun: list[int] = []
    session = opened(scripted(script))
    session.register("com.example.begin", begun.append)
    wait_until(lambda: len(answers) == 2)
    assert answers[0][:3] == [ERROR, INVOCATION, 1]
    assert answers[0][4] == CANCELED
    assert answers[1][:2] == [YIELD, 2]
    assert begun == [3]
    assert session.id == 1000


def test_an_invocation_in_one_segment_with_unregistered(
    scripted: Scripted, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who drains has it answered, however late the handlers are given what came."""
    real = receiving.Batch.finish

    def late(batch: receiving.Batch) -> None:
        threading.Event().wait(0.05)
        real(batch)

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(REGISTERED, it.until(REGISTER)[1], 5)
        request = it.until(UNREGISTER)[1]
        it.octets(it.encode(INVOCATION, 1, 5, {}, [2]) + it.encode(UNREGISTERED, request))
        it.serve()

    router = scripted(script)
    session = opened(router)
    session.register("com.example.double", lambda number: number * 2)
    monkeypatch.setattr(receiving.Batch, "finish", late)
    assert session.drain()
    session.end()
    said = [message for message in router.conversations[0].heard if message[0] in (YIELD, GOODBYE)]
    assert [message[0] for message in said] == [YIELD, GOODBYE]


def test_no_thread_closes_before_the_farewell_is_said(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of the Session that takes the turn to read in the middle of ``end`` reads on."""
    real = Connecting.flush

    def late(session: Connecting, link: Any) -> None:
        if session._closing.is_set():
            threading.Event().wait(0.1)
        real(session, link)

    def script(it: Conversation) -> None:
        it.welcome()
        it.serve()

    router = scripted(script)
    session = wampy.Session(router.url, timeout=10.0)
    session.begin()
    session.register("com.example.double", lambda number: number * 2)
    monkeypatch.setattr(Connecting, "flush", late)
    assert session.drain()
    session.end()
    wait_until(lambda: router.conversations[0].heard[-1][0] == GOODBYE)


def test_events_and_invocations_of_nothing_known(scripted: Scripted, opened: Open) -> None:
    answers: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(EVENT, 5, 77, {}, ["nobody asked"])
        it.send(INVOCATION, 1, 5, {}, [2])
        answers.append(it.until(ERROR))
        it.serve()

    session = opened(scripted(script))
    wait_until(lambda: answers)
    assert answers[0][:3] == [ERROR, INVOCATION, 1]
    assert answers[0][4] == "wamp.error.no_such_procedure"
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_what_is_revoked_ends_and_the_session_lives(scripted: Scripted, opened: Open) -> None:
    """UNREGISTERED and UNSUBSCRIBED with Request 0, of what there is and of what there is not."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(REGISTERED, it.until(REGISTER)[1], 5)
        it.send(SUBSCRIBED, it.until(SUBSCRIBE)[1], 6)
        it.until(PUBLISH)
        it.send(UNREGISTERED, 0, {"registration": 5, "reason": "com.example.why"})
        it.send(UNSUBSCRIBED, 0, {"subscription": 6})
        it.send(UNREGISTERED, 0, {"registration": 99})
        it.send(UNREGISTERED, 0, {})
        it.send(UNREGISTERED, 0)
        it.send(UNSUBSCRIBED, 0, {"subscription": "six"})
        it.serve()

    session = opened(scripted(script))
    registration = session.register("com.example.mine", lambda: 1)
    subscription = session.subscribe("com.example.topic", lambda: None)
    session.publish("com.example.now")
    wait_until(lambda: not registration.is_active and not subscription.is_active)
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_a_call_is_answered_once(scripted: Scripted, opened: Open) -> None:
    """A second RESULT, an ERROR after it, progress that nobody asked for: all are passed over."""

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.send(RESULT, request, {"progress": True}, ["unasked for"])
        it.send(RESULT, request, {}, ["one"])
        it.send(RESULT, request, {}, ["two"])
        it.send(RESULT, request, {"progress": True}, ["three"])
        it.send(ERROR, CALL, request, {}, "com.example.four")
        it.serve()

    session = opened(scripted(script))
    assert session.call("com.example.echo", 0) == "one"
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_what_comes_byte_by_byte_is_the_same(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        call = it.until(CALL)
        for octet in it.encode(RESULT, call[1], {}, ["ä" * 100]):
            it.octets(bytes((octet,)))
        it.serve()

    session = opened(scripted(script))
    assert session.call("com.example.echo") == "ä" * 100


def test_what_comes_slowly_is_a_sign_of_life(scripted: Scripted, opened: Open) -> None:
    """A long message over a slow line takes longer than a Router may be silent."""

    def script(it: Conversation) -> None:
        it.welcome()
        call = it.until(CALL)
        data = it.encode(RESULT, call[1], {}, ["x" * 1000])
        for at in range(0, len(data), 50):
            it.octets(data[at : at + 50])
            threading.Event().wait(0.1)
        it.serve()

    session = opened(scripted(script), ping_interval=0.3)
    assert session.call("com.example.long") == "x" * 1000
    assert session.id == 1000


def test_details_and_fields_of_the_future(scripted: Scripted, opened: Open) -> None:
    """Unknown keys and further fields mean nothing (WAMP, 5.1 and 6.1)."""

    def script(it: Conversation) -> None:
        it.welcome(x_new={"deep": [1]}, authid=None, authrole=5, agent=["odd"])
        request = it.until(CALL)[1]
        it.send(RESULT, request, {"x_new": 1, "callee": "odd"}, [1], {"a": 2})
        it.serve()

    session = opened(scripted(script))
    result = session.call_result("com.example.any")
    assert (result.args, dict(result.kwargs)) == ([1], {"a": 2})
    assert session.details["x_new"] == {"deep": [1]}


# ---------------------------------------------------------------------- what breaks the protocol

FAULTS: dict[str, tuple[Callable[[Conversation, int], bytes], str]] = {
    "an answer to a request never made": (
        lambda it, _: it.encode(RESULT, 999, {}, [1]),
        "answers request 999, which is not pending",
    ),
    "an answer of another kind": (
        lambda it, request: it.encode(REGISTERED, request, 5),
        "which is not pending",
    ),
    "a publication nobody asked to have acknowledged": (
        lambda it, _: it.encode(PUBLISHED, 999, 5),
        "which is not pending",
    ),
    "a second WELCOME": (lambda it, _: it.encode(2, 5, {}), "WELCOME"),
    "what only clients say": (
        lambda it, _: it.encode(CALL, 1, {}, "com.example.me"),
        "not for a client",
    ),
    "an unknown code": (lambda it, _: it.encode(99, 1), "99"),
    "no list": (lambda it, _: it.frame(b'"text"' if it.is_websocket else b"\xa4text"), "list"),
    "an empty list": (lambda it, _: it.frame(b"[]" if it.is_websocket else b"\x90"), "list|empty"),
    "a message that is too short": (lambda it, _: it.encode(RESULT), "RESULT"),
    "an id that is none": (lambda it, _: it.encode(RESULT, "one", {}), "RESULT"),
    "an id of 0": (lambda it, _: it.encode(INVOCATION, 0, 1, {}), "INVOCATION"),
    "details that are none": (lambda it, request: it.encode(RESULT, request, [1]), "RESULT"),
    "garbage": (lambda it, _: it.frame(b"\xc1\xff\x00garbage"), "JSON|MessagePack|UTF-8"),
    "a hundred thousand lists in each other": (
        lambda it, _: it.frame(
            b"[" * 100_000 + b"]" * 100_000 if it.is_websocket else b"\x91" * 100_000 + b"\xc0"
        ),
        "nested|deep|JSON|MessagePack",
    ),
    "a frame that there is not": (
        lambda it, _: b"\x8b\x00" if it.is_websocket else b"\x05\0\0\x01x",
        "frame|opcode|type",
    ),
    "a reserved bit": (
        lambda it, _: b"\xc1\x02[]" if it.is_websocket else b"\xff\0\0\x01x",
        "reserved|frame|compress|type",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_the_protocol_costs_the_connection_and_no_more(
    scripted: Scripted, opened: Open, fault: str
) -> None:
    """What waits fails at once and says why, the Router is told, and the Session is back."""
    makes, text = FAULTS[fault]

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.octets(makes(it, request))
        it.serve()

    router = scripted(script, well)
    session = opened(router)
    started = time.monotonic()
    with pytest.raises(wampy.ConnectionLost, match=text):
        session.call("com.example.echo", 1, timeout=20.0)
    assert time.monotonic() - started < 10.0
    returns(session, router)
    heard = router.conversations[0].heard
    wait_until(lambda: [message[2] for message in heard if message[0] == ABORT] == [VIOLATION])


@pytest.mark.parametrize("cut", [1, 3, 5, 9])
def test_a_connection_that_ends_within_a_message(
    scripted: Scripted, opened: Open, cut: int
) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.octets(it.encode(RESULT, request, {}, ["never whole"])[:cut])

    router = scripted(script, well)
    session = opened(router)
    with pytest.raises(wampy.ConnectionLost):
        session.call("com.example.echo", 1)
    returns(session, router)


# RawSocket cannot say more than 2**24 - 1, which is what we take.
@pytest.mark.parametrize("scripted", ["websocket"], indirect=True)
def test_a_message_longer_than_we_take_costs_the_call_alone(
    scripted: Scripted, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though we said what we take."""
    for module in ("wampy.transports.websocket", "wampy.aio.stream"):
        monkeypatch.setattr(f"{module}.MAX_RECEIVE_BYTES", 2**16)

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.send(RESULT, request, {}, ["x" * 2**17])
        it.serve()

    router = scripted(script)
    session = opened(router)
    with pytest.raises(wampy.MessageTooLong, match="the limit is 65536"):
        session.call("com.example.long")
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_a_message_that_claims_to_be_endless(scripted: Scripted, opened: Open) -> None:
    """No memory is taken for what was announced only."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.until(CALL)
        it.octets(
            b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" if it.is_websocket else b"\0\xff\xff\xff"
        )
        it.octets(b"[50,1,{},")
        it.serve()

    router = scripted(script)
    session = opened(router, reconnect=False)
    with pytest.raises((wampy.RequestTimeout, wampy.ConnectionLost)):
        session.call("com.example.echo", 1, timeout=0.3)


# ---------------------------------------------------------------------- the end


@pytest.mark.parametrize("reason", ["wamp.close.system_shutdown", "wamp.close.killed", OUT])
def test_goodbye_in_the_middle_of_it(
    scripted: Scripted, opened: Open, later: Callable[..., Future[Any]], reason: str
) -> None:
    """Calls fail, GOODBYE is answered, and the Session is back when it can be."""

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(REGISTER)[1]
        it.send(REGISTERED, request, 5)
        it.until(CALL)
        it.until(CALL)
        it.octets(
            it.encode(INVOCATION, 1, 5, {}, [1])
            + it.encode(GOODBYE, {"message": "maintenance"}, reason)
        )
        it.until(GOODBYE)

    router = scripted(script, well)
    session = opened(router)
    session.register("com.example.mine", lambda number: number)
    waiting = [later(session.call, "com.example.echo", number) for number in range(2)]
    for one in waiting:
        with pytest.raises(wampy.ConnectionLost, match=f"{reason}: maintenance"):
            one.result(10)
    returns(session, router)
    wait_until(lambda: [GOODBYE, {}, OUT] in router.conversations[0].heard)
    wait_until(lambda: all(handle.is_active for handle in session.registrations))


@pytest.mark.parametrize(
    ("name", "asked", "confirmed"),
    [("register", REGISTER, REGISTERED), ("subscribe", SUBSCRIBE, SUBSCRIBED)],
)
def test_what_is_confirmed_with_goodbye_is_not_taken_for_there(
    scripted: Scripted, opened: Open, name: str, asked: int, confirmed: int
) -> None:
    """It would be neither at the Router nor restored there. Either it is lost, or it comes back."""

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(asked)[1]
        it.octets(it.encode(confirmed, request, 5) + it.encode(GOODBYE, {}, "wamp.close.killed"))

    router = scripted(script, well)
    session = opened(router)
    try:
        getattr(session, name)("com.example.mine", print)
    except wampy.ConnectionLost:
        assert not session.registrations
        assert not session.subscriptions
        getattr(session, name)("com.example.mine", print)
    returns(session, router)
    wait_until(lambda: asked in [message[0] for message in router.conversations[1].heard])
    kept = session.registrations + session.subscriptions
    assert len(kept) == 1
    wait_until(lambda: kept[0].is_active)


def test_goodbye_with_welcome(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.shake_hands()
        it.recv()
        it.octets(it.encode(2, 1000, {}) + it.encode(GOODBYE, {}, "wamp.close.killed"))
        it.until(GOODBYE)

    router = scripted(script, well)
    returns(opened(router), router)


def test_abort_in_the_middle_of_it(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        it.until(CALL)
        it.send(ABORT, {"message": "no more"}, "com.example.enough")

    router = scripted(script, well)
    session = opened(router)
    with pytest.raises(wampy.ConnectionLost, match=r"com\.example\.enough"):
        session.call("com.example.echo", 1)
    returns(session, router)


def test_a_goodbye_that_is_not_answered_is_waited_for_a_moment(
    scripted: Scripted, opened: Open
) -> None:
    ended = threading.Event()

    def script(it: Conversation) -> None:
        it.welcome()
        it.until(GOODBYE)
        try:
            it.recv()
        except HungUp:
            ended.set()

    session = opened(scripted(script))
    started = time.monotonic()
    session.end()
    assert time.monotonic() - started < 5.0
    assert ended.wait(5.0)


def test_silence_is_bounded_for_all_that_waits(
    scripted: Scripted, opened: Open, later: Callable[..., Future[Any]]
) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        while True:
            it.recv()

    session = opened(scripted(script))
    asked = [
        later(session.call, "com.example.echo", timeout=0.2),
        later(session.call_result, "com.example.echo", timeout=0.2),
        later(session.register, "com.example.mine", print, timeout=0.2),
        later(session.subscribe, "com.example.topic", print, timeout=0.2),
        later(session.publish, "com.example.topic", acknowledge=True, timeout=0.2),
    ]
    for one in asked:
        with pytest.raises(wampy.RequestTimeout):
            one.result(10)
    assert session.id == 1000


def test_a_router_that_says_nothing_at_all_is_left(scripted: Scripted, opened: Open) -> None:
    """Pings are not answered either: the connection is half open."""

    def script(it: Conversation) -> None:
        it.welcome()
        while True:
            it.recv()

    router = scripted(script, well)
    session = opened(router, ping_interval=0.1)
    with pytest.raises(wampy.ConnectionLost, match="no sign of life"):
        session.call("com.example.echo", 1)
    returns(session, router)


def test_a_router_that_reads_nothing_blocks_nobody(scripted: Scripted, opened: Open) -> None:
    release = threading.Event()

    def script(it: Conversation) -> None:
        it.welcome()
        release.wait(20.0)

    session = opened(scripted(script), ping_interval=0)
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises((wampy.RequestTimeout, wampy.ConnectionLost)):
            session.call("com.example.echo", "x" * 2**22, timeout=0.2)
    session.end()
    assert time.monotonic() - started < 10.0
    release.set()


# ---------------------------------------------------------------------- joining

HANDSHAKES: dict[str, tuple[bytes, bytes, str]] = {
    "says nothing": (b"", b"", "no answer in time|timed out"),
    "hangs up in the middle": (b"\x7f\xf2", b"HTTP/1.1 101 Switching", "hung up|closed|RawSocket"),
    "refuses": (b"\x7f\x10\0\0", b"HTTP/1.1 503 Busy\r\n\r\n", "serializer|503"),
    "speaks something else": (b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n\r\n", "RawSocket|HTTP|hung up|SSH"),
    "takes another serializer": (
        b"\x7f\xf5\0\0",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: wamp.9.odd\r\n\r\n",
        "serializer|does not speak WebSocket|subprotocol",
    ),
    "does not know the key": (
        b"\x7f\xf2\x01\x01",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: d3Jvbmc=\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n",
        "RawSocket|handshake|does not speak WebSocket",
    ),
}


@pytest.mark.parametrize("what", HANDSHAKES)
def test_a_handshake_that_fails_says_why(scripted: Scripted, opened: Open, what: str) -> None:
    raw, web, text = HANDSHAKES[what]

    def script(it: Conversation) -> None:
        request = it.read_request()
        answer = web if it.is_websocket else raw
        if b"KEY" in answer:
            key = request.split(b"ec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            answer = answer.replace(b"KEY", accepted(key))
        it.octets(answer)
        if not answer:
            it.recv()

    router = scripted(script)
    started = time.monotonic()
    with pytest.raises(wampy.ConnectFailed, match=text) as raised:
        opened(router, timeout=0.5)
    assert router.url in str(raised.value)
    assert time.monotonic() - started < 5.0


HELLOS: dict[str, tuple[tuple[Any, ...], type[wampy.WampyError], str]] = {
    "no answer": ((), wampy.RequestTimeout, "no answer to HELLO"),
    "no id": ((2, "one", {}), wampy.WampyError, "WELCOME"),
    "an id of 0": ((2, 0, {}), wampy.WampyError, "WELCOME"),
    "an id beyond all": ((2, 2**53 + 1, {}), wampy.WampyError, "WELCOME"),
    "a challenge nobody offered": ((4, "ticket", {}), wampy.WampyError, "ticket"),
    "a challenge of the unknown": ((4, "magic", {}), wampy.WampyError, "magic"),
    "traffic": ((EVENT, 1, 1, {}), wampy.WampyError, "EVENT|message|joining|before"),
    "goodbye": ((GOODBYE, {}, OUT), wampy.WampyError, "GOODBYE"),
    "hello": ((1, "realm1", {}), wampy.WampyError, "HELLO"),
    "abort": (
        (ABORT, {"message": "closed today"}, "com.example.closed"),
        wampy.JoinRejected,
        "closed today",
    ),
}


@pytest.mark.parametrize("what", HELLOS)
def test_a_welcome_that_is_none_says_why(scripted: Scripted, opened: Open, what: str) -> None:
    fields, kind, text = HELLOS[what]

    def script(it: Conversation) -> None:
        it.shake_hands()
        it.recv()
        if fields:
            it.send(*fields)
        while True:
            it.recv()

    with pytest.raises(kind, match=text):
        opened(scripted(script), timeout=0.5)
