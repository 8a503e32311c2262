"""`orchestrator.Stack`: the whole orchestrator in a program."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from orchestrator import Stack
from orchestrator.errors import ManifestError, OrchestratorError
from tests.conftest import RealCrossbar
from tests.support import TIME_SCALE
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
