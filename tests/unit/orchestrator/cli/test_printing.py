from __future__ import annotations

import os
import threading
import time

from orchestrator.cli.printing import Printer
from tests.support import wait_until


def test_lines_and_messages_are_written_and_nothing_is_left_at_the_end():
    reads, writes = os.pipe()
    batches = [[b"one\n", b"two\n"]]

    def poll(is_last: bool) -> list[bytes]:
        return [b"last\n"] if is_last else batches.pop() if batches else []

    printer = Printer(writes, poll)
    printer.start()
    printer.say("said")
    wait_until(lambda: not batches)
    printer.finish(5.0)
    os.close(writes)
    with os.fdopen(reads) as written:
        assert sorted(written.read().split()) == ["last", "one", "said", "two"]


def test_a_terminal_that_takes_nothing_holds_up_nobody():
    reads, writes = os.pipe()
    polled = threading.Event()

    def flood(is_last: bool) -> list[bytes]:
        polled.set()
        return [b"x" * 65536, b"y" * 65536]

    printer = Printer(writes, flood)
    printer.start()
    assert polled.wait(5.0)
    started_at = time.monotonic()
    for number in range(5000):
        printer.say(f"message {number}")
    printer.finish(0.05)
    assert time.monotonic() - started_at < 5.0
    os.close(reads)
    printer.finish(5.0)
    os.close(writes)


def test_a_closed_terminal_ends_the_printing_only():
    reads, writes = os.pipe()
    os.close(reads)
    printer = Printer(writes, lambda _: [b"x\n"])
    printer.start()
    printer.say("x")
    printer.finish(5.0)
    printer.say("nobody hears this")
    os.close(writes)


def test_logs_that_cannot_be_read_do_not_end_the_printing():
    reads, writes = os.pipe()

    def fails(is_last: bool) -> list[bytes]:
        raise PermissionError(13, "Permission denied")

    printer = Printer(writes, fails)
    printer.start()
    printer.say("still here")
    printer.finish(5.0)
    os.close(writes)
    with os.fdopen(reads) as written:
        assert written.read() == "still here\n"
