"""`wampy top` on a real terminal."""

from __future__ import annotations

import os
import signal

import pexpect
import pytest

from tests.support import TIME_SCALE
from tests.system.conftest import STEADY, WAMPY, StackMaker


@pytest.fixture
def stack(make_stack: StackMaker):
    return make_stack(STEADY + "replicas = 2\n").up()


def spawn(stack, *options: str) -> pexpect.spawn:
    env = {**os.environ, "TERM": "xterm"}
    return pexpect.spawn(
        WAMPY, ["top", *options], cwd=str(stack.folder), env=env, dimensions=(24, 140),
        timeout=10 * TIME_SCALE,
    )  # fmt: skip


def is_echoing(child: pexpect.spawn) -> bool:
    return bool(child.getecho())


def test_it_shows_each_instance_until_q(stack) -> None:
    child = spawn(stack, "--interval", "200ms")
    child.expect("CALLS/S")
    child.expect("echo:[01]")
    child.expect("echo:[01]")
    child.setwinsize(30, 100)
    child.expect("echo:0")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_ctrl_c_ends_it_too(stack) -> None:
    child = spawn(stack)
    child.expect("CALLS/S")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_the_terminal_is_put_back_by_sigterm(stack) -> None:
    child = spawn(stack)
    child.expect("CALLS/S")
    child.kill(signal.SIGTERM)
    # The screen of before is shown again, the cursor too.
    child.expect_exact("\x1b[?1049l")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + signal.SIGTERM


def test_it_ends_with_the_stack(stack) -> None:
    child = spawn(stack, "--interval", "200ms")
    child.expect("CALLS/S")
    assert stack.wampy("down").returncode == 0
    child.expect("no stack is running")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 4


def test_without_a_terminal_it_is_one_table(stack) -> None:
    result = stack.wampy("top")
    assert result.returncode == 0
    assert result.stdout.count("echo:0") == 1
    assert "\x1b" not in result.stdout
