"""The logger with real pipes and files: order, halves, rotation, a full disk, followers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import channel
from orchestrator.logs.reader import LogReader
from orchestrator.logs.sink import LogSink, Pipes
from orchestrator.logs.writer import Logger
from tests.support import wait_until


class Running:
    """A logger in a thread, and the sink that feeds it."""

    def __init__(self, folder: Path, *, max_bytes: int = 10**6, keep: int = 3, format: str) -> None:
        self.folder = folder
        self.reader = LogReader(folder)
        self.sink = LogSink(folder)
        ours, theirs = channel.channel_pair()
        ours.setblocking(False)
        logger = Logger(theirs, str(folder), max_bytes, keep, format)
        self._theirs = theirs
        self._thread = threading.Thread(target=logger.run)
        self._thread.start()
        self.sink.attach_logger(ours)
        self.pipes: list[Pipes] = []

    def open(self, instance: str) -> tuple[int, int]:
        self.pipes.append(self.sink.open(instance))
        return self.pipes[-1].write_ends

    def lines(self, *names: str) -> list[str]:
        return [f"{one.instance}|{one.text}" for one in self.reader.read(names)]

    def close(self) -> None:
        for pipes in self.pipes:
            pipes.close_write_ends()
        self.sink.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._theirs.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(format: str = "text", **options: int) -> Running:
        made.append(Running(tmp_path, format=format, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_file_for_each_and_one_with_all(run: Callable[..., Running], format: str) -> None:
    logger = run(format)
    (a_out, a_err), (b_out, _) = logger.open("a:0"), logger.open("b:1")
    expected = []
    for number in range(5):
        for fd, who, text in ((a_out, "a:0", "out"), (a_err, "a:0", "err"), (b_out, "b:1", "out")):
            os.write(fd, f"{text} {number}\n".encode())
            expected.append((who, text, f"{text} {number}"))
            wait_until(lambda: len(logger.lines()) == len(expected))
    assert logger.lines("a") == [f"{w}|{text}" for w, _, text in expected if w == "a:0"]
    assert logger.lines() == [f"{w}|{text}" for w, _, text in expected]
    raws = (logger.folder / "merged.log").read_text().splitlines()
    if format == "json":
        records = [json.loads(raw) for raw in raws]
        found = [(r["instance"], r["stream"][3:], r["text"]) for r in records]
    else:
        found = [(raw.split(" ")[1], raw.split(" ")[2], raw.split(" ", 3)[3]) for raw in raws]
    assert found == expected


def test_halves_and_what_is_no_utf_8(run: Callable[..., Running]) -> None:
    logger = run()
    out, _ = logger.open("a:0")
    os.write(out, "ä".encode()[:1])
    os.write(out, "ä".encode()[1:] + b" whole\n")
    os.write(out, b"\xff\xfe bytes\r\nno end")
    # A half line is shown after a while, as it is.
    wait_until(lambda: logger.lines() == ["a:0|ä whole", "a:0|\\xff\\xfe bytes", "a:0|no end"])


def test_a_long_line_is_cut_where_no_character_is(run: Callable[..., Running]) -> None:
    logger = run()
    out, _ = logger.open("a:0")
    text = "ä" * 200_000
    writer = threading.Thread(target=os.write, args=(out, text.encode() + b"\n"))
    writer.start()
    wait_until(lambda: sum(len(line) - 4 for line in logger.lines()) == len(text))
    writer.join(5)
    assert all("\\x" not in line for line in logger.lines())


def test_rotation_keeps_so_many_and_a_follower_loses_nothing(run: Callable[..., Running]) -> None:
    logger = run(max_bytes=4000, keep=3)
    out, err = logger.open("a:0")
    follower = logger.reader.follow(from_start=True)
    seen: list[str] = []

    def look() -> bool:
        seen.extend(line.text for line in follower.poll())
        return len(seen) == 2000

    def write(fd: int, mark: str) -> None:
        for number in range(1000):
            os.write(fd, f"{mark} {number} {'x' * 20}\n".encode())
            if number % 40 == 0:
                wait_until(lambda: logger.pipes[0].has_content() is False)

    writers = [threading.Thread(target=write, args=each) for each in ((out, "o"), (err, "e"))]
    for writer in writers:
        writer.start()
    wait_until(look, 30)
    for writer in writers:
        writer.join(10)
    for mark in ("o", "e"):
        numbers = [int(text.split()[1]) for text in seen if text.startswith(mark)]
        assert numbers == list(range(1000))
    follower.close()
    names = sorted(path.name for path in logger.folder.iterdir())
    assert [name for name in names if name.startswith("a-0.out")] == [
        "a-0.out.log", "a-0.out.log.1", "a-0.out.log.2",
    ]  # fmt: skip
    assert [name for name in names if name.startswith("merged")] == [
        "merged.log", "merged.log.1", "merged.log.2",
    ]  # fmt: skip
    assert all(path.stat().st_size <= 4000 for path in logger.folder.iterdir())


def test_a_full_disk_drops_lines_with_a_count(run: Callable[..., Running]) -> None:
    logger = run()
    out, _ = logger.open("a:0")
    path = logger.folder / "a-0.out.log"
    path.symlink_to("/dev/full")
    for number in range(7):
        os.write(out, f"lost {number}\n".encode())
    merged = logger.folder / "merged.log"
    wait_until(lambda: merged.exists() and "lost 6" in merged.read_text())
    path.unlink()
    os.write(out, b"there again\n")
    wait_until(lambda: len(logger.lines("a")) == 2)
    assert logger.lines("a") == [
        "a:0|7 lines could not be written and are lost", "a:0|there again",
    ]  # fmt: skip


def test_lines_since_a_time_and_the_last_ones(run: Callable[..., Running]) -> None:
    logger = run(max_bytes=2000, keep=9)
    out, _ = logger.open("a:0")
    for number in range(100):
        os.write(out, f"{number}\n".encode())
    wait_until(lambda: len(logger.lines()) == 100)
    lines = logger.reader.read()
    since = lines[40].at
    assert logger.reader.read(since=since) == [line for line in lines if line.at >= since]
    assert [line.text for line in logger.reader.read(tail=3)] == ["97", "98", "99"]
    assert [line.text for line in logger.reader.read(("b",))] == []
