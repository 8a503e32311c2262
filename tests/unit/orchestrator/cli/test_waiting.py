from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.waiting import Waiting
from orchestrator.manifest import Manifest
from tests.unit.orchestrator.manifest.support import load


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return load(
        tmp_path,
        "[peers.web]\napp = 'm:W'\ndepends_on = { db = 'ready', load = 'completed' }\n"
        "[peers.db]\napp = 'm:D'\n"
        "[peers.load]\napp = 'm:L'\nkind = 'job'\n"
        "[peers.debug]\napp = 'm:X'\nprofiles = ['dev']\n",
    )


def snapshot(manifest: Manifest) -> dict[str, Any]:
    rows = [
        {"name": name, "instance": f"{name}:0", "state": "STOPPED", "ready": False}
        for name in manifest.peers
    ]
    return {"router": {"state": "STARTING", "ready": False}, "instances": rows}


def event(instance: str, new: str, **more: Any) -> dict[str, Any]:
    return {"instance": instance, "new": new, "ready": False, **more}


def test_what_is_waited_for_on_the_way_up(manifest: Manifest) -> None:
    waiting = Waiting(manifest, [])
    waiting.take({"snapshot": snapshot(manifest)})
    assert waiting.line() == "0 of 3 ready; waiting for router STARTING"
    waiting.take(event("router", "RUNNING", ready=True))
    waiting.take(event("db:0", "STARTING"))
    waiting.take(event("load:0", "RUNNING"))
    assert waiting.line() == (
        "1 of 3 ready; waiting for web:0 STOPPED (needs db, load), db:0 STARTING"
    )
    waiting.take(event("db:0", "RUNNING"))
    assert waiting.line() == (
        "1 of 3 ready; waiting for web:0 STOPPED (needs db, load), db:0 RUNNING (not ready)"
    )
    waiting.take(event("db:0", "RUNNING", ready=True))
    waiting.take(event("load:0", "EXITED", exit={"code": 3}, reason="exit code 3"))
    assert waiting.line() == (
        "1 of 3 ready; waiting for web:0 STOPPED (needs load), load:0 EXITED (exit code 3)"
    )
    waiting.take(event("load:0", "EXITED", exit={"code": 0}))
    waiting.take(event("web:0", "RUNNING", ready=True))
    assert waiting.line() == "3 of 3 ready"
    assert waiting.is_over


def test_who_was_not_asked_for_does_not_count(manifest: Manifest) -> None:
    waiting = Waiting(manifest, ["db:0"])
    waiting.take(snapshot(manifest))
    waiting.take(event("router", "RUNNING", ready=True))
    assert waiting.line() == "0 of 1 ready; waiting for db:0 STOPPED"
    waiting.take(event("debug:0", "BACKOFF"))
    assert waiting.line() == "0 of 2 ready; waiting for db:0 STOPPED, debug:0 BACKOFF"
    assert not waiting.is_over


def test_many_are_counted_and_not_named(manifest: Manifest) -> None:
    waiting = Waiting(manifest, ["db"])
    waiting.take({"router": {"state": "RUNNING", "ready": True}, "instances": []})
    for index in range(10):
        waiting.take(event(f"db:{index}", "STARTING"))
    assert waiting.line().endswith("db:4 STARTING and 5 more")


def test_what_is_not_gone_yet(manifest: Manifest) -> None:
    waiting = Waiting(manifest, [])
    waiting.take({"router": {"state": "RUNNING", "ready": True}, "instances": []})
    waiting.take(event("db:0", "STOPPING"))
    waiting.take({"instance": None, "stack": "stopped"})
    assert waiting.stopping_line() == "stopping; waiting for db:0 STOPPING"
    waiting.take(event("db:0", "STOPPED"))
    assert waiting.stopping_line() == "stopping; waiting for router RUNNING"
    waiting.take(event("router", "STOPPED"))
    assert waiting.stopping_line() == "stopping"


def test_reasons_may_come_late_and_states_not(manifest: Manifest) -> None:
    waiting = Waiting(manifest, ["db"])
    waiting.take({"router": {"state": "RUNNING", "ready": True}, "instances": []})
    waiting.take(event("db:0", "STARTING"))
    row = {"instance": "db:0", "state": "STARTING", "reason": "it has joined"}
    waiting.explain({"instances": [row, {**row, "instance": "web:0"}]})
    assert waiting.line() == "0 of 1 ready; waiting for db:0 STARTING (it has joined)"
    waiting.take(event("db:0", "RUNNING", ready=True))
    waiting.explain({"instances": [row]})
    assert waiting.line() == "1 of 1 ready"
