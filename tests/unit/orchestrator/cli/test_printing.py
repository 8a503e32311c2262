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


def shown(redraws: bool, status: list[str], lines: list[bytes]) -> bytes:
    """Print some lines, then one status after the other; gives all that was written."""
    reads, writes = os.pipe()
    left = list(status)
    printer = Printer(
        writes,
        lambda _: [lines.pop(0)] if lines else [],
        0.001,
        status=lambda: left.pop(0) if len(left) > 1 else left[0],
        redraws=redraws,
    )
    printer.start()
    wait_until(lambda: len(left) == 1 and not lines)
    printer.finish(5.0)
    os.close(writes)
    with os.fdopen(reads, "rb") as written:
        return written.read()


def test_a_status_is_the_last_line_of_a_terminal_and_gone_at_the_end():
    written = shown(True, ["one", "one", "two", ""], [b"log\n", b"more\n"])
    assert written == b"log\n\r\x1b[Kone\r\x1b[Kmore\n\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_a_status_is_not_wider_than_the_terminal():
    written = shown(True, ["x" * 200, ""], [])
    assert written == b"\r\x1b[K" + b"x" * 79 + b"\r\x1b[K"


def test_what_is_no_terminal_gets_no_control_codes(monkeypatch):
    assert shown(False, ["one", "two", ""], [b"log\n"]) == b"log\n"
    monkeypatch.setattr("orchestrator.cli.printing._PATIENCE_S", 0.0)
    monkeypatch.setattr("orchestrator.cli.printing._AGAIN_S", 0.0)
    assert shown(False, ["one", "two", ""], [b"log\n"]) == b"log\none\ntwo\n"
