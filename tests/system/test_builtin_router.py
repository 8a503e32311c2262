"""The built-in Router: in a stack of its own, with the manifest's users, and alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, STEADY, RunningStack, StackMaker
from wampy import Session
from wampy.errors import NotAuthorized, WampyError

USERS = """
port = 0
[router.auth]
anonymous = "off"
ticket = { alice = { role = "front", secret = "a ticket" } }
[[router.roles.front]]
uri = "com.test."
match = "prefix"
allow = ["call"]
[router.limits]
message_size = "64KiB"
"""


def test_it_is_the_default(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO, router="port = 0").up()
    router = stack.ps()["router"]
    assert (router["type"], router["state"], router["ready"]) == ("builtin", "RUNNING", True)
    with Session(router["url"]) as session:
        assert session.call(f"com.test.{stack.name}.echo", {"a": [1, b"x"]}) == {"a": [1, b"x"]}
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_a_refusal_names_the_role(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO, router="builtin").up()
    with (
        Session(stack.ps()["router"]["url"]) as session,
        pytest.raises(NotAuthorized, match=r"role 'anonymous' may not register com\.test\.mine"),
    ):
        session.register("com.test.mine", lambda: None)


def test_users_roles_and_limits_of_the_manifest(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO, router=USERS).up()
    url = stack.ps()["router"]["url"]
    with pytest.raises(WampyError, match=r"no_matching_auth_method|anonymous"):
        Session(url, reconnect=False).begin()
    with Session(url, authid="alice", ticket="a ticket", reconnect=False) as alice:
        assert alice.call(f"com.test.{stack.name}.echo", 1) == 1
        with pytest.raises(NotAuthorized):
            alice.publish("com.test.topic", 1, acknowledge=True)
        with pytest.raises(WampyError):
            alice.call(f"com.test.{stack.name}.echo", "x" * 100_000)
    with pytest.raises(WampyError):
        Session(url, authid="alice", ticket="another", reconnect=False).begin()


def test_limits_for_clients_are_none_for_heartbeats(make_stack: StackMaker) -> None:
    peers = STEADY + "replicas = 4\n"
    stack = make_stack(peers, router="port = 0\n[router.limits]\npending_calls = 1\n").up()
    began = stack.ps()["instances"]
    time.sleep(3)
    for before, now in zip(began, stack.ps()["instances"], strict=True):
        assert (now["ready"], now["pid"], now["restarts"]) == (True, before["pid"], 0)


#: Heartbeats so rare that only what the Router tells by itself can be known in time.
RARE = """
[peers.echo]
app = "peers:Echo"
heartbeat = { interval = "10m", timeout = "1m", failures = 5 }
"""


def test_it_tells_that_a_procedure_is_registered_no_more(make_stack: StackMaker) -> None:
    stack = make_stack(RARE, router="builtin").up()
    procedure = f"com.test.{stack.name}.echo"
    with stack.session() as session:
        registration = session.call("wamp.registration.lookup", procedure)
        (callee,) = session.call("wamp.registration.list_callees", registration)
        session.call("wamp.registration.remove_callee", registration, callee)
    wait_until(lambda: not stack.row("echo:0")["ready"])
    row = stack.row("echo:0")
    assert row["state"] == "RUNNING"
    assert row["reason"].startswith(f"{procedure} is not registered")


def test_after_its_restart_everybody_is_known_to_be_back(make_stack: StackMaker) -> None:
    stack = make_stack(RARE + "replicas = 3\n", router="builtin").up()
    pids = {row["instance"]: row["pid"] for row in stack.ps()["instances"]}
    router = stack.ps()["router"]["pid"]
    os.kill(router, signal.SIGKILL)
    wait_until(lambda: stack.ps()["router"]["pid"] not in (router, None))
    for instance, pid in pids.items():
        assert stack.wait_ready(instance)["pid"] == pid


def test_a_peer_that_starts_says_how_far_it_is(make_stack: StackMaker) -> None:
    modules = {"slow": SLOW}
    stack = make_stack('[peers.slow]\napp = "slow:Slow"\n', modules, router="builtin")
    up = stack.popen("up", "-d")
    reason = "it has joined, and not registered everything yet"
    wait_until(lambda: [row for row in rows(stack) if row["reason"] == reason])
    (stack.folder / "go").touch()
    up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 0
    assert stack.row("slow:0")["ready"]


#: Joined, and not registered until a file is there.
SLOW = """
import time
from pathlib import Path
from wampy import Peer, rpc

class Slow(Peer):
    def on_start(self):
        deadline = time.monotonic() + 30
        while not Path("go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    @rpc("PREFIX.slow")
    def slow(self):
        return 1
"""


def rows(stack: RunningStack) -> list[dict[str, Any]]:
    """Give the Instances; none while the stack does not answer yet."""
    answer = stack.wampy("ps", "--json")
    return json.loads(answer.stdout)["instances"] if answer.returncode == 0 else []


def test_a_rolling_restart_loses_no_call(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + "replicas = 2\n", router="builtin").up()
    restart = stack.popen("restart", "echo")
    calls = 0
    with stack.session() as session:
        while restart.poll() is None:
            assert session.call(f"com.test.{stack.name}.echo", calls) == calls
            calls += 1
    restart.communicate()
    assert restart.returncode == 0
    assert calls > 0


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``wampy router`` on a free port, and its URL."""
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "wampy"), "router", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"ws://\S+", process.stdout.readline())
        assert found is not None
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def test_wampy_router_lets_everybody_here_do_all(alone: tuple[subprocess.Popen[str], str]) -> None:
    process, url = alone
    with Session(url) as callee, Session(url) as caller:
        callee.register("add", lambda a, b: a + b)
        assert caller.call("add", 1, 2) == 3
        assert caller.call("wamp.session.count") == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(10 * TIME_SCALE) == 0


def test_wampy_router_says_that_its_port_is_taken(
    alone: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    port = alone[1].rpartition(":")[2].partition("/")[0]
    wampy = str(Path(sys.executable).parent / "wampy")
    second = subprocess.run(
        [wampy, "router", "--port", port], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
    refused = subprocess.run(
        [wampy, "router", "--host", "0.0.0.0"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
