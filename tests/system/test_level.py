"""`wampy level`: what is logged, changed as it runs."""

from __future__ import annotations

import os
import signal

from tests.support import wait_until
from tests.system.conftest import STEADY, StackMaker

LOUD = """
from wampy import Peer, rpc
class Loud(Peer):
    prefix = "PREFIX."
    @rpc
    def shout(self, text):
        self.log.debug("debug %s", text)
        self.log.error("error %s", text)
"""


def test_the_level_of_a_peer(make_stack: StackMaker) -> None:
    stack = make_stack('[peers.loud]\napp = "loud:Loud"\n', {"loud": LOUD}).up()
    uri = f"com.test.{stack.name}.shout"

    def logged(text: str) -> str:
        with stack.session() as session:
            session.call(uri, text)
        wait_until(lambda: f"error {text}" in stack.wampy("logs", "loud").stdout)
        return stack.wampy("logs", "loud").stdout

    assert "debug one" not in logged("one")
    assert stack.wampy("level", "loud", "debug").returncode == 0
    assert "debug two" in logged("two")
    # Whoever takes its place has it too.
    pid = stack.pid("loud:0")
    os.kill(pid, signal.SIGKILL)
    stack.wait_ready("loud:0", but_not=pid)
    assert "debug three" in logged("three")
    assert stack.wampy("level", "loud:0", "ERROR").returncode == 0
    assert "debug four" not in logged("four")


def test_the_level_of_the_stack_itself_and_of_others(make_stack: StackMaker) -> None:
    program = '[peers.program]\ncommand = ["sleep", "600"]\n'
    stack = make_stack(STEADY + program).up()
    assert stack.wampy("level", "stack", "ERROR").returncode == 0
    before = stack.log()
    assert stack.wampy("restart", "echo").returncode == 0
    assert stack.log() == before
    result = stack.wampy("level", "program", "DEBUG")
    assert result.returncode == 2
    assert "a program of its own" in result.stderr
    assert stack.wampy("level", "nobody", "DEBUG").returncode == 2
    assert stack.wampy("level", "echo", "LOUD").returncode == 2
