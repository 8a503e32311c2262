"""Who starts after whom, and what becomes of it when a job fails: as docker compose does it."""

from __future__ import annotations

import time

import pytest

from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import STEADY, RunningStack, StackMaker

WORK = """
import os, time
from pathlib import Path
from wampy import Peer

class Note(Peer):
    def on_start(self):
        note(self, "start")

class Job(Peer):
    class Config:
        ends: str = "done"

    def run(self):
        note(self, "run")
        if self.config.ends == "later":
            while not Path("go").exists():
                time.sleep(0.02)
        elif self.config.ends == "7":
            os._exit(7)
        elif self.config.ends == "once" and not Path("failed").exists():
            Path("failed").touch()
            raise OSError("the first time")

def note(peer, what):
    with open("notes.txt", "a") as file:
        file.write(f"{what} {peer.name}\\n")
"""


def peer(name: str, *lines: str, app: str = "Note") -> str:
    return "\n".join([f"[peers.{name}]", f'app = "work:{app}"', *lines, ""])


def job(name: str, *lines: str, ends: str = "done") -> str:
    config = f'config = {{ ends = "{ends}" }}'
    return peer(name, 'kind = "job"', config, *lines, app="Job")


def notes(stack: RunningStack) -> list[str]:
    path = stack.folder / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []


AFTER = 'depends_on = { migrate = "completed" }'
NEVER = 'restart = "never"'


@pytest.mark.parametrize("detach", [True, False])
def test_a_job_that_fails_holds_back_who_needs_it(make_stack: StackMaker, detach: bool) -> None:
    """`up` says of each why; what needs nothing of it runs."""
    peers = job("migrate", NEVER, ends="7") + peer("api", AFTER)
    peers += peer("web", 'depends_on = ["api"]') + STEADY
    stack = make_stack(peers, {"work": WORK})
    if detach:
        result = stack.wampy("up", "-d")
        assert result.returncode == 3
        said = result.stderr
    else:
        process = stack.popen("up")
        wait_until(lambda: stack.run_dir.control.exists() and stack.row("web:0")["reason"], 20.0)
        wait_until(lambda: "EXITED" in str(stack.row("web:0")["reason"]))
        process.terminate()
        said, _ = process.communicate(timeout=30 * TIME_SCALE)
    api = "waiting for migrate to be completed, but migrate:0 is EXITED (exit code 7)"
    assert "migrate:0 is EXITED: exit code 7" in said
    assert f"api:0 is STOPPED: {api}" in said
    assert f"web:0 is STOPPED: waiting for api to be ready, but api:0 is {api}" in said
    assert notes(stack) == ["run migrate"]
    if detach:
        assert stack.row("echo:0")["ready"]


def test_a_job_that_is_mended_lets_on_who_needs_it(make_stack: StackMaker) -> None:
    stack = make_stack(job("migrate", NEVER, ends="7") + peer("api", AFTER), {"work": WORK})
    assert stack.wampy("up", "-d").returncode == 3
    source = stack.folder / "work.py"
    source.write_text(source.read_text().replace("os._exit(7)", "pass"))
    result = stack.wampy("up", "-d")
    assert result.returncode == 0, result.stderr
    assert notes(stack) == ["run migrate", "run migrate", "start api"]


@pytest.mark.parametrize("wait", ["-d", "--wait"])
def test_clean_one_shot_jobs_are_no_failure(make_stack: StackMaker, wait: str) -> None:
    """Not even where all are done before anybody looks."""
    stack = make_stack(
        job("one") + job("two", 'depends_on = { one = "completed" }'), {"work": WORK}
    )
    result = stack.wampy("up", wait)
    assert result.returncode == 0, result.stderr
    wait_until(lambda: all(row["completed"] for row in stack.ps()["instances"]))
    again = stack.wampy("up", wait)
    assert again.returncode == 0, again.stderr
    assert notes(stack) == ["run one", "run two"]


def test_who_needs_a_done_job_starts_without_another_run(make_stack: StackMaker) -> None:
    stack = make_stack(job("migrate") + peer("api", AFTER), {"work": WORK})
    assert stack.wampy("up", "-d", "api").returncode == 0
    assert stack.wampy("stop", "api").returncode == 0
    assert stack.wampy("up", "-d", "api").returncode == 0
    assert notes(stack) == ["run migrate", "start api", "start api"]


def test_a_job_is_waited_for_through_its_restarts(make_stack: StackMaker) -> None:
    stack = make_stack(job("migrate", ends="once") + peer("api", AFTER), {"work": WORK})
    result = stack.wampy("up", "-d")
    assert result.returncode == 0, result.stderr
    assert notes(stack) == ["run migrate", "run migrate", "start api"]


def test_all_replicas_of_a_job_must_be_done(make_stack: StackMaker) -> None:
    stack = make_stack(
        job("migrate", "replicas = 2", ends="later") + peer("api", AFTER), {"work": WORK}
    )
    up = stack.popen("up", "-d")
    wait_until(lambda: notes(stack).count("run migrate") == 2, 20.0)
    assert stack.row("api:0")["reason"] == "waiting for migrate to be completed"
    (stack.folder / "go").touch()
    output, _ = up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 0, output
    assert notes(stack)[-1] == "start api"


def test_a_timeout_of_up_names_what_is_not_ready(make_stack: StackMaker) -> None:
    stack = make_stack(job("migrate", ends="later") + peer("api", AFTER), {"work": WORK})
    result = stack.wampy("up", "-d", "--timeout", "500ms")
    assert result.returncode == 3
    assert "not ready within 0.5 s" in result.stderr
    assert "waiting for api:0 STOPPED (needs migrate)" in result.stderr
    assert stack.row("migrate:0")["state"] == "RUNNING"


def test_down_takes_no_longer_than_its_timeout(make_stack: StackMaker) -> None:
    """A call in flight holds it up until then; then what is left is killed."""
    stack = make_stack(STEADY + 'stop_grace = "60s"\n').up()
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.slow", 60)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
        began_at = time.monotonic()
        result = stack.wampy("down", "--timeout", "500ms")
    assert result.returncode == 0, result.stderr
    assert "not down within 0.5 s: killing what is left" in result.stderr
    assert time.monotonic() - began_at < 5.0 * TIME_SCALE
    stack.wait_gone(2.0)
