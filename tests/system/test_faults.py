"""Promises under failure (contract, section 6): each row, by its behaviour."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.processes import children_of, is_alive
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, STEADY, RunningStack, StackMaker
from wampy.errors import WampyError

TWO = ECHO + "replicas = 2\n"


def children(stack: RunningStack) -> list[int]:
    """Let a Peer leave children everywhere; give those that it knows of."""
    with stack.session() as session:
        found = session.call(f"com.test.{stack.name}.fork_children")
    assert isinstance(found, list)
    return found


def test_a_killed_instance_is_replaced(make_stack: StackMaker) -> None:
    """Kill -9: replaced, registered again, the others untouched, the cause told."""
    stack = make_stack(TWO).up()
    first, other = stack.pid("echo:0"), stack.pid("echo:1")
    os.kill(first, signal.SIGKILL)
    row = stack.wait_ready("echo:0", but_not=first)
    assert (row["incarnation"], row["restarts"]) == (2, 1)
    assert (row["exit"]["signal"], row["exit"]["cause"]) == (9, "killed by signal 9")
    assert stack.pid("echo:1") == other


def test_a_stopped_instance_is_found_and_replaced(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    first = stack.pid("echo:0")
    os.kill(first, signal.SIGSTOP)
    stack.wait_ready("echo:0", but_not=first)
    assert not is_alive(first)
    assert "it is hung or stopped" in stack.log()


def test_an_instance_that_spins_in_c_is_found_with_its_tracebacks(make_stack: StackMaker) -> None:
    """The GIL held: nothing of it answers; the traceback names the function."""
    stack = make_stack(ECHO).up()
    first = stack.pid("echo:0")
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.spin")
        stack.wait_ready("echo:0", but_not=first)
    dump = wait_until(lambda: (stack.run_dir.tracebacks / "echo-0.1.txt").read_text())
    assert "in spin" in dump


def test_a_busy_instance_is_saturated_and_left_alone(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + "concurrency = 2\n").up()
    first = stack.pid("echo:0")
    with stack.session() as session:
        calls = [session.call_async(f"com.test.{stack.name}.slow", 2.0) for _ in range(3)]
        wait_until(lambda: stack.row("echo:0")["saturated"], 5.0)
        assert stack.row("echo:0")["ready"]
        assert {call.result(10) for call in calls} == {first}
    assert stack.row("echo:0")["restarts"] == 0


def test_a_call_that_is_too_old_has_its_instance_replaced(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + 'max_call_age = "500ms"\n').up()
    first = stack.pid("echo:0")
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.slow", 60)
        stack.wait_ready("echo:0", but_not=first)
    assert "a call has been running for" in stack.log()
    assert "in slow" in (stack.run_dir.tracebacks / "echo-0.1.txt").read_text()


def test_children_of_a_killed_instance_end_with_it(make_stack: StackMaker) -> None:
    """Those in a session of their own, stopped ones, and daemons whose parent had gone."""
    stack = make_stack(ECHO).up()
    first = stack.pid("echo:0")
    known = children(stack)
    os.kill(first, signal.SIGKILL)
    stack.wait_ready("echo:0", but_not=first)
    wait_until(lambda: not any(is_alive(pid) for pid in known))

    def sleepers() -> list[int]:
        lines = ((pid, Path(f"/proc/{pid}/cmdline")) for pid in stack.alive())
        return [pid for pid, line in lines if "sleep" in line.read_text()]

    wait_until(lambda: not sleepers())


@pytest.mark.parametrize("victim", ["supervisor_pid", "guard_pid"])
def test_nothing_is_left_when_the_top_is_killed(make_stack: StackMaker, victim: str) -> None:
    """Kill -9 of supervisor or guard: no process of the stack is left within two seconds."""
    stack = make_stack(TWO).up()
    children(stack)
    os.kill(getattr(stack, victim), signal.SIGKILL)
    stack.wait_gone(2.0)


@pytest.mark.parametrize(
    "order", [("guard_pid", "supervisor_pid"), ("supervisor_pid", "guard_pid")]
)
def test_after_both_are_killed_the_next_up_sweeps(
    make_stack: StackMaker, order: tuple[str, str]
) -> None:
    """Even both at once leave nothing behind that the next ``up`` does not end first."""
    stack = make_stack(TWO).up()
    children(stack)
    pids = [getattr(stack, name) for name in order]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    stack.remember()
    left = set(stack.alive())
    stack.up()
    assert not left & set(stack.alive())
    assert stack.row("echo:0")["ready"]


def test_a_killed_nursery_is_replaced_and_hurts_nobody(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY).up()
    first = stack.pid("echo:0")
    os.kill(stack.child_named("orchestrator.nursery"), signal.SIGKILL)
    wait_until(lambda: "another one takes its place" in stack.log())
    assert stack.pid("echo:0") == first
    os.kill(first, signal.SIGKILL)
    stack.wait_ready("echo:0", but_not=first)


def test_a_killed_logger_is_replaced_and_loses_no_line(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY).up()
    with stack.session() as session:
        session.call(f"com.test.{stack.name}.say", "before")
        wait_until(lambda: "before" in stack.log("echo-0.out"))
        os.kill(stack.logger_pid, signal.SIGKILL)
        session.call(f"com.test.{stack.name}.say", "meanwhile")
        wait_until(lambda: "meanwhile" in stack.log("echo-0.out"))
    assert "the logger ended" in stack.log()


def test_a_stopped_logger_costs_no_heartbeat(make_stack: StackMaker) -> None:
    """A Peer that floods a log nobody reads waits; its heartbeats do not."""
    stack = make_stack(STEADY).up()
    first, logger = stack.pid("echo:0"), stack.logger_pid
    os.kill(logger, signal.SIGSTOP)
    try:
        with stack.session() as session:
            flood = session.call_async(f"com.test.{stack.name}.say", "x" * 2_000_000, timeout=20)
            deadline = time.monotonic() + 2 * TIME_SCALE
            while time.monotonic() < deadline:
                assert stack.row("echo:0")["pid"] == first
            os.kill(logger, signal.SIGCONT)
            assert flood.result(20) == 2_000_000
    finally:
        os.kill(logger, signal.SIGCONT)
    assert stack.row("echo:0")["restarts"] == 0


def test_a_stopped_supervisor_condemns_nobody_afterwards(make_stack: StackMaker) -> None:
    """What it missed while it did not run counts as unknown."""
    stack = make_stack(TWO).up()
    before = [stack.pid("echo:0"), stack.pid("echo:1")]
    supervisor = stack.supervisor_pid
    os.kill(supervisor, signal.SIGSTOP)
    threading.Event().wait(3.0)
    os.kill(supervisor, signal.SIGCONT)
    deadline = time.monotonic() + 2 * TIME_SCALE
    while time.monotonic() < deadline:
        assert [stack.pid("echo:0"), stack.pid("echo:1")] == before


@pytest.fixture(params=["builtin", "crossbar"])
def own_router(make_stack: StackMaker, request: pytest.FixtureRequest) -> RunningStack:
    """A stack with a Router of its own."""
    return make_stack(STEADY + "replicas = 2\n", router=request.param).up()


def test_a_killed_router_is_restarted_and_no_peer_is(own_router: RunningStack) -> None:
    stack = own_router
    before = [row["pid"] for row in stack.ps()["instances"]]
    router = stack.ps()["router"]["pid"]
    os.kill(router, signal.SIGKILL)
    wait_until(lambda: stack.ps()["router"]["pid"] not in (router, None), 20.0)
    wait_until(lambda: stack.ps()["router"]["ready"], 30.0)

    def is_callable() -> bool:
        try:
            with stack.session() as session:
                return session.call(f"com.test.{stack.name}.pid", timeout=1.0) in before
        except WampyError:
            return False

    wait_until(is_callable, 20.0)
    stack.wait_ready("echo:0")
    rows = stack.ps()["instances"]
    assert [row["pid"] for row in rows] == before
    assert [row["restarts"] for row in rows] == [0, 0]


def test_a_router_that_hangs_is_restarted_and_no_peer_is(own_router: RunningStack) -> None:
    stack = own_router
    before = [row["pid"] for row in stack.ps()["instances"]]
    router = stack.ps()["router"]["pid"]
    for pid in (router, *children_of(router)):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: stack.ps()["router"]["pid"] not in (router, None), 30.0)
    wait_until(lambda: stack.ps()["router"]["ready"], 30.0)
    stack.wait_ready("echo:0")
    rows = stack.ps()["instances"]
    assert [row["pid"] for row in rows] == before
    assert "it hangs" in stack.log()
