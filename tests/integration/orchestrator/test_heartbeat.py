"""The orchestrator's own Session, over each transport, with each Router and real callees."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator import heartbeat
from orchestrator.core.spec import HeartbeatPolicy
from orchestrator.core.states import InstanceId
from orchestrator.heartbeat import Listener, RouterSession
from orchestrator.loop import Loop
from tests.conftest import RealRouter, short_folder
from wampy import Session
from wampy.auth import by_method
from wampy.testing.routers import Router

QUICK = HeartbeatPolicy(interval_s=0.05, timeout_s=0.5, failures=3)
CLOCK = InstanceId("clock", 0)


class Heard:
    """What a RouterSession told, in the order of its telling."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.all: list[tuple[Any, ...]] = []
        self.listener = Listener(
            joined=lambda: self.all.append(("joined",)),
            lost=lambda reason: self.all.append(("lost", reason)),
            answered=lambda *what: self.all.append(("answered", *what)),
            missed=lambda *what: self.all.append(("missed", *what)),
            canary_missed=lambda in_a_row: self.all.append(("canary missed", in_a_row)),
            peer_joined=lambda pid: self.all.append(("peer joined", pid)),
            peer_left=lambda pid: self.all.append(("peer left", pid)),
            unreachable=lambda *what: self.all.append(("unreachable", *what)),
        )

    def until(self, kind: str, timeout_s: float = 10.0) -> tuple[Any, ...]:
        """Run the loop until this is told once more."""
        known = len(self.all)
        deadline = self.loop.now() + timeout_s
        while self.loop.now() < deadline:
            for each in self.all[known:]:
                if each[0] == kind:
                    return each
            self.loop.run_once(0.1)
        raise AssertionError(f"no {kind}, but {self.all[-5:]}")

    def until_idle(self, session: RouterSession) -> None:
        """Run the loop until nothing that was asked waits for its answer."""
        deadline = self.loop.now() + 10.0
        while session._calls:
            assert self.loop.now() < deadline
            self.loop.run_once(0.1)


@pytest.fixture(params=["builtin_router", "crossbar"])
def router(request: pytest.FixtureRequest) -> RealRouter:
    found: RealRouter = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def heard() -> Iterator[Heard]:
    loop = Loop(lambda error: pytest.fail(f"{error!r}"))
    yield Heard(loop)
    loop.close()


@pytest.fixture
def connect(heard: Heard) -> Iterator[Callable[..., RouterSession]]:
    made: list[RouterSession] = []

    def connect(
        url: str, authid: str | None = None, ticket: str | None = None, *, is_told: bool = False
    ) -> RouterSession:
        session = RouterSession(
            heard.loop,
            url=url,
            realm="realm1",
            authentication=by_method("ticket", authid, ticket),
            stack=f"hb{id(heard)}",
            listener=heard.listener,
            is_told=is_told,
        )
        made.append(session)
        session.connect()
        return session

    yield connect
    for session in made:
        session.disconnect()


@pytest.mark.parametrize("kind", ["url", "tcp_url", "unix_url"])
def test_it_joins_over_each_transport(
    router: RealRouter, heard: Heard, connect: Callable[..., RouterSession], kind: str
) -> None:
    session = connect(getattr(router, kind))
    heard.until("joined")
    assert session.is_joined
    session.disconnect("enough")
    assert heard.all[-1] == ("lost", "enough")
    assert not session.is_joined


def test_it_joins_with_a_ticket_and_says_why_it_cannot(
    router: RealRouter, heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    connect(router.ticket_url, "joe", "joe's ticket").disconnect()
    right = connect(router.ticket_url, "joe", "joe's ticket")
    heard.until("joined")
    right.disconnect()
    connect(router.ticket_url, "joe", "wrong")
    assert "wamp.error" in heard.until("lost")[1]


def test_a_callee_is_probed_until_it_is_there_then_asked_each_interval(
    router: RealRouter, heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    session = connect(router.unix_url)
    heard.until("joined")
    session.watch(CLOCK, 1, QUICK)
    with Session(router.url, realm="realm1") as callee:
        callee.register(heartbeat_uri(heard), lambda: {"ready": True, "incarnation": 1})
        for _ in range(3):
            _, instance, incarnation, report, elapsed_s = heard.until("answered")
            assert (instance, incarnation, report["ready"]) == (CLOCK, 1, True)
            assert 0 < elapsed_s < 5
    # Gone: the canary is answered, it is not.
    assert heard.until("missed") == ("missed", CLOCK, 1)
    session.unwatch(CLOCK)
    known = len(heard.all)
    deadline = heard.loop.now() + 4 * QUICK.interval_s
    while heard.loop.now() < deadline:
        heard.loop.run_once(0.05)
    assert heard.all[known:] == []


def test_a_callee_that_hangs_is_missed_and_the_canary_is_not(
    router: RealRouter, heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    session = connect(router.unix_url)
    heard.until("joined")
    hang = threading.Event()
    go_on = threading.Event()

    def beat() -> dict[str, Any]:
        if hang.is_set():
            go_on.wait(20)
        return {"ready": True, "incarnation": 7}

    with Session(router.url, realm="realm1") as callee:
        callee.register(heartbeat_uri(heard), beat)
        session.watch(CLOCK, 7, QUICK)
        heard.until("answered")
        hang.set()
        assert heard.until("missed") == ("missed", CLOCK, 7)
        go_on.set()
    assert not [each for each in heard.all if each[0] == "canary missed"]


def test_a_router_that_says_nothing_is_given_up(
    heard: Heard, connect: Callable[..., RouterSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "JOIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connect(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert "no session within 0.2 s" in heard.until("lost")[1]
        assert "no session within 0.2 s" in heard.until("lost")[1], "and it tries again"


def test_nobody_there_is_said_and_tried_again(
    heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connect(f"tcp://127.0.0.1:{port}")
    assert "Connection refused" in heard.until("lost")[1]
    assert "Connection refused" in heard.until("lost")[1]


#: So rarely that only what the Router tells can be heard in time.
RARE = HeartbeatPolicy(interval_s=600.0, timeout_s=30.0, failures=3)


@pytest.fixture
def telling() -> Iterator[str]:
    with short_folder() as folder:
        path = folder / "router.sock"
        with Router(unix_path=path):
            yield f"unix://{path}"


def test_the_built_in_router_tells_who_joins_registers_and_leaves(
    telling: str, heard: Heard, connect: Callable[..., RouterSession], monkeypatch: Any
) -> None:
    monkeypatch.setattr(heartbeat, "PROBE_FIRST_S", 600.0)
    monkeypatch.setattr(heartbeat, "PROBE_MAX_S", 600.0)
    early = Session(telling, realm="realm1")
    early.begin()
    session = connect(telling, is_told=True)
    heard.until("joined")
    session.watch(CLOCK, 1, RARE)
    callee = Session(telling, realm="realm1")
    callee.begin()
    assert heard.until("peer joined") == ("peer joined", os.getpid())
    callee.register(heartbeat_uri(heard), lambda: {"ready": True, "incarnation": 1})
    assert heard.until("answered")[1:3] == (CLOCK, 1)
    early.end()
    assert heard.until("peer left") == ("peer left", os.getpid())
    # It may have been any session of that process: the Instance is asked, and answers.
    session.look(CLOCK)
    assert heard.until("answered")[1:3] == (CLOCK, 1)
    callee.end()
    heard.until("peer left")
    session.look(CLOCK)
    assert heard.until("unreachable") == ("unreachable", CLOCK, 1)


def test_many_losses_are_one_and_a_look_condemns_nobody(
    telling: str, heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    quick = HeartbeatPolicy(interval_s=600.0, timeout_s=0.2, failures=3)
    hang, go_on = threading.Event(), threading.Event()

    def beat() -> dict[str, Any]:
        if hang.is_set():
            go_on.wait(20)
        return {"ready": True, "incarnation": 1}

    session = connect(telling, is_told=True)
    heard.until("joined")
    with Session(telling, realm="realm1") as callee, Session(telling, realm="realm1") as other:
        for number in range(20):
            other.register(f"com.example.{number}", beat)
        callee.register(heartbeat_uri(heard), beat)
        session.watch(CLOCK, 1, quick)
        heard.until("answered")
        # Told that it has registered, the session may have asked once more.
        heard.until_idle(session)
        hang.set()
        other.end()
        heard.until("peer left")
        for _ in range(5):
            session.look(CLOCK)
        deadline = heard.loop.now() + 1.0
        while heard.loop.now() < deadline:
            heard.loop.run_once(0.05)
        go_on.set()
    kinds = [one[0] for one in heard.all]
    assert kinds.count("peer left") == 1
    assert not {"missed", "canary missed", "unreachable"} & set(kinds)


def test_a_procedure_less_is_told_too(
    telling: str, heard: Heard, connect: Callable[..., RouterSession]
) -> None:
    with Session(telling, realm="realm1") as callee:
        registration = callee.register("com.example.it", lambda: None)
        session = connect(telling, is_told=True)
        heard.until("joined")
        deadline = heard.loop.now() + 10
        notices: Any = session._notices
        while os.getpid() not in notices._pids.values():
            assert heard.loop.now() < deadline, "it does not ask who was there before"
            heard.loop.run_once(0.1)
        registration.unregister()
        assert heard.until("peer left") == ("peer left", os.getpid())


def heartbeat_uri(heard: Heard) -> str:
    return f"wampy.hb{id(heard)}.peer.clock.0.heartbeat"
