"""The client that commands and programs use, against a real server."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from orchestrator.control.client import ControlClient
from orchestrator.control.server import ControlServer
from orchestrator.errors import NoSuchStack, OrchestratorError, UnknownTarget
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from tests.integration.orchestrator.control.conftest import FakeStack
from tests.support import wait_until


def test_ps_start_stop(served):
    client = served.client
    assert client.ps()["stack"] == "demo"
    assert client.start(["clock"]) == [
        {"instance": "clock:0", "state": "RUNNING", "reason": None, "ok": True}
    ]
    assert [o["ok"] for o in client.stop(["search"], timeout_s=5)] == [True, True]
    assert [o["ok"] for o in client.up([], {"search": 2})] == [True, True, True, False]
    assert client.restart(["search:1"], hard=True)[0]["instance"] == "search:1"
    client.signal("search:1", 10)
    assert served.stack.signals == [("search:1", 10)]


def test_whose_stack_it_is_says_the_kernel(served):
    assert served.client.supervisor_pid() == os.getpid()


def test_errors_have_names(served):
    with pytest.raises(
        UnknownTarget, match=r"there is no 'serch'.* did you mean search\?"
    ) as caught:
        served.client.start(["serch"])
    assert caught.value.target == "serch"
    with pytest.raises(TimeoutError, match=r"not done in 0\.05 s"):
        served.client.wait_ready([], timeout_s=0.05)
    with pytest.raises(OrchestratorError, match="signal must be"):
        served.client.signal("search", 1000)
    with pytest.raises(OrchestratorError, match="Operation not permitted"):
        served.client.signal("search", 9)


@pytest.mark.parametrize("kind", ["nothing", "file", "stale"])
def test_no_such_stack(run_dir, kind):
    path = run_dir / "control.sock"
    if kind == "file":
        path.write_text("")
    elif kind == "stale":
        loop = Loop(print)
        ControlServer(loop, path, FakeStack(loop), LogReader(run_dir)).close()
        loop.close()
        assert path.exists()
    with pytest.raises(NoSuchStack):
        ControlClient(path).ps()


def test_a_slow_stop_blocks_nobody(served):
    served.stack.slow.add("search:0")
    outcomes: list[object] = []
    slow = threading.Thread(target=lambda: outcomes.append(served.client.stop(["search:0"])))
    slow.start()
    wait_until(lambda: served.stack.waiting)
    assert served.client.start(["clock"])[0]["ok"]
    assert not outcomes
    served.release()
    slow.join(5)
    assert outcomes == [[{"instance": "search:0", "state": "STOPPED", "reason": None, "ok": True}]]


def test_events_are_a_snapshot_then_deltas_to_the_end(served):
    events: list[dict[str, object]] = []
    follower = threading.Thread(target=lambda: events.extend(served.client.events()))
    follower.start()
    wait_until(lambda: served.stack.listeners)
    served.client.start(["clock"])
    served.client.stop(["clock"])
    served.do(served.server.close)
    follower.join(5)
    assert not follower.is_alive()
    assert [set(event) for event in events[:1]] == [{"snapshot"}]
    assert [event["new"] for event in events[1:]] == ["RUNNING", "STOPPED"]


def test_a_stack_that_ends_meanwhile(served):
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            served.client.wait_ready([])
        except NoSuchStack as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(lambda: served.stack.waiting)
    served.do(served.server.close)
    waiter.join(5)
    assert "ended meanwhile" in str(caught[0])


def test_a_path_too_long_for_a_socket(run_dir, monkeypatch, tmp_path):
    folder = run_dir / ("x" * 120)
    folder.mkdir()
    runtime = run_dir / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    loop = Loop(print)
    server = ControlServer(loop, folder / "control.sock", FakeStack(loop), LogReader(folder))

    def serve() -> None:
        for _ in range(2):
            loop.run_once(5)

    thread = threading.Thread(target=serve)
    thread.start()
    # Found by the link, also where the environment is another one.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert ControlClient(folder / "control.sock").ps()["stack"] == "demo"
    thread.join(10)
    assert Path(os.readlink(folder / "control.sock")).parent.parent == runtime
    server.close()
    loop.close()


def test_scale_and_reload(served):
    client = served.client
    client.scale({"search": 3})
    assert served.stack.scaled == {"search": 3}
    with pytest.raises(UnknownTarget):
        client.scale({"nobody": 3})
    for wrong in ({}, {"search": -1}, {"search": 10**9}, {"search": "3"}):
        with pytest.raises(OrchestratorError, match="scale must be"):
            client.scale(wrong)
    answer = client.reload()
    assert (answer["plan"][0]["target"], answer["error"]) == ("clock:0", None)
    assert client.reload(dry_run=True)["error"] == "broken"
    client.watch()
    assert served.stack.is_watching
    client.set_level("search", "DEBUG")
    assert served.stack.levels == {"search": "DEBUG"}
    with pytest.raises(OrchestratorError, match="level must be one of"):
        client.set_level("search", "LOUD")
    client.watch(on=False)
    assert not served.stack.is_watching
