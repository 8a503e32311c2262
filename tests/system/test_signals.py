"""Ctrl-C of the foreground: once stops in order, twice kills; at any moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from orchestrator.launch import Launch
from orchestrator.manifest import load_manifest
from orchestrator.start import StartError
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, RunningStack, StackMaker


def is_ready(stack: RunningStack) -> bool:
    if not stack.run_dir.tickets.exists():
        return False
    result = stack.wampy("ps", "--json")
    return result.returncode == 0 and '"ready": true' in result.stdout.partition("instances")[2]


#: Moments of a start, as they can be seen from outside.
MOMENTS: dict[str, Callable[[RunningStack], bool]] = {
    "the folder": lambda stack: stack.run_dir.path.exists(),
    "the lock": lambda stack: stack.run_dir.lock.exists(),
    "the logger": lambda stack: (stack.run_dir.logs / "supervisor.err").exists(),
    "the tickets": lambda stack: stack.run_dir.tickets.exists(),
    "the socket": lambda stack: stack.run_dir.control.exists(),
    "ready": is_ready,
}


def interrupt_at(
    stack: RunningStack, moment: str, times: int = 1, signum: int = signal.SIGINT
) -> tuple[int, str]:
    """Run ``wampy up`` and send a signal at a moment; give exit code and output."""
    process = stack.popen("up", start_new_session=True)
    try:
        wait_until(lambda: MOMENTS[moment](stack), 20.0)
        for _ in range(times):
            stack.remember()
            with suppress(ProcessLookupError):
                os.kill(process.pid, signum)
        output, _ = process.communicate(timeout=40 * TIME_SCALE)
    finally:
        process.kill()
    return process.returncode, output


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_ctrl_c_stops_everything(make_stack: StackMaker, moment: str) -> None:
    stack = make_stack(ECHO + "replicas = 3\n")
    code, output = interrupt_at(stack, moment)
    assert code == 130, output
    stack.wait_gone()
    assert not stack.run_dir.control.exists()


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_ctrl_c_twice_at_once_leaves_nothing(make_stack: StackMaker, moment: str) -> None:
    stack = make_stack(ECHO + "replicas = 3\n")
    code, output = interrupt_at(stack, moment, times=2)
    assert code == 130, output
    stack.wait_gone()


def test_a_start_given_up_when_it_has_just_come_up_leaves_nothing(make_stack: StackMaker) -> None:
    """What two signals do when the supervisor has told, unheard as yet, that it listens."""
    stack = make_stack(ECHO + "replicas = 3\n")
    launch = Launch(load_manifest(stack.folder / "wampy.toml", {}))
    launch.run()
    stack.remember()
    assert stack.alive()
    launch.give_up()
    stack.wait_gone()
    assert not stack.run_dir.control.exists()


def test_a_start_given_up_before_it_began_starts_nothing(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO)
    launch = Launch(load_manifest(stack.folder / "wampy.toml", {}))
    launch.give_up()
    with pytest.raises(StartError, match="given up"):
        launch.run()
    assert not stack.run_dir.control.exists()


def test_ctrl_c_twice_kills(make_stack: StackMaker) -> None:
    """The second one does not wait for a call in flight."""
    stack = make_stack(ECHO + 'stop_grace = "60s"\n')
    process = stack.popen("up", start_new_session=True)
    wait_until(lambda: is_ready(stack), 20.0)
    stack.remember()
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.slow", 60)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
    os.kill(process.pid, signal.SIGINT)
    wait_until(lambda: stack.row("echo:0")["state"] == "STOPPING")
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=20 * TIME_SCALE)
    assert process.returncode == 130
    stack.wait_gone()


def test_sigterm_of_the_foreground_stops_everything(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO)
    code, output = interrupt_at(stack, "ready", signum=signal.SIGTERM)
    assert code == 0, output
    stack.wait_gone()


def test_killing_the_foreground_harms_nothing(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO)
    process = stack.popen("up", start_new_session=True)
    wait_until(lambda: is_ready(stack), 20.0)
    process.kill()
    process.communicate()
    assert stack.row("echo:0")["ready"]
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_leaving_a_joined_stack_lets_it_run_on(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    code, output = interrupt_at(stack, "ready")
    assert code == 130, output
    assert stack.row("echo:0")["ready"]
