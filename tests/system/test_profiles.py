"""Profiles: who is started by whom, as docker compose does it."""

from __future__ import annotations

import pytest

from orchestrator import Stack
from tests.system.conftest import RunningStack, StackMaker

PEERS = """
[peers.store]
app = "more:Store"
[peers.tools]
app = "more:Tools"
profiles = ["dev", "ops"]
depends_on = ["debugger"]
[peers.debugger]
app = "more:Debugger"
profiles = ["debug"]
"""
MORE = "from wampy import Peer\n" + "".join(
    f"class {name}(Peer):\n    pass\n" for name in ("Store", "Tools", "Debugger")
)


def states(stack: RunningStack) -> dict[str, str]:
    return {row["name"]: row["state"] for row in stack.ps()["instances"]}


@pytest.fixture
def stack(make_stack: StackMaker) -> RunningStack:
    return make_stack(PEERS, {"more": MORE})


def test_without_a_profile_its_peers_stay_down(stack: RunningStack) -> None:
    assert stack.wampy("up", "-d").returncode == 0
    assert states(stack) == {"store": "RUNNING", "debugger": "STOPPED", "tools": "STOPPED"}
    # Nor does a restart of everything, or a second up.
    assert stack.wampy("restart", "all").returncode == 0
    assert stack.wampy("up", "-d").returncode == 0
    assert states(stack) == {"store": "RUNNING", "debugger": "STOPPED", "tools": "STOPPED"}


def test_a_profile_starts_its_peers_and_what_they_need(stack: RunningStack) -> None:
    result = stack.wampy("up", "-d", "--profile", "ops")
    assert result.returncode == 0, result.stderr
    assert set(states(stack).values()) == {"RUNNING"}


def test_the_environment_may_name_profiles(
    stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAMPY_PROFILES", "debug, ")
    assert stack.wampy("up", "-d").returncode == 0
    assert states(stack) == {"store": "RUNNING", "debugger": "RUNNING", "tools": "STOPPED"}


def test_who_is_named_is_started_whatever_its_profile(stack: RunningStack) -> None:
    assert stack.wampy("up", "-d", "debugger").returncode == 0
    assert states(stack) == {"store": "STOPPED", "debugger": "RUNNING", "tools": "STOPPED"}
    assert stack.wampy("start", "tools").returncode == 0
    assert states(stack)["tools"] == "RUNNING"


def test_a_reload_starts_none_of_a_profile_that_is_not_asked_for(stack: RunningStack) -> None:
    assert stack.wampy("up", "-d", "--profile", "debug").returncode == 0
    path = stack.folder / "wampy.toml"
    more = '[peers.a]\napp = "more:Store"\nprofiles = ["dev"]\n'
    more += '[peers.b]\napp = "more:Store"\nprofiles = ["debug"]\n'
    path.write_text(path.read_text() + more)
    assert stack.wampy("reload").returncode == 0
    found = states(stack)
    assert (found["a"], found["b"]) == ("STOPPED", "RUNNING")


def test_a_profile_that_nobody_has(stack: RunningStack) -> None:
    result = stack.wampy("up", "--profile", "dve")
    assert result.returncode == 2
    assert 'there is no profile "dve"; did you mean "dev"?' in result.stderr


def test_the_graph_shows_them(stack: RunningStack) -> None:
    assert stack.wampy("check", "--graph").stdout.splitlines() == [
        "1. router (builtin)",
        "2. store",
        "2. debugger  [debug]",
        "3. tools  [dev, ops]  after debugger ready",
    ]


def test_a_program_asks_for_profiles(stack: RunningStack) -> None:
    with Stack.from_manifest(stack.folder / "wampy.toml", profiles=["debug"]) as running:
        stack.remember()
        assert states(stack) == {"store": "RUNNING", "debugger": "RUNNING", "tools": "STOPPED"}
        running.up(profiles=["dev"])
        assert set(states(stack).values()) == {"RUNNING"}
