"""Payloads that cannot be taken: what a Router passes on from others ends nobody's Session."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.scripted import (
    ABORT,
    CALL,
    CANCEL,
    ERROR,
    EVENT,
    INVOCATION,
    REGISTER,
    REGISTERED,
    RESULT,
    SUBSCRIBE,
    SUBSCRIBED,
    YIELD,
    Conversation,
    ScriptedRouter,
)
from tests.support import wait_until
from wampy.session.receiving import NotTaken

Scripted = Callable[..., ScriptedRouter]
Open = Callable[..., Any]
VIOLATION = "wamp.error.protocol_violation"

#: What follows the ids of a message, in JSON and in MessagePack; and how that is refused.
PAYLOADS: dict[str, tuple[bytes, bytes, str]] = {
    "nested too deeply": (
        b"{}," + b"[" * 300 + b"]" * 300,
        b"\x80" + b"\x91" * 300 + b"\x90",
        "nested more than 200 deep",
    ),
    "nested beyond any stack": (
        b"{}," + b"[" * 100_000 + b"]" * 100_000,
        b"\x80" + b"\x91" * 100_000 + b"\x90",
        "nested",
    ),
    "no UTF-8": (b'{},["\xff"]', b"\x80\x91\xa1\xff", "[Uu][Tt][Ff]-8"),
    "no UTF-8 in Details": (b'{"a":"\xff"}', b"\x81\xa1a\xa1\xff", "[Uu][Tt][Ff]-8"),
    "a lone surrogate, or a key that is a number": (
        b'{},["\\ud800"]',
        b"\x80\x90\x81\x05\x01",
        "lone surrogate|key that is no string|str",
    ),
    "Arguments that are no list": (b'{},"text"', b"\x80\xa4text", "Arguments is a str"),
    "cut off": (b'{},["tex', b"\x80\x91\xa4tex", "JSON|MessagePack"),
}


@pytest.fixture(params=list(PAYLOADS))
def bad(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    """Give the frame of a message with a payload that nobody can take."""
    json, msgpack, text = PAYLOADS[request.param]

    def frame(it: Conversation, *ids: int) -> bytes:
        count = 3 if request.param == "no UTF-8 in Details" else 4
        count += request.param.startswith("a lone")
        if it.is_websocket:
            return it.frame(f"[{','.join(map(str, ids))},".encode() + json + b"]")
        return it.frame(bytes((0x8F + count + len(ids) - 1, *ids)) + msgpack)

    frame.text = text  # type: ignore[attr-defined]
    return frame


def test_a_result_that_cannot_be_taken_fails_its_call(
    scripted: Scripted, opened: Open, later: Callable[..., Future[Any]], bad: Any
) -> None:
    """By a named error that says why; what came beside it in the same read is taken."""

    def script(it: Conversation) -> None:
        it.welcome()
        calls = dict(reversed(it.until(CALL)[1:4:2]) for _ in range(3))
        both = it.encode(RESULT, calls["a.before"], {}, [1]) + bad(it, RESULT, calls["a.broken"])
        it.octets(both + it.encode(RESULT, calls["a.behind"], {}, [2]))
        it.serve()

    session = opened(scripted(script))
    before, broken, behind = (
        later(session.call, f"a.{name}") for name in ("before", "broken", "behind")
    )
    assert (before.result(10), behind.result(10)) == (1, 2)
    with pytest.raises(wampy.RemoteProtocolError, match=f"cannot be taken: .*({bad.text})"):
        broken.result(10)
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_what_cannot_be_taken_is_kept_by_nobody(scripted: Scripted, opened: Open) -> None:
    """Without the garbage collector: whoever sends it could fill the memory otherwise."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(RESULT, it.until(CALL)[1], {}, "text")
        it.serve()

    session = opened(scripted(script))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(wampy.RemoteProtocolError):
            session.call("com.example.echo", 1)
        assert session.call("com.example.echo", 1) == 1
        assert not [one for one in gc.get_objects() if type(one) is NotTaken]
    finally:
        gc.enable()


def test_an_error_that_cannot_be_taken_fails_its_call(scripted: Scripted, opened: Open) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        deep: Any = []
        for _ in range(300):
            deep = [deep]
        it.send(ERROR, CALL, request, {}, "com.example.no", [deep])
        it.send(ERROR, CALL, it.until(CALL)[1], {}, 5)
        it.serve()

    session = opened(scripted(script))
    for reason in ("nested more than 200 deep", "ERROR.Error is a int"):
        with pytest.raises(wampy.RemoteProtocolError, match=reason):
            session.call("com.example.echo", 1)
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_a_caller_whose_arguments_cannot_be_taken_is_told(
    scripted: Scripted, opened: Open, bad: Any
) -> None:
    answers: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(REGISTERED, it.until(REGISTER)[1], 5)
        both = it.encode(INVOCATION, 1, 5, {"progress": False}, [2]) + bad(it, INVOCATION, 2, 5)
        it.octets(both + it.encode(INVOCATION, 3, 5, {}, [4]))
        answers.extend(it.until(YIELD, ERROR) for _ in range(3))
        it.serve()

    session = opened(scripted(script))
    session.register("com.example.double", lambda number: number * 2)
    wait_until(lambda: len(answers) == 3)
    refusals = [message for message in answers if message[0] == ERROR]
    assert [message[1:5] for message in refusals] == [
        [INVOCATION, 2, {}, "wamp.error.invalid_argument"]
    ]
    assert "the arguments cannot be taken: " in refusals[0][5][0]
    assert sorted(message[3][0] for message in answers if message[0] == YIELD) == [4, 8]
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def test_an_event_that_cannot_be_taken_is_dropped_with_a_warning(
    scripted: Scripted, opened: Open, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def script(it: Conversation) -> None:
        it.welcome()
        it.send(SUBSCRIBED, it.until(SUBSCRIBE)[1], 5)
        both = it.encode(EVENT, 5, 1, {}, ["one"]) + bad(it, EVENT, 5, 2)
        it.octets(both + it.encode(EVENT, 5, 3, {}, ["three"]))
        it.octets(bad(it, EVENT, 6, 4))  # of a subscription that there is no more
        it.serve()

    heard: list[str] = []
    session = opened(scripted(script))
    session.subscribe("com.example.topic", heard.append)
    wait_until(lambda: heard == ["one", "three"])
    assert session.call("com.example.echo", 1) == 1
    (record,) = [one for one in caplog.records if one.name == "wampy.session.receiving"]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("an event of com.example.topic is dropped: ")
    assert session.id == 1000


def test_a_part_of_a_result_that_cannot_be_taken_ends_the_call(
    scripted: Scripted, opened: Open, bad: Any
) -> None:
    """The callee is told, for it may have more; what it sends nevertheless is passed over."""
    canceled: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.octets(it.encode(RESULT, request, {"progress": True}, [1]) + bad(it, RESULT, request))
        canceled.append(it.until(CANCEL))
        it.octets(it.encode(RESULT, request, {"progress": True}, [2]) + bad(it, RESULT, request))
        it.send(ERROR, CALL, request, {}, "wamp.error.canceled")
        it.serve()

    session = opened(scripted(script))
    with pytest.raises(wampy.RemoteProtocolError, match="cannot be taken"):
        collect(session, "com.example.count")
    wait_until(lambda: canceled)
    assert session.call("com.example.echo", 1) == 1
    assert session.id == 1000


def collect(session: Any, procedure: str) -> list[Any]:
    """Give all parts of a result, of either kind of Session."""
    if isinstance(session, wampy.Session):
        return list(session.call_progress(procedure))

    async def collected() -> list[Any]:
        return [part async for part in session._session.call_progress(procedure)]

    found: list[Any] = session._run(collected)
    return found


def test_a_part_of_a_call_that_cannot_be_taken_ends_it(scripted: Scripted, bad: Any) -> None:
    """Its handler gets an error, the caller a refusal; further parts begin nothing anew."""
    answers: list[Any] = []

    def script(it: Conversation) -> None:
        it.welcome()
        it.send(REGISTERED, it.until(REGISTER)[1], 5)
        it.send(INVOCATION, 1, 5, {"progress": True}, [1])
        it.octets(bad(it, INVOCATION, 1, 5) + it.encode(INVOCATION, 1, 5, {"progress": False}, [2]))
        it.octets(bad(it, INVOCATION, 2, 5) + it.encode(INVOCATION, 2, 5, {"progress": True}, [2]))
        it.octets(it.encode(INVOCATION, 2, 5, {"progress": False}, [2]))
        it.send(INVOCATION, 3, 5, {}, [7])
        answers.extend(it.until(YIELD, ERROR) for _ in range(3))
        it.serve()

    seen: list[Any] = []

    def total(parts: Any) -> Any:
        try:
            return sum(parts)
        except wampy.WampyError as error:
            seen.append(error)
            raise

    session = wampy.Session(scripted(script).url, timeout=10.0)
    session.begin()
    try:
        session.register("com.example.sum", total, progressive=True)
        wait_until(lambda: len(answers) == 3)
        wait_until(lambda: seen)
        assert [(message[0], message[2]) for message in answers[:2]] == [(ERROR, 1), (ERROR, 2)]
        assert answers[2][:2] == [YIELD, 3]
        assert [type(error) for error in seen] == [wampy.RemoteProtocolError]
        assert session.id == 1000
    finally:
        session.end()


@pytest.mark.sockets
def test_no_caller_ends_the_session_of_its_callee(
    router: RealRouter, join: Callable[..., wampy.Session], uri: Callable[[str], str]
) -> None:
    """Of what Crossbar passes on, and the built-in Router refuses."""
    url = urlsplit(router.tcp_url)
    for serializer in ("msgpack", "json", "cbor"):
        procedure = uri(serializer)
        session = join(router.url, serializer=serializer)
        first = session.id
        session.register(procedure, lambda *args, **kwargs: len(args))
        call = msgspec.msgpack.encode([CALL, 1, {}, procedure])[1:]
        with socket.create_connection((url.hostname, url.port)) as sock:
            sock.settimeout(10.0)
            sock.sendall(b"\x7f\xf2\0\0")
            assert sock.recv(4)[:1] == b"\x7f"
            answers = []
            hello = msgspec.msgpack.encode([1, "realm1", {"roles": {"caller": {}}}])
            for octets in (hello, b"\x95" + call + b"\x91" * 300 + b"\xc0"):
                sock.sendall(len(octets).to_bytes(4, "big") + octets)
                size = int.from_bytes(sock.recv(4, socket.MSG_WAITALL), "big")
                answers.append(msgspec.msgpack.decode(sock.recv(size, socket.MSG_WAITALL)))
        assert answers[0][0] == 2
        assert answers[1][0] in (ERROR, ABORT), answers
        assert join().call(procedure, 1) == 1
        assert session.id == first


def test_an_answer_to_nothing_is_a_violation_whatever_its_payload(
    scripted: Scripted, opened: Open, bad: Any
) -> None:
    """And what came before it in the same read has been taken."""

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(CALL)[1]
        it.octets(it.encode(RESULT, request, {}, ["mine"]) + bad(it, RESULT, 99))
        it.serve()

    def well(it: Conversation) -> None:
        it.welcome()
        it.serve()

    router = scripted(script, well)
    session = opened(router)
    assert session.call("com.example.echo", 1) == "mine"
    wait_until(lambda: session.id == 1001)
    heard = router.conversations[0].heard
    wait_until(lambda: [message[2] for message in heard if message[0] == ABORT] == [VIOLATION])
