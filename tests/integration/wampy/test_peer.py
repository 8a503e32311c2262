"""Peers at work: handlers of all kinds, limits, health, draining; over a real Crossbar."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.support import wait_until
from wampy import Peer, Session, every, healthcheck, rpc, subscribe
from wampy.errors import NotAuthorized
from wampy.host import PeerHost

Join = Callable[..., Session]
Uri = Callable[[str], str]
Host = Callable[..., PeerHost]


@pytest.fixture
def host(router: RealRouter) -> Iterator[Host]:
    """Start a Peer's host; drained after the test."""
    hosts: list[PeerHost] = []

    def started(peer: Peer, **options: Any) -> PeerHost:
        made = PeerHost(peer, Session(router.unix_url, timeout=10.0), **options)
        hosts.append(made)
        made.start(10.0)
        return made

    yield started
    for made in hosts:
        made.drain(5.0)


class Failure(Exception):
    """A handler's own."""


def test_a_peer_of_every_kind_of_entry_point(host: Host, join: Join, uri: Uri) -> None:
    story: list[str] = []

    class App(Peer):
        """An app."""

        prefix = uri("")

        class Config:
            greeting: str = "hello"

        @rpc
        def greet(self, name: str, mark: str = "!") -> str:
            """Greet."""
            return f"{self.config.greeting} {name}{mark}"

        @rpc(uri("own.uri"), invoke="single", concurrency=1)
        async def later(self) -> str:
            await asyncio.sleep(0)
            return self.name

        @rpc
        def nested(self) -> Any:
            return self.session.call(self.prefix + "greet", "you")

        @rpc
        def parts(self) -> Any:
            yield 1
            yield 2

        @subscribe(uri("topic"))
        def on_topic(self, number: int) -> None:
            story.append(f"event {number}")

        @subscribe(uri("other"), match="prefix")
        async def on_other(self, number: int) -> None:
            story.append(f"other {number}")

        @every("20ms")
        def tick(self) -> None:
            if "tick" not in story:
                story.append("tick")

        def on_start(self) -> None:
            assert self.session.is_joined
            story.append("start")

        def on_stop(self) -> None:
            assert self.session.is_joined
            story.append("stop")

    peer = App.create(config={"greeting": "good day"}, name="app", index=3)
    assert (peer.name, peer.index) == ("app", 3)
    made = host(peer)
    caller = join()
    assert caller.call(uri("greet"), "wamp") == "good day wamp!"
    assert caller.call(uri("greet"), "wamp", mark="?") == "good day wamp?"
    assert caller.call(uri("own.uri")) == "app"
    assert caller.call(uri("nested")) == "good day you!"
    assert list(caller.call_progress(uri("parts"))) == [1, 2]
    caller.publish(uri("topic"), 1)
    caller.publish(uri("other.one"), 2)
    wait_until(lambda: {"start", "event 1", "other 2", "tick"} <= set(story))

    status = made.status()
    assert status["ready"] is True
    assert status["reason"] is None
    assert status["saturated"] is False
    wait_until(lambda: made.status()["in_flight"] == 0)
    assert (status["calls"], status["errors"]) == (6, 0)
    described = made.describe()
    assert described["procedures"][0]["uri"] == uri("greet")
    assert described["procedures"][0]["signature"] == "(name: 'str', mark: 'str' = '!') -> 'str'"
    assert described["procedures"][0]["doc"] == "Greet."
    assert {topic["match"] for topic in described["topics"]} == {"exact", "prefix"}

    assert made.drain(5.0)
    assert made.drain(5.0)
    assert story[-1] == "stop"
    assert made.status()["reason"] == "draining"
    with pytest.raises(wampy.NoSuchProcedure):
        caller.call(uri("greet"), "wamp")


# ---------------------------------------------------------------------- what handlers raise


def test_what_a_handler_raises_reaches_the_caller_and_the_peer_lives(
    host: Host, join: Join, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    class App(Peer):
        prefix = uri("")

        @rpc
        def fail(self) -> None:
            raise Failure("what went wrong")

        @rpc(uri("expected"), expected=Failure)
        def expected(self) -> None:
            raise Failure("your fault")

        @rpc
        async def fail_later(self) -> None:
            raise Failure("later")

        @rpc
        def fail_half_way(self) -> Any:
            yield 1
            raise Failure("half way")

        @rpc
        def raise_uri(self) -> None:
            raise wampy.ApplicationError(uri("error.mine"), [1], {"two": 2})

        @rpc
        def leave(self) -> None:
            raise SystemExit(3)

        @rpc
        def unsendable(self) -> object:
            return {"a": object()}

        @rpc
        def bad_error(self) -> None:
            raise wampy.ApplicationError("no uri at all", [object()])

        @rpc
        def add(self, one: int, two: int) -> int:
            return one + two

        @rpc
        def type_error(self) -> None:
            len(3)  # type: ignore[arg-type]

    made = host(App())
    caller = join()

    def error_of(name: str, *args: Any) -> wampy.RequestError:
        with pytest.raises(wampy.RequestError) as raised:
            caller.call(uri(name), *args)
        return raised.value

    error = error_of("fail")
    assert error.args == ("Failure: what went wrong",)
    assert error.kwargs == {}
    assert "Traceback" in caplog.text
    caplog.clear()
    assert error_of("expected").args == ("Failure: your fault",)
    assert "Traceback" not in caplog.text
    assert error_of("fail_later").args == ("Failure: later",)
    assert error_of("fail_half_way").args == ("Failure: half way",)
    own = error_of("raise_uri")
    assert (own.uri, own.args, own.kwargs) == (uri("error.mine"), (1,), {"two": 2})
    assert error_of("leave").args == ("SystemExit: 3",)
    unsendable = error_of("unsendable")
    assert uri("unsendable") in str(unsendable)
    assert "SerializationError" in str(unsendable)
    assert "object" in str(unsendable)
    assert "no uri at all" in str(error_of("bad_error"))
    misfit = error_of("add", 1)
    assert isinstance(misfit, wampy.InvalidArgument)
    assert "two" in str(misfit)
    assert not isinstance(error_of("type_error"), wampy.InvalidArgument)
    assert caller.call(uri("add"), 1, 2) == 3
    assert made.status()["errors"] == 6


def test_tracebacks_travel_only_with_debug(host: Host, join: Join, uri: Uri) -> None:
    class App(Peer):
        prefix = uri("")

        @rpc
        def fail(self) -> None:
            raise Failure("what went wrong")

    host(App(), debug=True)
    with pytest.raises(wampy.RequestError) as raised:
        join().call(uri("fail"))
    assert "in fail" in raised.value.kwargs["traceback"]


def test_a_handler_of_events_that_raises_does_not_end_them(
    host: Host, join: Join, uri: Uri, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    class App(Peer):
        @subscribe(uri("topic"))
        def on_topic(self, number: int) -> None:
            if number == 1:
                raise Failure("one")
            seen.append(number)

    host(App())
    publisher = join()
    for number in range(3):
        publisher.publish(uri("topic"), number)
    wait_until(lambda: seen == [0, 2])
    assert "Failure: one" in caplog.text


@pytest.mark.parametrize("where", ["__init__", "on_start", "uri"])
def test_a_peer_that_cannot_start_says_why(host: Host, join: Join, uri: Uri, where: str) -> None:
    class App(Peer):
        prefix = uri("")

        def on_start(self) -> None:
            if where == "on_start":
                raise Failure("on_start")

        @rpc(invoke="single")
        def taken(self) -> None: ...

    class Broken(App):
        def __init__(self) -> None:
            raise Failure("__init__")

    if where == "__init__":
        with pytest.raises(Failure, match="__init__"):
            Broken.create()
    elif where == "on_start":
        with pytest.raises(Failure, match="on_start"):
            host(App())
    else:
        join().register(uri("taken"), print)
        with pytest.raises(wampy.ProcedureAlreadyExists):
            host(App())


# ---------------------------------------------------------------------- busy


def test_stuck_handlers_keep_nothing_else_from_being_served(
    host: Host, join: Join, uri: Uri
) -> None:
    """Control procedures are answered though every handler is stuck, and the queue is bounded."""
    release = threading.Event()

    class App(Peer):
        prefix = uri("")

        @rpc
        def stuck(self) -> None:
            release.wait(20.0)

        @rpc
        def quick(self) -> int:
            return 1

    made: PeerHost = host(
        App(), concurrency=2, queue=1, control_procedures={uri("heartbeat"): lambda: made.status()}
    )
    caller = join()
    first = caller.call_async(uri("stuck"))
    wait_until(lambda: made.status()["in_flight"] == 1)
    started = time.monotonic()
    assert caller.call(uri("quick")) == 1
    assert time.monotonic() - started < 1.0
    others = [caller.call_async(uri("stuck"))]
    wait_until(lambda: made.status()["saturated"])
    others.append(caller.call_async(uri("stuck")))
    wait_until(lambda: made.status()["in_flight"] == 3)
    with pytest.raises(wampy.Unavailable, match="queue is full"):
        caller.call(uri("quick"))
    for _ in range(20):
        beat = caller.call(uri("heartbeat"), timeout=2.0)
        assert beat["ready"] is True
        assert beat["saturated"] is True
        assert beat["in_flight"] == 3
    assert beat["oldest_call_s"] > 0.0
    release.set()
    for future in (first, *others):
        assert future.result() is None
    assert caller.call(uri("quick")) == 1


def test_calls_run_at_once_up_to_the_limit(host: Host, join: Join, uri: Uri) -> None:
    running = 0
    most = {"blocking": 0, "limited": 0}
    lock = threading.Lock()
    barrier = threading.Barrier(4)

    class App(Peer):
        prefix = uri("")

        def _count(self, name: str, wait: Callable[[], Any]) -> None:
            nonlocal running
            with lock:
                running += 1
                most[name] = max(most[name], running)
            wait()
            with lock:
                running -= 1

        @rpc
        def blocking(self) -> None:
            # Passes only if four run at the same time.
            self._count("blocking", lambda: barrier.wait(10.0))

        @rpc(concurrency=1)
        def limited(self) -> None:
            self._count("limited", lambda: None)

    host(App(), concurrency=4)
    caller = join()
    futures = [caller.call_async(uri("blocking")) for _ in range(8)]
    assert [future.result() for future in futures] == [None] * 8
    assert most["blocking"] == 4
    futures = [caller.call_async(uri("limited")) for _ in range(50)]
    assert [future.result() for future in futures] == [None] * 50
    assert most["limited"] == 1


def test_handlers_call_each_other_through_their_own_session(
    host: Host, join: Join, uri: Uri
) -> None:
    class App(Peer):
        prefix = uri("")

        @rpc
        def down(self, depth: int) -> int:
            if depth == 0:
                return 0
            below: int = self.session.call(uri("down"), depth - 1, timeout=10.0)
            return below + 1

    host(App(), concurrency=64)
    caller = join()
    assert caller.call(uri("down"), 5) == 5
    futures = [caller.call_async(uri("down"), 3) for _ in range(12)]
    assert [future.result() for future in futures] == [3] * 12


def test_async_handlers_share_one_loop_and_do_not_take_threads(
    host: Host, join: Join, uri: Uri
) -> None:
    loops: set[int] = set()

    class App(Peer):
        prefix = uri("")

        @rpc
        async def wait(self, number: int) -> int:
            loops.add(id(asyncio.get_running_loop()))
            await asyncio.sleep(0.02)
            return number

    host(App(), concurrency=50)
    caller = join()
    futures = [caller.call_async(uri("wait"), number) for number in range(50)]
    assert [future.result() for future in futures] == list(range(50))
    assert len(loops) == 1


def test_the_order_of_events_is_kept(host: Host, join: Join, uri: Uri) -> None:
    seen: dict[str, list[int]] = {"plain": [], "async": []}

    class App(Peer):
        @subscribe(uri("plain"))
        def on_plain(self, number: int) -> None:
            if number % 50 == 0:
                time.sleep(0.01)  # slow now and then: the thread changes
            seen["plain"].append(number)

        @subscribe(uri("async"))
        async def on_async(self, number: int) -> None:
            await asyncio.sleep(0)
            seen["async"].append(number)

    host(App())
    publisher = join()
    for number in range(300):
        publisher.publish(uri("plain"), number)
        publisher.publish(uri("async"), number)
    wait_until(lambda: len(seen["plain"]) == len(seen["async"]) == 300)
    assert seen["plain"] == seen["async"] == list(range(300))


# ---------------------------------------------------------------------- health


def test_a_health_check_makes_it_unready_with_its_reason(host: Host, join: Join, uri: Uri) -> None:
    state: dict[str, Any] = {"do": lambda: None}

    class App(Peer):
        @healthcheck
        def check(self) -> Any:
            return state["do"]()

        @healthcheck
        async def check_later(self) -> bool:
            return True

    def fail() -> None:
        raise Failure("no disk")

    made = host(App())
    assert made.status()["ready"] is True
    state["do"] = lambda: False
    wait_until(lambda: made.status()["reason"] == "check: said False")
    state["do"] = fail
    wait_until(lambda: made.status()["reason"] == "check: Failure: no disk")
    assert made.status()["ready"] is False
    state["do"] = lambda: None
    wait_until(lambda: made.status()["ready"])


def test_what_is_not_registered_makes_it_unready(host: Host, join: Join, uri: Uri) -> None:
    class App(Peer):
        prefix = uri("")

        @rpc
        def mine(self) -> int:
            return 1

    made = host(App())
    caller, session = join(), made.session
    first_id, link = session.id, session._link
    assert link is not None
    link.transport.abort()
    wait_until(lambda: session.id not in (None, first_id))
    wait_until(lambda: made.status()["ready"])
    assert caller.call(uri("mine")) == 1
    # The Router takes the procedure away.
    try:
        caller.register(uri("mine"), lambda: 2, options={"force_reregister": True})
    except NotAuthorized:  # the built-in Router lets nobody take what is somebody else's
        registration_id = caller.call("wamp.registration.lookup", uri("mine"))
        caller.call("wamp.registration.remove_callee", registration_id, session.id)
    wait_until(lambda: made.status()["reason"] == f"{uri('mine')} is not registered")
    assert made.status()["ready"] is False


# ---------------------------------------------------------------------- handing over and draining


def test_control_procedures_are_handed_over_and_taken_back(
    host: Host, join: Join, uri: Uri
) -> None:
    class App(Peer):
        prefix = uri("")

        @rpc
        def who(self) -> int:
            return self.index

    old = host(App.create(index=1), control_procedures={uri("beat"): lambda: "old"})
    caller = join()
    assert caller.call(uri("beat")) == "old"
    old.hand_over()
    new = host(App.create(index=2), control_procedures={uri("beat"): lambda: "new"})
    assert caller.call(uri("beat")) == "new"
    assert {caller.call(uri("who")) for _ in range(4)} == {1, 2}
    new.hand_over()
    old.take_back()
    assert caller.call(uri("beat")) == "old"


def test_draining_loses_no_call(host: Host, join: Join, uri: Uri) -> None:
    """Replicas roll under load; calls that were taken, slow ones too, are answered."""

    class App(Peer):
        prefix = uri("")

        @rpc
        def quick(self, number: int) -> int:
            return number

        @rpc
        def slow(self, number: int) -> int:
            time.sleep(0.05)  # longer than the roll of one replica takes
            return number

    hosts = [host(App.create(index=index)) for index in range(2)]
    caller = join()
    failures: list[Any] = []
    count = 0
    done = threading.Event()

    def load(name: str) -> None:
        nonlocal count
        number = 0
        while not done.is_set():
            number += 1
            try:
                if caller.call(uri(name), number) != number:
                    failures.append(number)
            except wampy.WampyError as error:
                failures.append(error)
            count += 1

    threads = [threading.Thread(target=load, args=(name,)) for name in ("quick", "slow")]
    for thread in threads:
        thread.start()
    for roll in range(6):
        hosts.append(host(App.create(index=roll)))
        assert hosts[roll].drain(10.0)
    done.set()
    for thread in threads:
        thread.join(10.0)
    assert count > 12
    assert not failures


def test_draining_waits_only_so_long(host: Host, join: Join, uri: Uri) -> None:
    release = threading.Event()

    class App(Peer):
        prefix = uri("")

        @rpc
        def stuck(self) -> None:
            release.wait(10.0)

    made = host(App())
    future = join().call_async(uri("stuck"))
    wait_until(lambda: made.status()["in_flight"] == 1)
    assert made.drain(0.1) is False
    assert isinstance(future.exception(), wampy.WampyError)
    release.set()
