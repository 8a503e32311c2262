"""The folder of a stack: its lock, its state, and what it clears up."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.rundir import RUN_MARK, RunDir, RunDirUnusable


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "deep" / ".wampy")
    made.prepare()
    return made


def test_it_is_for_this_user_alone(run_dir: RunDir) -> None:
    run_dir.write_private(run_dir.tickets, "secret")
    run_dir.write_state({"pid": 1})
    assert stat.S_IMODE(run_dir.path.stat().st_mode) == 0o700
    for path in (run_dir.tickets, run_dir.state):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_in_its_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirUnusable, match=r"cannot use run_dir .*file/x: Not a directory; set"):
        RunDir(tmp_path / "file" / "x").prepare()


def test_one_has_the_lock_until_its_process_ends(run_dir: RunDir) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestrator.rundir import RunDir\n"
        "print(RunDir(Path(sys.argv[1])).try_lock(), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run_dir.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert run_dir.try_lock() is False
    holder.kill()
    holder.communicate()
    assert run_dir.try_lock() is True


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", None])
def test_a_state_that_cannot_be_read_is_none(run_dir: RunDir, text: str | None) -> None:
    if text is not None:
        run_dir.state.write_text(text)
    assert run_dir.read_state() == {}
    assert run_dir.sweep() == 0


def test_a_sweep_kills_what_the_last_run_left_and_only_that(run_dir: RunDir) -> None:
    token = f"test-{os.getpid()}"
    left, other = (
        subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], RUN_MARK: mark})
        for mark in (token, token + "x")
    )
    try:
        run_dir.write_state({"run": token})
        run_dir.control.touch()
        (run_dir.tracebacks / "old.txt").touch()
        assert run_dir.sweep() == 1
        assert left.wait(5) == -9
        assert other.poll() is None
        assert not run_dir.control.exists()
        assert list(run_dir.tracebacks.iterdir()) == []
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


def test_clear_leaves_the_logs_and_follows_a_link_to_a_socket(run_dir: RunDir) -> None:
    real = run_dir.path / "elsewhere.sock"
    real.touch()
    run_dir.control.symlink_to(real)
    run_dir.write_state({"run": "x"})
    (run_dir.logs / "stack.log").write_text("kept")
    run_dir.clear()
    run_dir.clear()
    assert not real.exists()
    assert run_dir.read_state() == {}
    assert (run_dir.logs / "stack.log").read_text() == "kept"
