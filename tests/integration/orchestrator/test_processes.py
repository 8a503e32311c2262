"""Real processes: their ends, their children, their marks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from orchestrator.loop import Loop
from orchestrator.processes import (
    ExitStatus,
    Reaper,
    children_of,
    is_alive,
    kill_marked,
    parent_of,
    processes_marked,
    signal_group,
    start_time,
)
from tests.support import wait_until


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(lambda error: pytest.fail(f"{error!r}"))
    yield made
    made.close()


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("exit 0", ExitStatus(0, None)),
        ("exit 3", ExitStatus(3, None)),
        ("kill -9 $$", ExitStatus(None, 9)),
    ],
)
def test_each_exit_is_told_once(loop: Loop, command: str, status: ExitStatus) -> None:
    reaper = Reaper(loop)
    pid = os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", command)
    told: list[ExitStatus] = []
    reaper.watch(pid, told.append)
    assert reaper.is_watched(pid)
    while not told:
        loop.run_once(10)
    loop.run_once(0)
    assert told == [status]
    assert not reaper.is_watched(pid)


def test_what_is_left_of_a_group_ends_with_its_leader(loop: Loop) -> None:
    reader, writer = os.pipe()
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!"], start_new_session=True, stdout=writer
    )
    os.close(writer)
    told: list[ExitStatus] = []
    Reaper(loop).watch(leader.pid, told.append, leads_group=True)
    while not told:
        loop.run_once(10)
    left = int(os.read(reader, 20))
    wait_until(lambda: not is_alive(left))
    os.close(reader)
    leader.returncode = 0  # the reaper has waited for it


@pytest.mark.parametrize("leads", [True, False])
def test_a_group_gets_a_signal_once(leads: bool) -> None:
    """A real-time signal is queued as often as it is sent; SIGTERM may melt into one."""
    code = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
print("blocked", flush=True)
count = 0
while signal.sigtimedwait([signal.SIGRTMIN], 10.0 if not count else 0.2):
    count += 1
print(count)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=leads,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "blocked\n"
    signal_group(child.pid, signal.SIGRTMIN)
    output, _ = child.communicate(timeout=30)
    assert output == "1\n"


def test_strays_fall_to_a_subreaper_and_are_killed() -> None:
    """In a process of its own, since it adopts whatever is left below it."""
    done = run_python(
        """
        import os, subprocess, time
        from orchestrator.loop import Loop
        from orchestrator.processes import Reaper, become_subreaper, children_of, is_alive

        become_subreaper()
        reaper = Reaper(Loop(print))
        # The one between ends at once; its child, in a session of its own, falls to us.
        between = subprocess.Popen(["sh", "-c", "setsid sleep 600 </dev/null >/dev/null 2>&1 &"])
        between.wait()
        deadline = time.monotonic() + 10
        while not children_of(os.getpid()) and time.monotonic() < deadline:
            time.sleep(0.01)
        [stray] = children_of(os.getpid())
        while reaper.kill_strays():
            time.sleep(0.01)
        print(is_alive(stray), children_of(os.getpid()))
        """
    )
    assert done.stdout == "False []\n", done.stderr


def test_a_child_dies_with_its_parent() -> None:
    done = run_python(
        """
        import os, signal, time
        from orchestrator.processes import die_with_parent, is_alive

        reads, writes = os.pipe()
        if os.fork() == 0:
            parent = os.getpid()
            child = os.fork()
            if child == 0:
                die_with_parent(parent)
                os.write(writes, b"x")
                time.sleep(600)
            os.read(reads, 1)
            print(child, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        """
    )
    child = int(done.stdout)
    wait_until(lambda: not is_alive(child))


def test_what_the_kernel_says_of_a_process() -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        assert parent_of(child.pid) == os.getpid()
        assert child.pid in children_of(os.getpid())
        assert is_alive(child.pid)
        assert (start_time(child.pid) or 0) >= (start_time(os.getpid()) or 0)
        child.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_alive(child.pid), message="a zombie is not alive")
    finally:
        child.kill()
        child.wait()
    assert parent_of(child.pid) is None
    assert start_time(child.pid) is None
    assert children_of(child.pid) == []


def test_the_marked_are_killed_and_nobody_else() -> None:
    environ = {"PATH": os.environ["PATH"]}
    marked = [
        subprocess.Popen(["sleep", "600"], env={**environ, "WAMPY_TEST_MARK": "one"})
        for _ in range(2)
    ]
    other = subprocess.Popen(["sleep", "600"], env={**environ, "WAMPY_TEST_MARK": "one more"})
    try:
        wait_until(lambda: len(processes_marked("WAMPY_TEST_MARK", "one")) == 2)
        assert kill_marked("WAMPY_TEST_MARK", "one") == 2
        assert [process.wait(5) for process in marked] == [-9, -9]
        assert other.poll() is None
    finally:
        for process in (*marked, other):
            process.kill()
            process.wait()
