"""The real autobahn with our Router: as caller of our callee, and as callee of our caller."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.support import TIME_SCALE, wait_until

PEER = Path(__file__).with_name("autobahn_peer.py")
VALUES: list[Any] = [None, True, -(2**40), 1.5, "ä€😀", "", [1, [2]], {"a": {"b": None}}]
WAYS = ["ws json", "ws msgpack", "unix msgpack", "unix json", "tcp msgpack"]


class Autobahn:
    """One run of autobahn, in the venv that Crossbar has."""

    def __init__(self, python: Path, role: str, url: str, serializer: str) -> None:
        self._process = subprocess.Popen(
            [str(python), str(PEER), role, url, serializer],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # A peer that hangs ends, and whoever waits for its lines with it.
        self._timer = threading.Timer(30 * TIME_SCALE, self._process.kill)
        self._timer.start()

    def line(self) -> str:
        """Give what it says next; fail with its errors when it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("said: "):
                return line.removeprefix("said: ").strip()
        raise AssertionError(self._process.communicate()[1])

    def close(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def autobahn(crossbar_executable) -> Iterator[Any]:
    """Start one: ``autobahn(role, url, serializer)``; never skipped, Crossbar brings it."""
    made: list[Autobahn] = []

    def start(role: str, url: str, serializer: str) -> Autobahn:
        python = crossbar_executable.with_name("python")
        made.append(Autobahn(python, role, url, serializer))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture(params=WAYS)
def way(request, router):
    kind, serializer = request.param.split()
    urls = {"ws": router.ws_url, "unix": router.unix_url, "tcp": router.tcp_url}
    return urls[kind], serializer


def test_autobahn_calls_us(router, session, autobahn, way):
    callee = session(router.unix_url)

    def fail() -> None:
        raise wampy.ApplicationError("com.error.mine", [1], {"key": "value"})

    def progress(count: int) -> Generator[int, None, str]:
        yield from range(count)
        return "done"

    callee.register("com.wampy.echo", lambda *args, **kwargs: [list(args), kwargs])
    callee.register("com.wampy.is_bytes", lambda value: value == b"\0\xff")
    callee.register("com.wampy.fail", fail)
    callee.register("com.wampy.progress", progress)
    peer = autobahn("caller", *way)
    told = json.loads(peer.line())
    assert told["echo"] == [[[value], {"key": value}] for value in VALUES]
    assert told["bytes"] is True
    assert told["error"] == ["com.error.mine", [1], {"key": "value"}]
    assert told["progress"] == ["done", [0, 1, 2]]
    assert told["events"] == VALUES
    assert told["many"] == list(range(200))
    assert peer.line() == "wamp.close.goodbye_and_out"


def test_we_call_autobahn(router, session, autobahn, way):
    peer = autobahn("callee", *way)
    assert peer.line() == "ready"
    caller = session(router.unix_url)
    for value in (*VALUES, b"\0\xff"):
        assert caller.call("com.autobahn.echo", value, key=value) == [[value], {"key": value}]
    with pytest.raises(wampy.RequestError) as raised:
        caller.call("com.autobahn.fail")
    assert raised.value.uri == "com.error.mine"
    assert list(caller.call_progress("com.autobahn.progress", 3)) == [0, 1, 2, "done"]
    events: list[Any] = []
    caller.subscribe("com.autobahn.events", events.append)
    for value in VALUES:
        caller.publish("com.autobahn.topic", value, acknowledge=True)
    wait_until(lambda: len(events) == len(VALUES))
    assert events == VALUES
    router.server.stop()
    assert peer.line() == "wamp.close.system_shutdown"
