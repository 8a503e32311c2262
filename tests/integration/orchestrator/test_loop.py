"""The supervisor's loop on real descriptors and the real clock."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
