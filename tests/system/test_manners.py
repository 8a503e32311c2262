"""How `wampy up` behaves towards the shell that started it."""

from __future__ import annotations

import re
import signal
import time

import pytest

from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import STEADY, StackMaker

# ---------------------------------------------------------------------- --abort-on-exit


@pytest.mark.parametrize(
    ("command", "restart", "code"),
    [
        ("exit 7", "always", 7),
        ("exit 7", "never", 7),
        ("exit 0", "never", 0),
        ("kill -9 $$$$", "always", 128 + 9),
    ],
)
def test_abort_on_exit_ends_with_the_code_of_the_one_that_ended(
    make_stack: StackMaker, command: str, restart: str, code: int
) -> None:
    script = f"while ! test -e go; do sleep 0.05; done; {command}"
    peers = STEADY + f'[peers.brief]\ncommand = ["sh", "-c", "{script}"]\nrestart = "{restart}"\n'
    stack = make_stack(peers)
    up = stack.popen("up", "--abort-on-exit")
    wait_until(lambda: stack.run_dir.control.exists() and stack.row("brief:0")["ready"], 20)
    stack.remember()
    (stack.folder / "go").touch()
    output, _ = up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == code, output
    assert "brief:0 ended" in output
    stack.wait_gone()


# ---------------------------------------------------------------------- progress


def test_who_waits_is_told_for_what(make_stack: StackMaker) -> None:
    slow = '[peers.slow]\ncommand = ["sleep", "600"]\nprovides = ["com.never"]\n'
    stack = make_stack(slow + 'start_timeout = "60s"\n' + STEADY)
    up = stack.popen("up")
    assert up.stdout is not None
    stack_lines = []
    deadline = time.monotonic() + 30 * TIME_SCALE
    for line in up.stdout:
        stack_lines.append(line)
        if "of 2 ready" in line or time.monotonic() > deadline:
            break
    expected = r"wampy: 1 of 2 ready; waiting for slow:0 STARTING \(com\.never is not registered\)"
    expected += r" \(\d s\)\n"
    assert re.fullmatch(expected, stack_lines[-1]), stack_lines
    assert "\x1b" not in "".join(stack_lines)
    stack.remember()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 130
    stack.wait_gone()


def test_a_line_a_transition(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY)
    up = stack.popen("up")
    wait_until(lambda: stack.run_dir.control.exists() and stack.row("echo:0")["ready"], 20)
    stack.remember()
    assert stack.wampy("restart", "echo").returncode == 0
    up.send_signal(signal.SIGTERM)
    output, _ = up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 0
    lines = [line for line in output.splitlines() if re.search(r"echo:0: [A-Z]+", line)]
    states = [re.sub(r".*echo:0: (\w+(, ready)?).*", r"\1", line) for line in lines]
    assert states == [
        "STARTING", "RUNNING, ready", "STOPPING", "STOPPED",
        "STARTING", "RUNNING, ready", "STOPPING", "STOPPED",
    ]  # fmt: skip
