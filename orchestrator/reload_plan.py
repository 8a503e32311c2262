"""What a reload would do: the manifest as it is now against the one that runs, and the code.

Pure: two manifests, what runs, and which files have changed, in; a plan out. Rules:

- only what changed is touched: a Peer whose code, configuration, environment or process settings
  changed is restarted, rolling where it can be; what the orchestrator alone uses (backoff, limits,
  heartbeats, dependencies, strategy) is taken over as it is;
- what only a new stack can have, such as another Router, is a fault, and nothing is done then;
- a job that is done is not run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from orchestrator.core.spec import PeerSpec
from orchestrator.core.states import InstanceId
from orchestrator.manifest.model import Manifest, PeerSection

#: Keys of a Peer that concern the orchestrator alone, by field of its spec: no process is touched.
LIVE = frozenset(
    {
        "depends_on", "restart", "success_exit_codes", "backoff", "restart_limit", "heartbeat",
        "start_timeout_s", "stop_grace_s", "max_call_age_s", "max_memory_bytes", "max_calls",
        "max_age_s",
    }
)  # fmt: skip
#: Why an Instance is started or stopped with its Peer.
NEW, GONE = "new in the manifest", "no longer in the manifest"
#: Fields that say nothing about what runs.
_IGNORED = frozenset({"name", "replicas", "line", "spec", "profiles", "drains"})
#: Fields of ``[stack]`` by what a change of them asks for.
_STACK_LIVE = ("strategy", "on_fatal")
_STACK_FIXED = ("name", "realm", "run_dir")
#: Endings of field names that stand for units; the manifest's keys have none.
_UNITS = ("_s", "_bytes")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan.

    Attributes:
        action: ``start``, ``stop``, ``restart``, ``update`` (nothing is restarted).
        target: an Instance such as ``search:0``, a Peer, or ``stack``.
        reason: for people.
    """

    action: str
    target: str
    reason: str


@dataclass(slots=True)
class Plan:
    """What is to be done.

    Attributes:
        faults: what only ``wampy down`` and ``wampy up`` can bring about; then nothing else counts.
        added, removed: names of Peers.
        restarted: names of Peers, each with why.
        updated: names of Peers whose spec changed, each with the keys.
        scaled: names of Peers, each with how many it has and is to have.
        changes: all of it, line by line.
    """

    faults: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    restarted: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    scaled: dict[str, tuple[int, int]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    @property
    def imported(self) -> list[str]:
        """The Peers whose code is needed anew."""
        return [*self.added, *self.restarted]


def plan_reload(
    old: Manifest,
    new: Manifest,
    running: Mapping[str, Sequence[InstanceId]],
    changed_code: Mapping[str, Sequence[str]],
) -> Plan:
    """Compare.

    Args:
        old: the manifest that runs.
        new: the manifest as it is on the disk now.
        running: the Instances of each Peer, whatever their state.
        changed_code: the changed files of each Peer of ``old`` that has some.
    """
    plan = Plan(faults=_fixed_faults(old, new))
    if plan.faults:
        return plan
    for name in _STACK_LIVE:
        if getattr(old.stack, name) != getattr(new.stack, name):
            plan.changes.append(Change("update", "stack", f"[stack] {name}"))
    for_all = _reasons_for_all(old, new)
    plan.removed = [name for name in old.peers if name not in new.peers]
    for name in plan.removed:
        for instance in running.get(name, ()):
            plan.changes.append(Change("stop", str(instance), GONE))
    for name, peer in new.peers.items():
        if name not in old.peers:
            plan.added.append(name)
            for index in range(peer.spec.replicas):
                plan.changes.append(Change("start", f"{name}:{index}", NEW))
        else:
            changed = changed_code.get(name, ())
            _compare_peer(plan, old.peers[name], peer, running.get(name, ()), changed, for_all)
    return plan


def _compare_peer(
    plan: Plan,
    old: PeerSection,
    new: PeerSection,
    running: Sequence[InstanceId],
    changed_code: Sequence[str],
    for_all: Sequence[str],
) -> None:
    name = new.spec.name
    reasons = [*for_all, *_changed_keys(old, new, _IGNORED)]
    reasons += _changed_keys(old.spec, new.spec, LIVE | _IGNORED)
    if changed_code:
        reasons.append(f"code: {', '.join(changed_code)}")
    if reasons:
        plan.restarted[name] = ", ".join(reasons)
    live = [
        key_of(key.name)
        for key in fields(PeerSpec)
        if key.name in LIVE and getattr(old.spec, key.name) != getattr(new.spec, key.name)
    ]
    if live:
        plan.updated[name] = ", ".join(live)
        plan.changes.append(Change("update", name, plan.updated[name]))
    wanted = new.spec.replicas
    if len(running) != wanted:
        plan.scaled[name] = (len(running), wanted)
    for instance in running:
        if instance.index >= wanted:
            why = f"replicas {len(running)} -> {wanted}"
            plan.changes.append(Change("stop", str(instance), why))
        elif reasons:
            plan.changes.append(Change("restart", str(instance), plan.restarted[name]))
    known = {instance.index for instance in running}
    for index in range(wanted):
        if index not in known:
            why = f"replicas {len(running)} -> {wanted}"
            plan.changes.append(Change("start", f"{name}:{index}", why))


def _changed_keys(old: Any, new: Any, ignored: frozenset[str]) -> list[str]:
    """Name the keys whose values differ; the values themselves may be secrets."""
    return [
        key_of(one.name)
        for one in fields(old)
        if one.name not in ignored and getattr(old, one.name) != getattr(new, one.name)
    ]


def key_of(field_name: str) -> str:
    """Give a field's name as the manifest spells it."""
    for unit in _UNITS:
        field_name = field_name.removesuffix(unit)
    return field_name


def _reasons_for_all(old: Manifest, new: Manifest) -> list[str]:
    reasons = [
        f"[stack] {name}"
        for name in ("preload", "debug")
        if getattr(old.stack, name) != getattr(new.stack, name)
    ]
    names = [
        name
        for name in {*old.environ, *new.environ}
        if old.environ.get(name) != new.environ.get(name)
    ]
    if names:
        reasons.append(f"environment: {', '.join(sorted(names))}")
    return reasons


def _fixed_faults(old: Manifest, new: Manifest) -> list[str]:
    """What a running stack cannot change."""
    keys = [
        f"[stack] {name}"
        for name in _STACK_FIXED
        if getattr(old.stack, name) != getattr(new.stack, name)
    ]
    for section in ("router", "logs"):
        before, now = getattr(old, section), getattr(new, section)
        keys += [f"[{section}] {name}" for name in _changed_keys(before, now, frozenset())]
    return [f"{key} has changed: only wampy down and wampy up can do that" for key in keys]
