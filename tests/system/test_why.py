"""`wampy why`: the story of a failure, with its evidence; and that what is planned is none."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from tests.support import wait_until
from tests.system.conftest import ECHO, STEADY, RunningStack, StackMaker


def failures(stack: RunningStack, name: str) -> list[dict[str, Any]]:
    result = stack.wampy("why", name, "--json")
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["failures"]
    return found


def wait_failures(stack: RunningStack, name: str, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(failures(stack, name)) >= count)
    return failures(stack, name)


def test_a_killed_one(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY).up()
    prefix = f"com.test.{stack.name}"
    with stack.session() as session:
        session.call(f"{prefix}.say", "its last words", "stderr")
    wait_until(lambda: "its last words" in stack.log("echo-0.err"))
    assert "no failure of echo:0 is known" in stack.wampy("why", "echo:0").stdout
    pid = stack.pid("echo:0")
    os.kill(pid, signal.SIGKILL)
    stack.wait_ready("echo:0", but_not=pid)
    (failure,) = wait_failures(stack, "echo", 1)
    assert failure["cause"] == "killed by signal 9"
    assert (failure["pid"], failure["incarnation"]) == (pid, 1)
    assert (failure["signal"], failure["code"]) == (signal.SIGKILL, None)
    assert failure["was_ready"]
    assert failure["then"] == "started again at once"
    assert ["stderr", "its last words"] in [line[1:] for line in failure["lines"]]
    assert abs(failure["at"] - time.time()) < 60
    told = stack.wampy("why", "echo:0").stdout
    for word in ("echo:0 is RUNNING, ready", "killed by signal 9", "ended by SIGKILL",
                 "its last words", "then: started again at once"):  # fmt: skip
        assert word in told


def test_a_hung_one_tells_what_its_threads_did(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    pid = stack.pid("echo:0")
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.spin")
        stack.wait_ready("echo:0", but_not=pid)
    (failure,) = wait_failures(stack, "echo:0", 1)
    assert "heartbeats missed" in failure["cause"]
    assert "in spin" in failure["tracebacks"]
    told = stack.wampy("why", "echo:0").stdout
    assert "what its threads did:" in told
    assert "in spin" in told
    assert len(told.splitlines()) < 80
    assert list(stack.run_dir.tracebacks.glob("echo-0.1.txt")) == []


def test_what_is_planned_is_no_failure(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + "replicas = 2\n").up()
    for command in ("restart echo", "stop echo:0", "start echo", "scale echo=1"):
        assert stack.wampy(*command.split()).returncode == 0
    time.sleep(0.5)
    assert failures(stack, "echo") == []
    assert stack.wampy("why", "nobody").returncode == 2


def test_one_that_cannot_start_and_the_router(make_stack: StackMaker) -> None:
    bad = "from wampy import Peer\nclass Bad(Peer):\n    def on_start(self):\n"
    bad += "        raise RuntimeError('no database')\n"
    peers = '[peers.bad]\napp = "bad:Bad"\nrestart_limit = 12\n'
    peers += 'backoff = { initial = "1ms", max = "5ms" }\n'
    stack = make_stack(peers, {"bad": bad})
    assert stack.wampy("up", "-d").returncode == 3
    found = wait_failures(stack, "bad:0", 10)
    wait_until(lambda: failures(stack, "bad:0")[-1]["incarnation"] == 12)
    found = failures(stack, "bad:0")
    assert len(found) == 10
    assert found[-1]["cause"] == "RuntimeError: no database"
    assert found[-1]["then"].startswith("given up: 12 starts in a row failed")
    assert not found[-1]["was_ready"]
    assert "no database" in str(found[-1]["lines"])
    told = stack.wampy("why", "bad").stdout
    assert "before that:" in told
    os.kill(stack.ps()["router"]["pid"], signal.SIGKILL)
    (router,) = wait_failures(stack, "router", 1)
    assert "SIGKILL" in router["cause"]
    # Known with the stack down, too, and after a kill of everything.
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    stack.wait_gone()
    result = stack.wampy("why", "bad:0")
    assert result.returncode == 0
    assert "the stack is not running" in result.stdout
    assert "no database" in result.stdout
