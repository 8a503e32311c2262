from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.graph import as_json, as_mermaid, draw, start_waves
from orchestrator.manifest import Manifest
from tests.unit.orchestrator.manifest.support import load


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return load(
        tmp_path,
        "[peers.web]\napp = 'm:W'\nreplicas = 2\ndepends_on = ['cache', 'load']\n"
        "[peers.cache]\napp = 'm:C'\n"
        "[peers.load]\napp = 'm:L'\nkind = 'job'\ndepends_on = ['cache']\n"
        "[peers.late]\napp = 'm:X'\nprofiles = ['dev']\ndepends_on = { load = 'completed' }\n",
    )


def test_the_order_of_start_is_drawn_in_waves(manifest: Manifest) -> None:
    assert start_waves(manifest) == [["cache"], ["load"], ["web", "late"]]
    assert draw(manifest).split("\n") == [
        "1. router (builtin)",
        "2. cache",
        "3. load (job)  after cache ready",
        "4. web x 2  after cache ready, load ready",
        "4. late  [dev]  after load completed",
    ]


def test_programs_get_the_order_and_the_edges(manifest: Manifest) -> None:
    found = as_json(manifest)
    assert [(row["name"], row["wave"]) for row in found["order"]] == [
        ("cache", 1),
        ("load", 2),
        ("web", 3),
        ("late", 3),
    ]
    assert found["order"][3] == {
        "name": "late",
        "wave": 3,
        "kind": "service",
        "replicas": 1,
        "profiles": ["dev"],
        "needs": {"load": "completed"},
    }
    assert found["edges"] == [
        {"from": "load", "to": "cache", "condition": "ready"},
        {"from": "web", "to": "cache", "condition": "ready"},
        {"from": "web", "to": "load", "condition": "ready"},
        {"from": "late", "to": "load", "condition": "completed"},
    ]


def test_a_drawing_for_documents(manifest: Manifest) -> None:
    assert as_mermaid(manifest).split("\n") == [
        "flowchart TD",
        '    router(["router (builtin)"])',
        '    p0["cache"]',
        '    p1[["load (job)"]]',
        '    p2["web x 2"]',
        '    p3["late [dev]"]',
        "    router --> p0",
        "    p0 -->|ready| p1",
        "    p0 -->|ready| p2",
        "    p1 -->|ready| p2",
        "    p1 -->|completed| p3",
    ]
