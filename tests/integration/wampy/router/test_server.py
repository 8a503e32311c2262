"""A Router as clients see it: joining, messages between them, limits, the end."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import wampy
from tests.integration.wampy.relay import CERTIFICATE, KEY
from tests.integration.wampy.router.clients import connect
from tests.integration.wampy.scripted import KINDS
from tests.support import TIME_SCALE, wait_until
from wampy.router.authentication import Authenticator
from wampy.router.config import Listener, RouterConfig, Tls
from wampy.router.listening import ListenError
from wampy.router.server import RouterServer

WAYS = ["unix", "tcp", "ws"]
SERIALIZERS = ["json", "msgpack", "cbor"]
VALUES: list[Any] = [
    None, True, 0, -(2**40), 1.5, "ä€😀", "", [], [1, [2]], {"a": {"b": None}},
    b"\0\xff", [{"a": b""}], "\u2028", 2**63,
]  # fmt: skip


def url_of(router, way):
    return {"unix": router.unix_url, "tcp": router.tcp_url, "ws": router.ws_url}[way]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_calls_and_events_arrive_as_they_were_sent(router, session, way, serializer):
    callee = session(url_of(router, way), serializer=serializer)
    caller = session(url_of(router, way), serializer=serializer)
    callee.register("com.echo", lambda *args, **kwargs: [list(args), kwargs])
    for value in VALUES:
        assert caller.call("com.echo", value, key=value) == [[value], {"key": value}]
    events: list[Any] = []
    callee.subscribe("com.topic", events.append)
    for number in range(200):
        caller.publish("com.topic", number)
    assert caller.publish("com.topic", 200, acknowledge=True)
    wait_until(lambda: len(events) == 201)
    assert events == list(range(201))


@pytest.mark.parametrize("here", SERIALIZERS)
@pytest.mark.parametrize("there", SERIALIZERS)
def test_serializers_understand_each_other(router, session, here, there):
    callee, caller = (
        session(router.ws_url, serializer=there),
        session(router.unix_url, serializer=here),
    )
    callee.register("com.echo", lambda *args, **kwargs: [list(args), kwargs])
    events: list[Any] = []
    callee.subscribe("com.topic", lambda *args, **kwargs: events.append([list(args), kwargs]))
    for value in VALUES:
        assert caller.call("com.echo", value, key=value) == [[value], {"key": value}]
        caller.publish("com.topic", value, key=value, acknowledge=True)
    wait_until(lambda: len(events) == len(VALUES))
    assert events == [[[value], {"key": value}] for value in VALUES]


def test_an_error_of_the_callee_arrives_across_serializers(router, session):
    callee = session(router.ws_url, serializer="json")
    caller = session(router.unix_url, serializer="msgpack")

    def fail() -> None:
        raise wampy.ApplicationError("com.error.mine", [b"\0", 1], {"key": "ä"})

    callee.register("com.fail", fail)
    with pytest.raises(wampy.ApplicationError) as raised:
        caller.call("com.fail")
    assert raised.value.uri == "com.error.mine"
    assert list(raised.value.args) == [b"\0", 1]
    assert raised.value.kwargs == {"key": "ä"}


@pytest.mark.parametrize(
    ("value", "here", "there"),
    [(math.nan, "msgpack", "json"), (2**70, "json", "msgpack"), (2**70, "cbor", "msgpack")],
)
def test_a_value_that_the_other_serializer_lacks_ends_no_session(
    router, session, value, here, there
):
    mine = session(router.unix_url, serializer=here)
    other = session(router.unix_url, serializer=there)
    mine.register("com.mine", lambda: value)
    other.register("com.other", lambda *args: len(args))
    events: list[Any] = []
    other.subscribe("com.topic", events.append)
    for caller, procedure, arguments in ((mine, "com.other", (value,)), (other, "com.mine", ())):
        with pytest.raises(wampy.RequestError) as raised:
            caller.call(procedure, *arguments)
        assert raised.value.uri == "wamp.error.invalid_payload"
    mine.publish("com.topic", value, acknowledge=True)
    mine.publish("com.topic", 1, acknowledge=True)
    wait_until(lambda: events == [1])
    assert mine.call("com.other", 1) == 1
    assert router.server.health()["dropped_events"] == 1


def test_a_progressive_result_that_the_caller_lacks_cancels_the_call(router, client):
    """A later RESULT for a call that has its ERROR would be a violation by the Router."""
    callee, caller = client(router.path).join(), client(router.path, serializer="json").join()
    registered = callee.request(64, {}, "com.slow")
    assert registered[0] == 65
    caller.send(48, 1, {"receive_progress": True}, "com.slow")
    invocation = callee.recv()
    callee.send(70, invocation[1], {"progress": True}, [1])
    callee.send(70, invocation[1], {"progress": True}, [math.inf])
    callee.send(70, invocation[1], {}, [2])
    assert caller.recv() == [50, 1, {"progress": True}, [1]]
    assert caller.recv()[:5:4] == [8, "wamp.error.canceled"]
    assert caller.request(48, {}, "wamp.session.count")[3] == [2]


@pytest.mark.parametrize("way", WAYS)
def test_a_mebibyte_arrives(router, session, way):
    one = session(url_of(router, way))
    other = session(router.unix_url, serializer="json")
    one.register("com.echo", lambda value: value)
    for value in ("x" * 2**20, b"\xff" * 2**20):
        assert one.call("com.echo", value) == value
        assert other.call("com.echo", value) == value


def test_tls(make_router, session):
    router = make_router(tls=Tls(CERTIFICATE, KEY))
    text = "x" * 3_000_000
    for url in (router.ws_url.replace("127.0.0.1", "localhost"), f"tcps://localhost:{router.port}"):
        one = session(url, ca=str(CERTIFICATE))
        one.register("com.echo", lambda value: value)
        assert one.call("com.echo", text) == text
        one.end()
    plain = connect(router.port)
    plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        while plain.recv(1000):
            pass
    plain.close()
    assert session(router.unix_url).is_joined


# ---------------------------------------------------------------------- too much


@pytest.mark.parametrize("pieces", [1, 5])
def test_a_message_above_the_limit_ends_its_websocket_with_1009(make_router, client, pieces):
    router = make_router(message_bytes=2**16)
    other, big = client(router.path).join(), client(router.port, websocket=True).join()
    octets = bytes(2**17 // pieces)
    for number in range(pieces):
        first = (0x02 if number == 0 else 0x00) | (0x80 if number == pieces - 1 else 0)
        head = bytes((first, 0xFF)) + len(octets).to_bytes(8, "big")
        big.sock.sendall(head + b"\0\0\0\0" + octets)
    assert big.recv()[0] == 3
    assert big.recv() is None
    assert big.close_code == 1009
    assert other.request(48, {}, "wamp.session.count")[3] == [1]


def test_a_message_above_the_limit_ends_its_rawsocket(make_router, client):
    router = make_router(message_bytes=2**16)
    other, big = client(router.path).join(), client(router.path).join()
    fits = "x" * (2**16 - 100)
    assert big.request(48, {}, "wamp.session.count", [[fits]])[0] == 50
    big.sock.sendall((2**16 + 1).to_bytes(4, "big") + b"x" * 2000)
    assert big.recv()[:3:2] == [3, "wamp.error.protocol_violation"]
    assert big.recv() is None
    assert other.request(48, {}, "wamp.session.count")[3] == [1]


def test_who_announces_a_small_maximum_is_not_sent_more(router, client):
    small, other = client(router.path, max_exponent=3).join(), client(router.path).join()
    small.request(64, {}, "com.small")
    small.request(32, {}, "com.topic")
    answer = other.request(48, {}, "com.small", ["x" * 5000])
    assert answer[:5:4] == [8, "wamp.error.payload_size_exceeded"]
    assert other.request(16, {"acknowledge": True}, "com.topic", ["x" * 5000])[0] == 17
    other.request(64, {}, "com.big")
    small.send(48, 9, {}, "com.big")
    other.send(70, other.recv()[1], {}, ["x" * 5000])
    assert small.recv()[:5:2] == [8, 9, "wamp.error.payload_size_exceeded"]
    assert small.request(48, {}, "wamp.session.count")[3] == [2]


def test_who_announces_a_maximum_below_a_welcome_is_told_so(router):
    with connect(router.path) as sock:
        sock.sendall(bytes((0x7F, 0x02, 0, 0)))
        assert sock.recv(100) == bytes((0x7F, 0x20, 0, 0))
        assert sock.recv(100) == b""


def test_an_unknown_serializer_is_told_so(router):
    with connect(router.path) as sock:
        sock.sendall(bytes((0x7F, 0xF9, 0, 0)))
        assert sock.recv(100) == bytes((0x7F, 0x10, 0, 0))
        assert sock.recv(100) == b""


def test_more_connections_than_allowed_are_closed(make_router, client):
    router = make_router(sessions=1)
    client(router.path).join()
    with connect(router.path) as sock:
        assert sock.recv(100) == b""


# ---------------------------------------------------------------------- joining and leaving


def test_another_realm_is_refused(router, session):
    with pytest.raises(wampy.NoSuchRealm):
        session(router.unix_url, realm="elsewhere")


def test_a_ticket_over_the_unix_socket(router, session):
    joe = session(router.unix_url, authid="joe", ticket="joe's ticket")
    details = joe.call("wamp.session.get", joe.id)
    assert (details["authid"], details["authrole"]) == ("joe", "frontend")
    for authid, ticket in (("joe", "wrong"), ("nobody", "joe's ticket")):
        with pytest.raises(wampy.NotAuthenticated):
            session(router.unix_url, authid=authid, ticket=ticket)


@pytest.mark.parametrize("first", [b"", b"\x7f", b"\x7f\xf2\0\0", b"GET /ws HTTP/1.1\r\n"])
def test_who_does_not_join_is_cut_off(make_router, first):
    router = make_router(join_timeout_s=0.2)
    with connect(router.path) as sock:
        sock.sendall(first)
        while sock.recv(1000):
            pass


@pytest.mark.parametrize(
    "message",
    [[48, 1, {}, "wamp.session.count"], [5, "", {}], [2, 1, {}], [6, {}, "wamp.close.normal"]],
)
def test_what_is_no_hello_ends_the_connection(router, client, message):
    one = client(router.path)
    one.send(*message)
    assert one.recv()[:3:2] == [3, "wamp.error.protocol_violation"]
    assert one.recv() is None


def test_a_second_hello_ends_the_session(router, client):
    one = client(router.path).join()
    one.send(1, "realm1", {})
    assert one.recv()[0] == 3
    assert one.recv() is None
    assert client(router.path).join().request(48, {}, "wamp.session.count")[3] == [1]


@pytest.mark.parametrize("websocket", [False, True])
def test_goodbye_of_a_client(router, client, websocket):
    other = client(router.path).join()
    other.request(32, {}, "wamp.session.on_leave")
    one = client(router.port, websocket=websocket).join()
    one.request(64, {}, "com.mine")
    one.send(6, {}, "wamp.close.close_realm")
    assert one.recv() == [6, {}, "wamp.close.goodbye_and_out"]
    assert one.recv() is None
    assert other.recv()[4][0] == one.id
    assert other.request(48, {}, "com.mine")[4] == "wamp.error.no_such_procedure"


@pytest.mark.parametrize("websocket", [False, True])
def test_who_hangs_up_has_left(router, client, websocket):
    other = client(router.path).join()
    other.request(32, {}, "wamp.session.on_leave")
    one = client(router.port, websocket=websocket).join()
    one.request(64, {}, "com.mine")
    other.send(48, 7, {}, "com.mine")
    assert one.recv()[0] == 68
    one.close()
    assert other.recv_until(8)[:5:2] == [8, 7, "wamp.error.canceled"]


def test_a_killed_session_is_cut_off_even_if_it_does_not_answer(router, client):
    killer, victim = client(router.path).join(), client(router.path).join()
    victim.request(64, {}, "com.mine")
    answer = killer.request(48, {}, "wamp.session.kill", [victim.id, "com.reason"])
    assert answer[0] == 50
    victim.sock.sendall(victim.encode(48, 5, {}, "wamp.session.count") * 3)
    assert victim.recv() == [6, {}, "com.reason"]
    assert victim.recv() is None
    assert killer.request(48, {}, "com.mine")[4] == "wamp.error.no_such_procedure"
    assert killer.request(48, {}, "wamp.session.count")[3] == [1]


@pytest.mark.parametrize("text", ["\0no text in JSON", "x" * 5000])
def test_a_reason_that_cannot_be_sent_is_left_out(router, client, text):
    killer = client(router.path).join()
    victim = client(router.path, serializer="json", max_exponent=3).join()
    assert killer.request(48, {}, "wamp.session.kill", [victim.id, "com.reason", text])[0] == 50
    assert victim.recv() == [6, {}, "com.reason"]
    assert victim.recv() is None


def test_who_does_not_begin_tls_is_cut_off(make_router, client):
    router = make_router(tls=Tls(CERTIFICATE, KEY), join_timeout_s=0.2)
    with connect(router.port) as sock:
        assert sock.recv(100) == b""


def test_health(router, client):
    client(router.path).join()
    with connect(router.port) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while data := sock.recv(1000):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"sessions": 1' in answer


# ---------------------------------------------------------------------- the end


@pytest.mark.parametrize("way", WAYS)
def test_stop_lets_calls_finish_and_says_goodbye(router, session, client, way):
    may_end = threading.Event()
    is_called = threading.Event()

    def slow() -> str:
        is_called.set()
        may_end.wait(10 * TIME_SCALE)
        return "done"

    callee, caller = session(url_of(router, way)), session(url_of(router, way))
    watcher = client(router.path).join()
    callee.register("com.slow", slow)
    with ThreadPoolExecutor(1) as threads:
        try:
            answer = threads.submit(caller.call, "com.slow")
            assert is_called.wait(10 * TIME_SCALE)
            router.server.stop()
            wait_until(lambda: router.server.health()["status"] == "stopping")
            refused = watcher.request(48, {}, "com.slow")
            assert refused[:5:4] == [8, "wamp.error.unavailable"]
            late = client(router.path)
            late.send(1, "realm1", {"roles": {}})
            assert late.recv()[:3:2] == [3, "wamp.close.system_shutdown"]
            assert late.recv() is None
        finally:
            may_end.set()
        assert answer.result(10 * TIME_SCALE) == "done"
    assert watcher.recv() == [6, {}, "wamp.close.system_shutdown"]
    assert watcher.recv() is None
    router.end()
    assert not router.path.exists()
    with pytest.raises(OSError, match=r"(?i)refused"):
        connect(router.port)


def test_who_asks_between_the_goodbye_and_the_loss_of_the_connection(router, session, monkeypatch):
    # Made to happen each time: the thread that reads the GOODBYE lets the others go first.
    leaving = session(router.unix_url)
    outcomes: list[object] = []
    lose = leaving.lose

    def lose_late(*args: Any) -> None:
        if not outcomes:
            with pytest.raises(wampy.ConnectionLost) as raised:
                leaving.call("com.any", timeout=5 * TIME_SCALE)
            outcomes.append(raised.value)
            leaving.end()
            outcomes.append("ended")
        lose(*args)

    monkeypatch.setattr(leaving, "lose", lose_late)
    router.server.stop()
    wait_until(lambda: len(outcomes) == 2)
    assert "connection lost" in str(outcomes[0])


def test_stop_does_not_wait_for_a_call_longer_than_told(make_router, client):
    router = make_router(drain_s=0.1)
    callee, caller = client(router.path).join(), client(router.path).join()
    callee.request(64, {}, "com.slow")
    caller.send(48, 1, {}, "com.slow")
    assert callee.recv()[0] == 68
    router.server.stop()
    assert caller.recv_until(6)[2] == "wamp.close.system_shutdown"
    assert callee.recv_until(6)[2] == "wamp.close.system_shutdown"
    router.end()
    router.server.stop()
    router.server.close()


def test_a_server_that_never_ran_can_be_closed(run_dir):
    path = run_dir / "router.sock"
    authenticator = Authenticator(anonymous="anonymous")
    listener = Listener("unix", authenticator, unix_path=path)
    config = RouterConfig("realm1", (listener,), {})
    before = len(os.listdir("/proc/self/fd"))
    server = RouterServer(config)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ListenError, match=r"in use"):
        RouterServer(config)
    assert path.exists()
    one = connect(path)
    server.run_once(0)
    server.close()
    server.close()
    server.stop()
    assert one.recv(1) == b""
    one.close()
    assert not path.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_socket_that_nobody_serves_is_replaced(run_dir):
    path = run_dir / "router.sock"
    leftover = socket.socket(socket.AF_UNIX)
    leftover.bind(str(path))
    leftover.close()
    listener = Listener("unix", Authenticator(anonymous="a"), unix_path=path)
    RouterServer(RouterConfig("realm1", (listener,), {})).close()


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_cannot_be_says_so(port):
    listener = Listener("tcp", Authenticator(anonymous="a"), port=port)
    with pytest.raises(ListenError, match=f"127.0.0.1:{port}"):
        RouterServer(RouterConfig("realm1", (listener,), {}))


# ---------------------------------------------------------------------- the loop


def test_without_descriptors_it_waits_and_does_not_spin(router, client, monkeypatch):
    """The listener stays ready as long as somebody waits there."""
    other = client(router.path).join()
    listening = router.server._listening[0]
    accept = listening.accept
    tries: list[int] = []

    def no_descriptors() -> Any:
        tries.append(1)
        if len(tries) <= 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept()

    monkeypatch.setattr(listening, "accept", no_descriptors)
    one = connect(router.path)
    wait_until(lambda: tries)
    for _ in range(200):
        assert other.request(48, {}, "wamp.session.count")[3] == [1]
    assert len(tries) <= 3
    one.sendall(bytes((0x7F, 0xF2, 0, 0)))
    assert one.recv(4)[1] == 0xF2
    one.close()


def test_a_bug_ends_the_connection_that_set_it_off_only(router, client, monkeypatch, caplog):
    one, other = client(router.path).join(), client(router.path).join()

    def receive(session: Any, message: Any, now: float) -> None:
        raise KeyError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(router.server.realm, "receive", receive)
        one.send(48, 1, {}, "wamp.session.count")
        assert one.recv() is None
    assert "KeyError: 'a bug'" in caplog.text
    assert other.request(48, {}, "wamp.session.count")[3] == [1]


def test_a_timeout_counts_from_the_call_though_the_loop_has_slept(make_router, client):
    router = make_router()
    callee, caller = client(router.path).join(), client(router.path).join()
    callee.request(64, {}, "com.slow")
    # The loop sleeps for longer than the timeout, unless something wakes it.
    due: list[float] = []
    dealer = router.server.realm.dealer
    call = dealer.call

    def noted(session: Any, message: Any, now: float) -> None:
        due.append(router.server.poller.now() - now)
        call(session, message, now)

    dealer.call = noted
    threading.Event().wait(0.3)
    caller.send(48, 1, {"timeout": 50}, "com.slow")
    assert caller.recv()[:5:4] == [8, "wamp.error.timeout"]
    assert due[0] < 0.2


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("way", "limit"), [("ws", 50_000), ("tcp", 32_768), ("unix", 32_768)])
def test_how_long_a_message_may_be_is_told(make_router, kind, way, limit):
    """A Session refuses what is longer before it is sent, names size and limit, and lives."""
    session = KINDS[kind](url_of(make_router(message_bytes=50_000), way), timeout=10.0)
    session.begin()
    try:
        assert session.details["_max_message_bytes"] == 50_000
        first = session.id
        session.register("com.example.length", len)
        assert session.call("com.example.length", "x" * (limit - 100)) == limit - 100
        for say in (session.call, session.publish):
            with pytest.raises(wampy.MessageTooLong, match=rf" of 50\d\d\d bytes.* most {limit}$"):
                say("com.example.length", "x" * 50_000)
        assert session.call("com.example.length", "x") == 1
        assert session.id == first
    finally:
        session.end()
