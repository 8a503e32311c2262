"""The pytest plugin, as who installs wampy meets it: a run of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest
from wampy import Session

def test_a_session(wampy_session, wampy_router):
    wampy_session.register("com.example.add", lambda a, b: a + b)
    assert wampy_session.call("com.example.add", 2, 3) == 5
    with Session(wampy_router.url) as other:
        assert other.call("com.example.add", 2, 3) == 5
    wampy_router.ended = wampy_session

def test_another_one(wampy_session, wampy_router, wampy_sessions):
    assert not wampy_router.ended.is_joined
    other = wampy_sessions(timeout=5.0)
    assert other.id != wampy_session.id
    assert other.timeout_s == 5.0

def test_a_stack(wampy_stack):
    assert wampy_stack.call("com.example.hello.greet", "you") == "hello you"
"""
PEER = """
from wampy import Peer, rpc

class Hello(Peer):
    prefix = "com.example.hello."

    @rpc
    def greet(self, name: str) -> str:
        return f"hello {name}"
"""
MANIFEST = """
[router]
port = 0
[peers.hello]
app = "hello:Hello"
"""


def test_its_fixtures_in_a_run_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "hello.py").write_text(PEER)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "test.toml").write_text(MANIFEST)
    (tmp_path / "stacks" / "hello.py").write_text(PEER)
    (tmp_path / "pytest.ini").write_text("[pytest]\nwampy_manifest = stacks/test.toml\n")
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=environ,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


def test_it_costs_nothing_until_a_fixture_is_used() -> None:
    code = (
        "import sys, wampy.testing.pytest_plugin, orchestrator.pytest_plugin\n"
        "heavy = [m for m in sys.modules if m.startswith(('wampy.session', 'wampy.router', "
        "'orchestrator.stack'))]\n"
        "sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
