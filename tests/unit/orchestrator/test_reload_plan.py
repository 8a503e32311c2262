"""The difference of two manifests, as what is to be done with each Instance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.core.spec import PeerSpec
from orchestrator.core.states import InstanceId
from orchestrator.manifest import Manifest, load_manifest
from orchestrator.reload_plan import LIVE, Plan, plan_reload

OLD = """
[stack]
name = "demo"
[peers.a]
app = "m:A"
replicas = 2
[peers.b]
app = "m:B"
depends_on = ["a"]
"""
Make = Callable[[str], Manifest]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(text: str, environ: dict[str, str] | None = None) -> Manifest:
        path = tmp_path / "wampy.toml"
        path.write_text(text)
        return load_manifest(path, environ or {})

    return write


def lines(plan: Plan) -> list[str]:
    return [f"{c.action} {c.target} ({c.reason})" for c in plan.changes]


def planned(
    make: Make, new: str, *, old: str = OLD, code: dict[str, list[str]] | None = None
) -> Plan:
    before = make(old)
    running = {
        name: [InstanceId(name, n) for n in range(peer.spec.replicas)]
        for name, peer in before.peers.items()
    }
    return plan_reload(before, make(new), running, code or {})


def test_nothing(make: Make) -> None:
    plan = planned(make, "# moved by a line\n" + OLD)
    assert (lines(plan), plan.imported, plan.faults) == ([], [], [])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('app = "m:A"', 'app = "m:C"', ["restart a:0 (app)", "restart a:1 (app)"]),
        ('app = "m:B"', 'app = "m:B"\nconfig = { x = 1 }', ["restart b:0 (config)"]),
        ('app = "m:B"', 'app = "m:B"\nenv = { X = "1" }\nqueue = 5', ["restart b:0 (env, queue)"]),
        ('app = "m:B"', 'app = "m:B"\nkind = "job"', ["restart b:0 (kind)"]),
        ('depends_on = ["a"]', "", ["update b (depends_on)"]),
        (
            'app = "m:B"',
            'app = "m:B"\nmax_memory = "1GiB"\nstop_grace = 5\nconcurrency = 1',
            ["update b (stop_grace, max_memory)", "restart b:0 (concurrency)"],
        ),
        ("replicas = 2", "replicas = 1", ["stop a:1 (replicas 2 -> 1)"]),
        ("replicas = 2", "replicas = 3", ["start a:2 (replicas 2 -> 3)"]),
        (
            "replicas = 2",
            "replicas = 0",
            ["stop a:0 (replicas 2 -> 0)", "stop a:1 (replicas 2 -> 0)"],
        ),
        (
            "[peers.b]",
            "[peers.c]",
            ["stop b:0 (no longer in the manifest)", "start c:0 (new in the manifest)"],
        ),
        (
            'name = "demo"',
            'name = "demo"\nstrategy = "one_for_all"',
            ["update stack ([stack] strategy)"],
        ),
        (
            'name = "demo"',
            'name = "demo"\ndebug = true',
            [f"restart {i} ([stack] debug)" for i in ("a:0", "a:1", "b:0")],
        ),
    ],
)
def test_each_kind_of_change(make: Make, old: str, new: str, expected: list[str]) -> None:
    plan = planned(make, OLD.replace(old, new))
    assert lines(plan) == expected
    assert plan.faults == []


def test_changed_code(make: Make) -> None:
    plan = planned(make, OLD, code={"b": ["m.py", "x.py"]})
    assert lines(plan) == ["restart b:0 (code: m.py, x.py)"]
    assert plan.imported == ["b"]


def test_code_and_number_together(make: Make) -> None:
    plan = planned(make, OLD.replace("= 2", "= 1"), code={"a": ["m.py"]})
    assert lines(plan) == ["restart a:0 (code: m.py)", "stop a:1 (replicas 2 -> 1)"]
    assert plan.scaled == {"a": (2, 1)}


def test_a_changed_environment_restarts_all_and_tells_no_value(make: Make) -> None:
    old = make(OLD)
    new = make(OLD, {"SECRET": "do not tell"})  # type: ignore[call-arg]
    plan = plan_reload(old, new, {"a": [], "b": [InstanceId("b", 0)]}, {})
    assert "restart b:0 (environment: SECRET)" in lines(plan)
    assert "do not tell" not in str(plan)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "demo"', 'name = "other"', "[stack] name has changed: only wampy down and"),
        ('name = "demo"', 'name = "demo"\nrealm = "x"', "[stack] realm has changed"),
        ('name = "demo"', 'name = "demo"\nrun_dir = "x"', "[stack] run_dir has changed"),
        ("[stack]", "[router]\nport = 1\n[stack]", "[router] port has changed"),
        ("[stack]", "[logs]\nkeep = 1\n[stack]", "[logs] keep has changed"),
    ],
)
def test_what_only_a_new_stack_can_have(make: Make, old: str, new: str, fault: str) -> None:
    plan = planned(make, OLD.replace(old, new).replace("[peers.b]", "[peers.c]"))
    assert len(plan.faults) == 1
    assert plan.faults[0].startswith(fault)
    assert (plan.changes, plan.imported) == ([], [])


def test_every_key_is_either_for_the_orchestrator_or_for_the_process() -> None:
    fields = set(PeerSpec.__dataclass_fields__)
    assert fields - LIVE == {"name", "replicas", "kind", "drains"}
