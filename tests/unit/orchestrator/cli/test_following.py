from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from orchestrator.cli.following import LineStyle, LogLines
from orchestrator.logs.reader import LogLine, LogReader
from tests.unit.orchestrator.manifest.support import load

MANIFEST = "[peers.a]\napp = 'm:A'\n[peers.search]\napp = 'm:S'\nreplicas = 12\n"


def test_a_line_has_the_name_of_who_wrote_it(tmp_path):
    style = LineStyle(load(tmp_path, MANIFEST), colours=False)
    assert style.line(LogLine(0.0, "a:0", "stdout", "hello")) == b"a:0       | hello\n"
    assert style.line(LogLine(0.0, "search:11", "stderr", "x")) == b"search:11 | x\n"
    assert style.line(LogLine(0.0, "stack", "stdout", "up")) == b"wampy     | up\n"
    assert style.line(LogLine(0.0, "a:0", "stdout", "\ud800")) == b"a:0       | ?\n"


def test_colours_times_and_json(tmp_path):
    manifest = load(tmp_path, MANIFEST)
    line = LogLine(1.5, "a:0", "stdout", "hello")
    assert LineStyle(manifest, colours=True).line(line).startswith(b"\x1b[")
    timed = LineStyle(manifest, colours=False, times=True).line(line).decode()
    assert timed == f"a:0       | {datetime.fromtimestamp(1.5):%H:%M:%S}.500 hello\n"
    as_json = LineStyle(manifest, colours=False, as_json=True).line(line)
    assert json.loads(as_json) == {
        "at": 1.5,
        "instance": "a:0",
        "stream": "stdout",
        "text": "hello",
    }


# A follower lives as long as its process, so it has no way to close its files.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_following_begins_where_reading_ended(tmp_path):
    manifest = load(tmp_path, MANIFEST)
    folder = manifest.stack.run_dir / "logs"
    folder.mkdir(parents=True)
    path = folder / "a-0.out.log"

    def write(text: str, at: float) -> None:
        moment = datetime.fromtimestamp(at, UTC)
        with path.open("a") as file:
            file.write(f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z {text}\n")

    now = time.time() - 1
    write("old", now - 100)
    lines = LogLines(manifest, LineStyle(manifest, colours=False))
    # Written after the follower was made, and before the past was read: seen by both.
    write("between", now)
    past = LogReader(folder).read()
    lines.already_shown(past)
    write("between", now)
    write("new", now)
    assert [line.text for line in past] == ["old", "between"]
    assert list(lines.poll(True)) == [b"a:0       | between\n", b"a:0       | new\n"]
