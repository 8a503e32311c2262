"""The Router that tests start in their own process."""

from __future__ import annotations

import threading

import pytest

from tests.conftest import free_port, short_folder
from wampy import Session
from wampy.errors import WampyError
from wampy.testing.routers import Router


def test_a_session_takes_it_as_it_is() -> None:
    with Router() as router, Session(router) as callee, Session(router) as caller:
        callee.register("add", lambda a, b: a + b)
        assert caller.call("add", 1, 2) == 3
        assert caller.call("wamp.session.count") == 2


def test_it_leaves_nothing_and_starts_again() -> None:
    threads = set(threading.enumerate())
    router = Router(free_port())
    for _ in range(2):
        router.start()
        router.start()
        url = router.url
        assert url == f"ws://127.0.0.1:{router.port}/ws"
        router.stop()
        router.stop()
        assert router.url is None
        with pytest.raises(WampyError):
            Session(url, reconnect=False).begin()
    assert set(threading.enumerate()) <= threads


def test_a_unix_socket_beside_it() -> None:
    with short_folder() as folder:
        path = folder / "router.sock"
        with Router(unix_path=path), Session(f"unix://{path}") as session:
            assert session.is_joined
        assert not path.exists()


def test_what_it_counts() -> None:
    with Router() as router, Session(router) as session:
        session.register("add", lambda a, b: a + b)
        for number in range(5):
            session.call("add", number, 1)
        stats = session.call("wampy.router.stats")
    wanted = {"sessions": 1, "connections": 1, "registrations": 1, "calls": 5, "dropped_events": 0}
    assert {key: stats[key] for key in wanted} == wanted
    assert {"calls_per_s", "events_per_s", "queued_bytes", "longest_queue_bytes"} <= set(stats)


def test_a_taken_port_is_named() -> None:
    with Router() as first:
        assert first.url is not None
        port = int(first.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(WampyError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            Router(port).start()
