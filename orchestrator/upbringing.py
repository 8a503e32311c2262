"""How a Peer's processes come to be: environment, imports, orders, and what clashes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.checking import find_clashes
from orchestrator.core.states import InstanceId
from orchestrator.limits import pairs_of
from orchestrator.manifest import Manifest
from orchestrator.manifest.model import PeerSection
from orchestrator.nurseries import Reports, Upbringing
from orchestrator.rundir import RUN_MARK


def upbringings(manifest: Manifest, names: Iterable[str]) -> dict[str, Upbringing]:
    """Say how each of these Peers is brought up; not a program, whose code is its own affair."""
    found = {}
    for name in names:
        peer = manifest.peers[name]
        if not peer.is_program:
            found[name] = Upbringing(
                peer.app,
                dict(peer.config),
                environment_of(manifest, peer),
                peer.cwd,
                peer.spec.kind.value,
                is_exec=peer.start_method == "exec",
            )
    return found


def environment_of(manifest: Manifest, peer: PeerSection) -> dict[str, str]:
    """Give the environment of a Peer's processes."""
    environment = {
        **manifest.environ,
        **peer.env,
        RUN_MARK: os.environ.get(RUN_MARK, ""),
        "WAMPY_STACK": manifest.stack.name,
    }
    # What tells the system that the stack is up, and lives, is not a Peer's to use.
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        environment.pop(name, None)
    return environment


def order_of(manifest: Manifest, instance: InstanceId, incarnation: int) -> dict[str, Any]:
    """Give what a new incarnation is told of itself; how it joins is added by the supervisor."""
    peer = manifest.peers[instance.name]
    return {
        "instance": str(instance),
        "name": instance.name,
        "index": instance.index,
        "incarnation": incarnation,
        "app": peer.app,
        "config": peer.config,
        "kind": peer.spec.kind.value,
        "concurrency": peer.concurrency,
        "queue": peer.queue,
        "umask": peer.umask,
        "limits": pairs_of(peer.limits),
        "start_timeout_s": peer.spec.start_timeout_s,
        "stop_grace_s": peer.spec.stop_grace_s,
        "pss_interval_s": peer.pss_interval_s,
        "debug": manifest.stack.debug,
        "stack": manifest.stack.name,
    }


def clashes(manifest: Manifest, reports: Reports) -> dict[str, str]:
    """Find what is wrong between Peers that are each right; a text a Peer."""
    peers = manifest.peers
    known = {name: reports[name] for name in peers if name in reports}
    provided = {name: peer.provided() for name, peer in peers.items() if peer.is_program}
    faults = find_clashes(
        {**{name: report["procedures"] for name, report in known.items()}, **provided},
        {name: report["single"] for name, report in known.items()},
        {name: peer.spec.replicas for name, peer in peers.items()},
    )
    return {name: f"{'provides' if name in provided else 'app'}: {x}" for name, x in faults.items()}


def describe_faults(manifest: Manifest, faults: Mapping[str, str]) -> str:
    """Give one line for each Peer whose import failed, with its place in the manifest."""
    path = manifest.path.name
    lines = []
    for name, fault in faults.items():
        peer = manifest.peers.get(name)
        where = f"{path}: {name}:" if peer is None else f"{path}:{peer.line}: [peers.{name}]"
        lines.append(f"{where} {fault}")
    return "\n".join(lines)
