"""The supervisor's loop on real descriptors and the real clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from orchestrator.loop import Loop


class Case:
    """A loop, its errors, and what was called."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        self.called: list[str] = []

    def note(self, what: str) -> None:
        self.called.append(what)


@pytest.fixture
def case() -> Iterator[Case]:
    made = Case()
    yield made
    made.loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue  # a test has closed it


def test_timers_in_the_order_of_their_time_then_of_their_asking(case: Case) -> None:
    now = case.loop.now()
    for what, due_at in (("c", now + 0.002), ("a", now), ("b", now)):
        case.loop.call_at(due_at, lambda what=what: case.note(what))  # type: ignore[misc]
    while len(case.called) < 3:
        case.loop.run_once(1)
    assert case.called == ["a", "b", "c"]


def test_a_cancelled_timer_is_silent_and_wakes_nobody(case: Case) -> None:
    timer = case.loop.call_later(0, lambda: case.note("never"))
    timer.cancel()
    timer.cancel()
    case.loop.call_later(0, lambda: case.note("yes"))
    case.loop.run_once(1)
    assert case.called == ["yes"]


def test_an_exception_is_reported_and_ends_nothing(case: Case) -> None:
    def fail() -> None:
        raise KeyError("x")

    case.loop.call_later(0, fail)
    case.loop.call_later(0, case.loop.stop)
    case.loop.run()
    assert [type(error) for error in case.errors] == [KeyError]


def test_readers_hear_data_and_the_end(case: Case, pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    case.loop.add_reader(reads, lambda: case.note(os.read(reads, 10).decode()))
    case.loop.run_once(0)
    assert case.called == []
    os.write(writes, b"x")
    case.loop.run_once(1)
    os.close(writes)
    case.loop.run_once(1)
    assert case.called == ["x", ""]
    case.loop.remove_reader(reads)
    case.loop.remove_reader(reads)
    case.loop.run_once(0)
    assert case.called == ["x", ""]


def test_reader_and_writer_of_one_descriptor_are_apart(case: Case, pipe: tuple[int, int]) -> None:
    _, writes = pipe
    case.loop.add_writer(writes, lambda: case.note("first"))
    case.loop.add_writer(writes, lambda: case.note("second"))
    case.loop.remove_reader(writes)
    case.loop.run_once(1)
    case.loop.remove_writer(writes)
    case.loop.run_once(0)
    assert case.called == ["second"]


def test_who_was_removed_in_the_same_round_is_not_called(case: Case) -> None:
    """Both are readable; whichever comes first takes the other away."""
    pipes = [os.pipe(), os.pipe()]

    def heard(own: int, other: int) -> None:
        case.note("one")
        case.loop.remove_reader(other)
        os.read(own, 1)

    (a, _), (b, _) = pipes
    case.loop.add_reader(a, lambda: heard(a, b))
    case.loop.add_reader(b, lambda: heard(b, a))
    for _, writes in pipes:
        os.write(writes, b"x")
    case.loop.run_once(1)
    assert case.called == ["one"]
    for fds in pipes:
        for fd in fds:
            os.close(fd)


def test_the_clock_stands_still_while_a_callback_blocks(case: Case) -> None:
    """Who was suspended or starved must not judge by a time in which it saw nothing."""
    began, noted = case.loop.now(), time.monotonic()
    case.loop.call_later(0.0, lambda: time.sleep(1.3))
    case.loop.call_later(0.4, lambda: case.note("later"))
    case.loop.run_once(None)
    assert case.called == []
    assert case.loop.now() - began < 0.4
    assert case.loop.awake_s(1.2) < 0.4
    assert case.loop.awake_s(60.0) == pytest.approx(60.0 - 1.3, abs=0.3)
    case.loop.run_once(None)
    assert case.called == ["later"]
    assert time.monotonic() - noted >= 1.7


STOPPED = """
import sys, time
from orchestrator.loop import Loop

loop = Loop(lambda error: sys.exit(1))
began, loop_began = time.monotonic(), loop.now()
loop.call_later(1.0, lambda: None)
print("waits", flush=True)
loop.run_once(None)
print(time.monotonic() - began, loop.now() - loop_began)
"""


def _wait_until_asleep(pid: int) -> None:
    """Wait until the process waits for its timer, and is no more on the way there."""
    for _ in range(500):
        if psutil.Process(pid).status() == psutil.STATUS_SLEEPING:
            return
        time.sleep(0.001)
    pytest.fail("the loop did not begin to wait")


def test_the_clock_stands_still_while_the_process_is_stopped() -> None:
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "waits\n"
    _wait_until_asleep(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    time.sleep(2.0)
    os.kill(child.pid, signal.SIGCONT)
    output, _ = child.communicate(timeout=20)
    passed, by_the_loop = map(float, output.split())
    assert passed >= 1.9
    assert by_the_loop < 1.0
