"""Connections that break, hang and come back; Routers that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter, free_port, open_node_config
from tests.integration.wampy.relay import Relay
from tests.integration.wampy.scripted import KINDS
from tests.support import TIME_SCALE, wait_until
from wampy import Session

Join = Callable[..., Session]
Uri = Callable[[str], str]


def ws(relay: Relay) -> str:
    return f"ws://127.0.0.1:{relay.port}/ws"


def tcp(relay: Relay) -> str:
    return f"tcp://127.0.0.1:{relay.port}"


@pytest.mark.parametrize("way", [ws, tcp])
def test_a_lost_connection_fails_what_waits_and_comes_back_by_itself(
    way: Callable[[Relay], str], relay: Callable[..., Relay], join: Join, uri: Uri
) -> None:
    between = relay()
    story: list[str] = []
    release = threading.Event()
    caller = join()
    callee = join(
        way(between),
        on_join=lambda: story.append("joined"),
        on_leave=lambda: story.append("lost"),
    )
    first_id = callee.id
    events: list[Any] = []
    callee.register(uri("echo"), lambda value: value)
    callee.register(uri("shared"), lambda: 1, invoke="roundrobin")
    callee.subscribe(uri("topic"), events.append)
    caller.register(uri("slow"), lambda: release.wait(10.0))
    pending = [callee.call_async(uri("slow")) for _ in range(3)]
    blocked: list[BaseException] = []

    def wait() -> None:
        try:
            callee.call(uri("slow"))
        except wampy.WampyError as error:
            blocked.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: caller.dispatcher.in_flight == 4)
    between.cut()
    for future in pending:
        with pytest.raises(wampy.ConnectionLost):
            future.result()
    thread.join(5.0)
    assert [type(error) for error in blocked] == [wampy.ConnectionLost]
    release.set()

    wait_until(lambda: callee.is_joined and callee.id != first_id)
    wait_until(lambda: all(handle.is_active for handle in callee.registrations))
    wait_until(lambda: all(handle.is_active for handle in callee.subscriptions))
    assert caller.call(uri("echo"), 1) == 1
    assert caller.call(uri("shared")) == 1
    caller.publish(uri("topic"), 5, acknowledge=True)
    wait_until(lambda: events == [5])
    wait_until(lambda: story == ["joined", "lost", "joined"])


def test_meanwhile_a_call_waits_and_a_publish_fails_at_once(
    relay: Callable[..., Relay], join: Join, uri: Uri
) -> None:
    between, callee = relay(), join()
    callee.register(uri("echo"), lambda value: value)
    caller = join(ws(between))
    between.refuse()
    between.cut()
    wait_until(lambda: not caller.is_joined)
    started = time.monotonic()
    for acknowledge in (False, True):
        with pytest.raises(wampy.ConnectionLost):
            caller.publish(uri("topic"), acknowledge=acknowledge)
    assert time.monotonic() - started < 1.0
    with pytest.raises(wampy.RequestTimeout, match="not connected to"):
        caller.call(uri("echo"), 1, timeout=0.2)
    failed = caller.call_async(uri("echo"), 1, timeout=0.1)
    assert isinstance(failed.exception(), wampy.RequestTimeout)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(caller.call(uri("echo"), 2)))
    thread.start()
    between.accept()
    thread.join(10.0)
    assert results == [2]


def test_without_reconnect_it_stays_lost(relay: Callable[..., Relay], join: Join, uri: Uri) -> None:
    between = relay()
    session = join(ws(between), reconnect=False)
    between.cut()
    wait_until(lambda: not session.is_joined)
    with pytest.raises(wampy.ConnectionLost):
        session.call(uri("echo"))
    assert between.accepted == 1


@pytest.mark.parametrize("way", [ws, tcp])
def test_a_half_open_connection_is_found(
    way: Callable[[Relay], str],
    relay: Callable[..., Relay],
    join: Join,
    uri: Uri,
    caplog: pytest.LogCaptureFixture,
) -> None:
    between = relay()
    session = join(way(between), ping_interval=0.1)
    first_id = session.id
    # Quiet, and well: pings are answered, and nothing happens.
    wait_until(lambda: between.accepted == 1)
    session.register(uri("echo"), lambda: 1)
    quiet_until = time.monotonic() + 0.5
    wait_until(lambda: time.monotonic() > quiet_until)
    assert session.id == first_id
    between.freeze()
    wait_until(lambda: not session.is_joined, message="the silence was not noticed")
    wait_until(lambda: "no sign of life" in caplog.text)  # which is told after that
    between.cut()
    between.thaw()
    wait_until(lambda: session.is_joined and session.id != first_id)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("way", [ws, tcp])
def test_a_long_message_on_a_slow_link_is_a_sign_of_life(
    way: Callable[[Relay], str], kind: str, relay: Callable[..., Relay], join: Join, uri: Uri
) -> None:
    """Both ways: it takes several times as long as a silence may."""
    join().register(uri("give"), lambda size: "x" * size)
    join().register(uri("take"), len)
    between = relay(rate=300_000)
    session = KINDS[kind](way(between), timeout=30.0, ping_interval=0.3, reconnect=False)
    session.begin()
    try:
        assert len(session.call(uri("give"), 400_000)) == 400_000
        assert session.call(uri("take"), "x" * 400_000) == 400_000
        between.freeze()
        wait_until(lambda: not session.is_joined, message="the silence was not noticed")
    finally:
        between.cut()
        between.thaw()
        session.end()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_connection_that_dies_within_a_long_message_is_found(
    kind: str, relay: Callable[..., Relay], join: Join, uri: Uri
) -> None:
    """What waits to be sent, and what the kernel takes of it, is no sign of life."""
    between = relay(rate=300_000)
    with ThreadPoolExecutor(1) as pool:
        session = KINDS[kind](ws(between), timeout=30.0, ping_interval=0.3, reconnect=False)
        session.begin()
        try:
            between.freeze()
            late = pool.submit(session.call, uri("take"), "x" * 10_000_000)
            with pytest.raises(wampy.ConnectionLost, match="no sign of life"):
                late.result(10.0 * TIME_SCALE)
        finally:
            between.cut()
            between.thaw()
            session.end()


def test_an_idle_connection_that_breaks_before_begin_is_made_again(
    relay: Callable[..., Relay],
) -> None:
    between = relay()
    session = Session(ws(between))
    between.cut()
    session.begin()
    assert session.is_joined
    session.end()


def test_a_router_that_dies_and_comes_back(
    crossbar_process: Callable[..., Any], run_dir: Path, uri: Uri
) -> None:
    """Crossbar killed -9: every Session is there again, registered, when it is."""
    port, socket_path = free_port(), run_dir / "router.sock"
    config = open_node_config(port, free_port(), str(socket_path))
    first = crossbar_process(config)
    urls = (f"ws://127.0.0.1:{port}/ws", f"unix://{socket_path}")
    with Session(urls[0], timeout=20.0) as callee, Session(urls[1], timeout=20.0) as caller:
        callee.register(uri("echo"), lambda value: value)
        assert caller.call(uri("echo"), 1) == 1
        os.killpg(first.pid, signal.SIGKILL)
        wait_until(lambda: not callee.is_joined and not caller.is_joined)
        crossbar_process(config)
        wait_until(lambda: callee.is_joined and caller.is_joined)
        wait_until(lambda: all(handle.is_active for handle in callee.registrations))
        assert caller.call(uri("echo"), 2) == 2


def test_a_stopped_router_does_not_block_what_is_bounded(
    crossbar_process: Callable[..., Any], run_dir: Path, uri: Uri
) -> None:
    port, socket_path = free_port(), run_dir / "router.sock"
    process = crossbar_process(open_node_config(port, free_port(), str(socket_path)))
    session = Session(f"unix://{socket_path}", timeout=5.0)
    session.begin()
    session.register(uri("echo"), lambda value: value)
    os.killpg(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGSTOP)
    stopped = children_of(process.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(wampy.RequestTimeout):
            session.call(uri("echo"), 1, timeout=0.2)
        # More than socket buffers and outbox hold: still bounded.
        errors = [
            session.call_async(uri("echo"), "x" * 2**20, timeout=0.3).exception() for _ in range(12)
        ]
        assert {type(error) for error in errors} == {wampy.RequestTimeout}
        session.end()
        assert time.monotonic() - started < 15.0
    finally:
        for pid in (*stopped, process.pid):
            os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def test_a_registration_that_a_ghost_holds_is_taken_when_it_goes(
    router: RealRouter, join: Join, uri: Uri
) -> None:
    from wampy import Peer, rpc
    from wampy.host import PeerHost

    name = uri("held")

    class Holder(Peer):
        @rpc(name, invoke="single")
        def held(self) -> int:
            return 2

    ghost = join()
    ghost.register(name, lambda: 1)
    threading.Timer(0.1, ghost.end).start()
    host = PeerHost(Holder(), Session(router.unix_url))
    host.start(10.0)
    assert join().call(name) == 2
    assert host.drain(5.0)


def test_the_router_that_breaks_the_protocol_is_left(
    relay: Callable[..., Relay], join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that no Router sends ends the connection, not the thread that reads it."""
    session = join()
    first_id = session.id
    link = session._link
    assert link is not None
    real = link.transport.receive
    broken = threading.Event()

    def receive(timeout_s: float) -> Any:
        frames = real(timeout_s)
        if frames and not broken.is_set():
            broken.set()
            return [(frames[0][0], b"\xc1 no MessagePack")]
        return frames

    monkeypatch.setattr(link.transport, "receive", receive)
    with pytest.raises(wampy.ConnectionLost, match="MessagePack"):
        session.call("com.example.none")
    wait_until(lambda: session.is_joined and session.id != first_id)


def test_a_bug_in_the_reader_does_not_end_in_silence(
    join: Join, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = join()
    first_id = session.id
    link = session._link
    assert link is not None

    def receive(timeout_s: float) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr(link.transport, "receive", receive)
    with pytest.raises((wampy.ConnectionLost, wampy.NoSuchProcedure)):
        session.call("com.example.none")
    wait_until(lambda: session.is_joined and session.id != first_id)
    assert "a bug" in caplog.text
