"""The real supervisorctl on a running stack."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, RunningStack, StackMaker

SUPERVISORCTL = str(Path(sys.executable).with_name("supervisorctl"))


def command(stack: RunningStack, *arguments: str) -> list[str]:
    return [SUPERVISORCTL, "-s", f"unix://{stack.run_dir.control}", *arguments]


def ctl(stack: RunningStack, *arguments: str) -> str:
    done = subprocess.run(
        command(stack, *arguments),
        capture_output=True,
        text=True,
        timeout=30 * TIME_SCALE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def stack(make_stack: StackMaker) -> RunningStack:
    return make_stack(ECHO + "replicas = 2\n").up()


def states(stack: RunningStack) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in ctl(stack, "status").splitlines()}


def test_status_and_pid(stack: RunningStack) -> None:
    assert states(stack) == {"echo:0": "RUNNING", "echo:1": "RUNNING"}
    assert ctl(stack, "pid", "echo:0").strip() == str(stack.pid("echo:0"))
    assert ctl(stack, "pid").strip() == str(stack.supervisor_pid)
    assert f"pid {stack.pid('echo:1')}, uptime 0:00:" in ctl(stack, "status", "echo:1")


def test_stop_start_restart(stack: RunningStack) -> None:
    pid = stack.pid("echo:0")
    assert ctl(stack, "stop", "echo:0") == "echo:0: stopped\n"
    assert states(stack) == {"echo:0": "STOPPED", "echo:1": "RUNNING"}
    assert ctl(stack, "start", "echo:0") == "echo:0: started\n"
    second = stack.pid("echo:0")
    assert second != pid
    assert ctl(stack, "restart", "echo:0") == "echo:0: stopped\necho:0: started\n"
    assert stack.pid("echo:0") not in (pid, second)
    assert sorted(ctl(stack, "stop", "all").splitlines()) == ["echo:0: stopped", "echo:1: stopped"]


def test_tail_and_its_following(stack: RunningStack) -> None:
    uri = f"com.test.{stack.name}.say"
    assert ctl(stack, "stop", "echo:1") == "echo:1: stopped\n"
    with stack.session() as session:
        session.call(uri, "one")
        wait_until(lambda: "one" in ctl(stack, "tail", "echo:0"))
        follower = subprocess.Popen(
            command(stack, "tail", "-f", "echo:0"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
        )
        overdue = threading.Timer(20 * TIME_SCALE, follower.kill)
        overdue.start()
        try:
            assert follower.stdout is not None
            for text in ("one", "two", "three"):
                if text != "one":
                    session.call(uri, text)
                line = ""
                while text not in line:
                    line = follower.stdout.readline()
                    assert line, f"tail -f ended before {text}"
        finally:
            overdue.cancel()
            follower.kill()
            follower.communicate()


def test_update_takes_over_a_changed_manifest(stack: RunningStack) -> None:
    manifest = stack.folder / "wampy.toml"
    other = '[peers.other]\napp = "peers:Other"\n'
    code = stack.folder / "peers.py"
    code.write_text(code.read_text() + "\nclass Other(Echo):\n    prefix = 'com.other.'\n")
    manifest.write_text(manifest.read_text().replace("replicas = 2", "replicas = 1") + other)
    assert ctl(stack, "reread") == "echo: changed\nother: available\n"
    assert states(stack) == {"echo:0": "RUNNING", "echo:1": "RUNNING"}
    said = ctl(stack, "update")
    assert said.splitlines()[-1] == "other: added process group"
    assert states(stack) == {"echo:0": "RUNNING", "other:0": "RUNNING"}
    manifest.write_text(manifest.read_text().replace(other, ""))
    assert ctl(stack, "update") == "other: stopped\nother: removed process group\n"
    assert states(stack) == {"echo:0": "RUNNING"}
    manifest.write_text("[[[")
    assert "wampy.toml:1:" in ctl(stack, "reread")
    assert states(stack) == {"echo:0": "RUNNING"}
