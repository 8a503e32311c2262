"""`orchestrator.Stack`: the whole orchestrator in a program."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from orchestrator import Stack
from orchestrator.errors import ManifestError, OrchestratorError
from orchestrator.processes import is_alive
from tests.conftest import RealCrossbar
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, StackMaker


def test_from_a_manifest(make_stack: StackMaker) -> None:
    running = make_stack(ECHO + "replicas = 2\n")
    with Stack.from_manifest(running.folder / "wampy.toml") as stack:
        running.remember()
        uri = f"com.test.{running.name}"
        assert stack.call(f"{uri}.echo", "hello") == "hello"
        assert [row["ready"] for row in stack.ps()["instances"]] == [True, True]
        before = stack.call(f"{uri}.pid")
        stack.restart("echo", hard=True)
        assert stack.call(f"{uri}.pid") != before
        stack.stop("echo:1")
        stack.start("echo")
        with pytest.raises(OrchestratorError, match="nobody"):
            stack.stop("nobody")
    running.wait_gone()


def test_a_stack_that_does_not_come_up_leaves_nothing(make_stack: StackMaker) -> None:
    bad = "import sys\nfrom wampy import Peer\nclass Bad(Peer):\n"
    bad += "    def on_start(self):\n        sys.exit(78)\n"
    running = make_stack('[peers.bad]\napp = "bad:Bad"\n', {"bad": bad})
    stack = Stack.from_manifest(running.folder / "wampy.toml")
    with pytest.raises(OrchestratorError, match="bad:0"):
        stack.up()
    running.wait_gone()


def test_a_manifest_that_is_wrong(make_stack: StackMaker) -> None:
    running = make_stack("[peers.echo]\nreplicas = 0\n")
    with pytest.raises(ManifestError, match="app"):
        Stack.from_manifest(running.folder / "wampy.toml")


def test_a_class_of_main_that_uses_globals(crossbar: RealCrossbar) -> None:
    """A script hands over a class of its own, with a global, a helper and an import."""
    script = f"""
    import math
    from orchestrator import Stack
    from wampy import Peer, rpc

    FACTOR = 3

    def scaled(value):
        return FACTOR * value

    class Main(Peer):
        class Config:
            offset: int = 0

        @rpc("com.test.main.scaled")
        def scaled(self, value):
            return scaled(value) + math.floor(0.5) + self.config.offset

    if __name__ == "__main__":
        router = {{"type": "external", "url": "{crossbar.unix_url}"}}
        options = {{"main": {{"replicas": 2, "config": {{"offset": 1}}}}}}
        with Stack([Main], options=options, router=router, stack={{"name": "main_test"}}) as stack:
            print(stack.call("com.test.main.scaled", 14), len(stack.ps()["instances"]))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60 * TIME_SCALE,
    )
    assert result.stdout == "43 2\n", result.stderr


def test_one_after_the_other_without_a_pause(make_stack: StackMaker) -> None:
    """``down`` returns when its processes have ended, so the next ``up`` finds none of them."""
    folder = make_stack(ECHO).folder
    pids = []
    for _ in range(3):
        with Stack.from_manifest(folder / "wampy.toml") as stack:
            pids.append(stack.ps()["pid"])
        assert not is_alive(pids[-1])
    assert len(set(pids)) == 3


def test_who_comes_while_it_stops_waits_and_starts_it_anew(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    first = stack.supervisor_pid
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.slow", 1.5)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
        down = stack.popen("down")
        wait_until(lambda: stack.ps()["state"] == "stopping")
        assert stack.wampy("up", "-d").returncode == 0
    assert down.wait(10) == 0
    down.communicate()
    assert stack.row("echo:0")["ready"]
    assert stack.supervisor_pid != first


def test_down_of_what_somebody_else_has_ended(make_stack: StackMaker) -> None:
    running = make_stack(ECHO)
    with Stack.from_manifest(running.folder / "wampy.toml"):
        assert running.wampy("down").returncode == 0
    running.wait_gone()
