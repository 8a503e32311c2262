from __future__ import annotations

import subprocess
import sys

from orchestrator.ending import guard_of, watched_end


def test_the_end_of_the_stacks_process_is_seen():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with watched_end(process.pid) as end:
        assert not end.wait(0.05)
        process.communicate(b"\n", timeout=10)
        assert end.wait(10.0)


def test_a_supervisor_that_does_not_end_is_killed():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with watched_end(process.pid) as end:
        end.kill()
        assert end.wait(10.0)
    assert process.wait(10) == -9
    process.communicate()


def test_a_process_that_has_ended_already_needs_no_waiting():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(10)
    with watched_end(process.pid) as end:
        assert end.wait(0.0)


def test_what_cannot_be_seen_is_not_waited_for():
    with watched_end(0) as end:
        end.kill()
        assert end.wait(0.0)
    assert guard_of(0) is None
