"""A Session and a real Crossbar, over each transport and serializer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter, free_port
from tests.integration.wampy.relay import CERTIFICATE, Relay
from tests.support import wait_until
from wampy import CallResult, Session
from wampy.messages import Register, Yield

Join = Callable[..., Session]
Uri = Callable[[str], str]
VALUES: list[Any] = [None, True, 0, -(2**40), 1.5, "ä€😀", "", [], [1, [2]], {"a": {"b": None}}]


def test_calls_and_events_arrive_as_they_were_sent(
    way: dict[str, Any], join: Join, uri: Uri
) -> None:
    callee, caller = join(**way), join(**way)
    assert isinstance(callee.id, int)
    assert callee.id != caller.id
    callee.register(uri("echo"), lambda *args, **kwargs: [list(args), kwargs])
    for value in VALUES:
        assert caller.call(uri("echo"), value, key=value) == [[value], {"key": value}]
    assert caller.call(uri("echo")) == [[], {}]

    events: list[Any] = []
    subscription = callee.subscribe(uri("topic"), lambda *args, **kwargs: events.append(kwargs))
    for number in range(50):
        caller.publish(uri("topic"), number=number)
    assert caller.publish(uri("topic"), number=50, acknowledge=True)
    wait_until(lambda: len(events) == 51)
    assert events == [{"number": number} for number in range(51)]
    subscription.unsubscribe()
    caller.publish(uri("topic"), number=51, acknowledge=True)
    assert len(events) == 51


def test_bytes_survive_both_serializers(way: dict[str, Any], join: Join, uri: Uri) -> None:
    session = join(**way)
    session.register(uri("echo"), lambda value: value)
    assert session.call(uri("echo"), b"\0\xff") == b"\0\xff"


def test_a_large_message_arrives_whole(way: dict[str, Any], join: Join, uri: Uri) -> None:
    session = join(**way)
    session.register(uri("echo"), lambda value: value)
    text = "0123456789" * 400_000
    assert session.call(uri("echo"), text) == text


def test_unregistered_is_gone(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    registration = callee.register(uri("echo"), lambda: 1)
    assert caller.call(uri("echo")) == 1
    registration.unregister()
    registration.unregister()
    assert not registration.is_active
    with pytest.raises(wampy.NoSuchProcedure, match=uri("echo")):
        caller.call(uri("echo"))


def test_a_drained_session_has_lost_no_call(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    began, may_end = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        may_end.wait(10)
        return 7

    callee.register(uri("slow"), slow)
    callee.subscribe(uri("topic"), lambda: None)
    future = caller.call_async(uri("slow"))
    assert began.wait(10)
    assert not callee.drain(0.2)  # the handler still runs
    with pytest.raises(wampy.NoSuchProcedure):
        caller.call(uri("slow"))
    may_end.set()
    assert callee.drain()
    callee.end()
    assert future.result(10) == 7


def test_calls_are_not_lost_by_callees_that_come_and_go(join: Join, uri: Uri) -> None:
    caller = join()
    callee = join()
    callee.register(uri("add"), lambda a, b: a + b, invoke="roundrobin")
    is_over = threading.Event()
    wrong: list[Any] = []

    def call() -> None:
        while not is_over.is_set():
            try:
                assert caller.call(uri("add"), 1, 2) == 3
            except (wampy.WampyError, AssertionError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        successor = join()
        successor.register(uri("add"), lambda a, b: a + b, invoke="roundrobin")
        assert callee.drain()
        callee.end()
        callee = successor
    is_over.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_handlers_of_one_topic_are_undone_one_by_one(join: Join, uri: Uri) -> None:
    session, publisher = join(), join()
    first: list[int] = []
    second: list[int] = []
    one = session.subscribe(uri("topic"), first.append)
    session.subscribe(uri("topic"), second.append)
    publisher.publish(uri("topic"), 1, acknowledge=True)
    wait_until(lambda: first == [1] and second == [1])
    one.unsubscribe()
    publisher.publish(uri("topic"), 2, acknowledge=True)
    wait_until(lambda: second == [1, 2])
    assert first == [1]


def test_patterns(join: Join, uri: Uri) -> None:
    session, other = join(), join()
    events: list[int] = []
    session.subscribe(uri("a"), events.append, match="prefix")
    session.register(uri("p"), lambda: "prefix", match="prefix")
    other.publish(uri("a.b.c"), 1, acknowledge=True)
    wait_until(lambda: events == [1])
    assert other.call(uri("p.q")) == "prefix"


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ws://127.0.0.1:{free}/ws", "connection refused"),
        ("tcp://127.0.0.1:{free}", "connection refused"),
        ("unix:///no/such/socket", "no such file or directory"),
        ("ws://127.0.0.1:{router}/nowhere", "is the path right"),
        ("http://127.0.0.1/", "unknown scheme 'http'"),
        ("tcp://127.0.0.1", "the port is missing"),
        ("tcp://127.0.0.1:eight", "this is no URL"),
        ("unix://", "the path of the socket is missing"),
        ("ws:///path", "the host is missing"),
    ],
)
def test_no_connection_says_which_url_and_why(url: str, reason: str, router: RealRouter) -> None:
    url = url.format(free=free_port(), router=router.port)
    with pytest.raises(wampy.ConnectFailed) as raised:
        Session(url)
    assert url in str(raised.value)
    assert reason in str(raised.value)


@pytest.mark.parametrize("scheme", ["ws", "tcp"])
def test_who_says_nothing_is_given_up_in_time(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(wampy.ConnectFailed, match="no answer in time"):
            Session(f"{scheme}://127.0.0.1:{port}", timeout=0.1)


def test_rawsocket_to_something_else_says_so(router: RealRouter) -> None:
    with pytest.raises(wampy.ConnectFailed, match="RawSocket"), HttpServer() as port:
        Session(f"tcp://127.0.0.1:{port}", timeout=5.0)


class HttpServer:
    """Answers each connection with an HTTP error, and hangs up."""

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                client.recv(100)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                client.close()
        except OSError:
            return

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_realm_that_does_not_exist(router: RealRouter) -> None:
    session = Session(router.url, "no.such.realm")
    with pytest.raises(wampy.NoSuchRealm):
        session.begin()
    assert session.id is None
    session.end()


@pytest.mark.sockets
def test_a_ticket_opens_and_a_wrong_one_does_not(router: RealRouter, join: Join) -> None:
    assert join(router.ticket_url, authid="joe", ticket=TICKETS["joe"]).is_joined
    wrong = Session(router.ticket_url, authid="joe", ticket="mistaken")
    assert "mistaken" not in repr(wrong)
    with pytest.raises(wampy.NotAuthenticated) as raised:
        wrong.begin()
    assert "mistaken" not in str(raised.value)
    wrong.end()
    anonymous = Session(router.ticket_url)
    with pytest.raises(wampy.WampyError):
        anonymous.begin()
    anonymous.end()


@pytest.mark.sockets
def test_a_ticket_is_not_sent_in_the_clear_beyond_this_machine(
    router: RealRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wampy.transports.stream.is_loopback", lambda host: False)
    with pytest.raises(wampy.ConnectFailed, match="never sent in the clear"):
        Session(router.ticket_url, authid="joe", ticket=TICKETS["joe"])
    session = Session(router.ticket_url)
    session.end()


def test_an_answer_that_does_not_come_in_time(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    release = threading.Event()
    callee.register(uri("slow"), lambda: release.wait(10.0))
    callee.register(uri("quick"), lambda: 1)
    started = time.monotonic()
    with pytest.raises(wampy.RequestTimeout, match=uri("slow")) as raised:
        caller.call(uri("slow"), timeout=0.1)
    assert isinstance(raised.value, TimeoutError)
    assert time.monotonic() - started < 5.0
    # The late answer, if one comes, is nobody else's.
    release.set()
    assert caller.call(uri("quick")) == 1


@pytest.mark.parametrize("bad", ["", "white space", "a..b", "a#b", "a\n"])
def test_a_uri_that_is_none_is_refused_here(join: Join, bad: str, uri: Uri) -> None:
    session = join()
    for use in (session.call, session.publish):
        with pytest.raises(wampy.LocalProtocolError):
            use(bad)
    with pytest.raises(wampy.LocalProtocolError):
        session.register(bad, print)
    with pytest.raises(wampy.LocalProtocolError):
        session.subscribe(bad, print)
    session.register(uri("echo"), lambda: 1)
    assert session.call(uri("echo")) == 1


def test_what_cannot_be_sent_is_named_and_the_session_lives(
    way: dict[str, Any], join: Join, uri: Uri
) -> None:
    session = join(**way)
    session.register(uri("echo"), lambda value: value)
    with pytest.raises(wampy.SerializationError, match="object"):
        session.call(uri("echo"), object())
    with pytest.raises(wampy.SerializationError):
        session.publish(uri("topic"), object())
    assert session.call(uri("echo"), 1) == 1


def test_a_message_that_the_router_would_refuse_is_not_sent(
    way: dict[str, Any], join: Join, uri: Uri
) -> None:
    session = join(**way)
    session.register(uri("echo"), len)
    with pytest.raises(wampy.MessageTooLong, match="takes at most"):
        session.call(uri("echo"), "x" * (2**24 + 1))
    assert session.call(uri("echo"), "four") == 4


# ---------------------------------------------------------------------- TLS


def test_tls_is_verified(relay: Callable[..., Relay], join: Join, uri: Uri) -> None:
    port = relay(is_tls=True).port
    with pytest.raises(wampy.ConnectFailed, match="certificate is not trusted"):
        Session(f"wss://localhost:{port}/ws")
    with pytest.raises(wampy.ConnectFailed, match="certificate is not trusted"):
        Session(f"wss://127.0.0.1:{port}/ws", ca=str(CERTIFICATE))
    for url in (f"wss://localhost:{port}/ws", f"tcps://localhost:{port}"):
        session = join(url, ca=str(CERTIFICATE))
        name = uri(url[:4].rstrip(":"))
        session.register(name, lambda value: value)
        assert session.call(name, "x" * 300_000) == "x" * 300_000
        futures = [session.call_async(name, number) for number in range(100)]
        assert [future.result() for future in futures] == list(range(100))


# ---------------------------------------------------------------------- threads and futures


def test_many_threads_each_get_their_own_answer(way: dict[str, Any], join: Join, uri: Uri) -> None:
    callee, caller = join(**way), join(**way)
    callee.register(uri("echo"), lambda value: value)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for count in range(60):
            value = f"{number}:{count}"
            try:
                got = caller.call(uri("echo"), value)
            except Exception as error:
                got = error
            if got != value:
                wrong.append((value, got))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
        assert not thread.is_alive()
    assert not wrong


def test_futures(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    callee.register(uri("echo"), lambda value: value)
    futures = [caller.call_async(uri("echo"), number) for number in range(200)]
    assert [future.result() for future in reversed(futures)] == list(reversed(range(200)))
    failed = caller.call_async(uri("none"))
    assert isinstance(failed.exception(), wampy.NoSuchProcedure)
    with pytest.raises(wampy.NoSuchProcedure):
        failed.result()


def test_callbacks_of_futures_run_though_nobody_waits(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    callee.register(uri("echo"), lambda value: value)
    seen: list[Any] = []
    for number in range(20):
        future = caller.call_async(uri("echo"), number)
        future.add_done_callback(lambda done: seen.append(done.result()))
    wait_until(lambda: sorted(seen) == list(range(20)))


def test_several_threads_wait_for_one_future(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    release = threading.Event()
    callee.register(uri("slow"), lambda: release.wait(10.0))
    future = caller.call_async(uri("slow"))
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(future.result())) for _ in range(4)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10.0)
    assert results == [True] * 4


def test_a_cancelled_future_is_finished_at_once_and_the_router_told(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    started, cancelled = threading.Event(), threading.Event()

    async def slow() -> None:
        import asyncio

        started.set()
        try:
            await asyncio.sleep(30.0)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    callee.register(uri("slow"), slow)
    future = caller.call_async(uri("slow"))
    assert started.wait(5.0)
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result()
    assert cancelled.wait(5.0), "the handler heard of it"
    done = caller.call_async(uri("none"))
    done.exception()
    assert not done.cancel()


def test_a_future_times_out_by_itself(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    release = threading.Event()
    callee.register(uri("slow"), lambda: release.wait(10.0))
    waited = caller.call_async(uri("slow"), timeout=0.1)
    with pytest.raises(wampy.RequestTimeout):
        waited.result()
    still = caller.call_async(uri("slow"))
    with pytest.raises(TimeoutError):
        still.result(timeout=0.05)
    assert not still.done()
    release.set()
    assert still.result() is True


def test_progress(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()

    def count(to: int) -> Any:
        yield from range(to)
        return "end"

    callee.register(uri("count"), count)
    assert list(caller.call_progress(uri("count"), 5)) == [0, 1, 2, 3, 4, "end"]
    assert caller.call(uri("count"), 3) == "end"
    with pytest.raises(wampy.NoSuchProcedure):
        list(caller.call_progress(uri("none")))
    parts = caller.call_progress(uri("count"), 10**9, timeout=5.0)
    assert next(parts) == 0
    parts.close()
    callee.register(uri("echo"), lambda: 1)
    assert caller.call(uri("echo"), timeout=10.0) == 1


def test_several_values_come_as_a_call_result(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    registered = callee.send_and_receive(Register(procedure=uri("many")))
    assert registered is not None
    future = caller.call_async(uri("many"))
    invocation: Any = callee.recv(5.0)
    callee.send(Yield(request_id=invocation.request_id, args=[1, 2], kwargs={"three": 3}))
    assert future.result() == CallResult([1, 2], {"three": 3})


# ---------------------------------------------------------------------- the end


def test_the_end(join: Join, uri: Uri) -> None:
    callee, caller = join(), join()
    release = threading.Event()
    callee.register(uri("slow"), lambda: release.wait(10.0))
    future = caller.call_async(uri("slow"))
    caller.end()
    caller.end()
    assert caller.id is None
    with pytest.raises(wampy.SessionClosed):
        future.result()
    for use in (caller.call, caller.publish):
        with pytest.raises(wampy.SessionClosed):
            use(uri("slow"))
    with pytest.raises(wampy.SessionClosed):
        caller.begin()
    release.set()


@pytest.mark.sockets
def test_a_callback_may_end_the_session(join: Join, uri: Uri) -> None:
    # In the very thread that reads, which is not to be waited for, and closes the socket itself.
    callee, caller = join(), join()
    callee.register(uri("echo"), lambda value: value)
    link: Any = caller._link
    sock = link.transport._socket
    future = caller.call_async(uri("echo"), 1)
    future.add_done_callback(lambda done: caller.end())
    wait_until(lambda: sock.fileno() == -1)
    assert future.result() == 1
    with pytest.raises(wampy.SessionClosed):
        caller.call(uri("echo"), 1)


def test_nothing_is_said_before_the_beginning(router: RealRouter, uri: Uri) -> None:
    session = Session(router.url)
    assert session.id is None
    with pytest.raises(wampy.SessionClosed, match="begin"):
        session.call(uri("echo"))
    session.end()


def test_no_thread_is_left(router: RealRouter, uri: Uri) -> None:
    before = set(threading.enumerate())
    with Session(router.url) as session:
        session.register(uri("echo"), lambda: 1)
        assert session.call(uri("echo")) == 1
    wait_until(
        lambda: (
            not [
                thread
                for thread in set(threading.enumerate()) - before
                if thread.name.startswith("wampy")
            ]
        ),
        message="threads of the session live on",
    )
