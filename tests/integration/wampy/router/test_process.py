"""The Router as a process of its own: ready, stopped by a signal, refused a socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.wampy.router.clients import Client
from tests.support import TIME_SCALE

EVERYTHING = [
    {"uri": "", "match": "prefix", "allow": ["call", "register", "publish", "subscribe"]},
    {"uri": "wamp", "match": "prefix", "allow": ["call", "subscribe"]},
]


@pytest.fixture
def start(run_dir) -> Iterator[Callable[[], Any]]:
    """Start ``python -m wampy.router``; gives the process once it is ready, or has ended."""
    with contextlib.ExitStack() as stack:

        def started() -> subprocess.Popen[str]:
            settings = {
                "realm": "realm1",
                "log_level": "WARNING",
                "listeners": [{"unix": str(run_dir / "router.sock"), "anonymous": "anonymous"}],
                "roles": {"anonymous": EVERYTHING},
                "limits": {"drain_s": 60.0},
            }
            path = run_dir / "settings.json"
            path.write_text(json.dumps(settings))
            notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            notify.bind("")
            notify.settimeout(0.05)
            process = subprocess.Popen(
                [sys.executable, "-m", "wampy.router", str(path)],
                env={**os.environ, "NOTIFY_SOCKET": "@" + notify.getsockname()[1:].decode()},
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            for _ in range(int(200 * TIME_SCALE)):
                with contextlib.suppress(TimeoutError):
                    assert notify.recv(100) == b"READY=1"
                    return process
                if process.poll() is not None:
                    return process
            raise AssertionError("it is not ready")

        yield started


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_it_and_a_second_one_ends_it(start, run_dir, client, signum):
    process = start()
    callee: Client = client(run_dir / "router.sock").join()
    caller: Client = client(run_dir / "router.sock").join()
    callee.request(64, {}, "com.slow")
    caller.send(48, 1, {}, "com.slow")
    invocation = callee.recv()
    process.send_signal(signum)
    while (answer := callee.request(48, {}, "com.slow"))[0] != 8:
        assert answer[0] == 68, answer
    assert answer[4] == "wamp.error.unavailable"
    if signum == signal.SIGTERM:
        callee.send(70, invocation[1], {}, ["done"])
        assert caller.recv() == [50, 1, {}, ["done"]]
        assert caller.recv() == [6, {}, "wamp.close.system_shutdown"]
        assert process.wait(10 * TIME_SCALE) == 0
        assert not (run_dir / "router.sock").exists()
    else:
        process.send_signal(signum)
        assert process.wait(10 * TIME_SCALE) == -signum


def test_a_socket_that_is_served_is_refused_in_one_line(start, run_dir):
    start()
    second = start()
    assert second.wait(10 * TIME_SCALE) == 1
    assert second.stderr is not None
    assert "router.sock: Address already in use" in second.stderr.read()
