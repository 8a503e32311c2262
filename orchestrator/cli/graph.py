"""The order of start: in waves for people, as edges for programs, as mermaid for documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest


def needs_of(manifest: Manifest, name: str) -> dict[str, str]:
    """Give what a Peer depends on, and what each must have reached."""
    return {n: how.value for n, how in manifest.peers[name].spec.depends_on.items()}


def start_waves(manifest: Manifest) -> list[list[str]]:
    """Give the Peers that start together: each wave needs only Peers of the waves before it."""
    wave_of: dict[str, int] = {}
    for name in manifest.start_order():
        needs = manifest.peers[name].spec.depends_on
        wave_of[name] = max((wave_of[n] + 1 for n in needs), default=0)
    waves: list[list[str]] = [[] for _ in range(max(wave_of.values(), default=-1) + 1)]
    for name in manifest.start_order():
        waves[wave_of[name]].append(name)
    return waves


def draw(manifest: Manifest) -> str:
    """Draw the order of start, one Peer a line; those of one number start together."""
    lines = [f"1. router ({manifest.router.type})"]
    for number, wave in enumerate(start_waves(manifest), start=2):
        for name in wave:
            profiles = ", ".join(manifest.peers[name].profiles)
            only = f"  [{profiles}]" if profiles else ""
            needs = ", ".join(f"{n} {how}" for n, how in needs_of(manifest, name).items())
            after = f"  after {needs}" if needs else ""
            lines.append(f"{number}. {_title(manifest, name)}{only}{after}")
    return "\n".join(lines)


def as_json(manifest: Manifest) -> dict[str, Any]:
    """Give the order of start, and an edge from each Peer to what it needs, for programs."""
    order: list[dict[str, Any]] = []
    for number, wave in enumerate(start_waves(manifest), start=1):
        for name in wave:
            peer = manifest.peers[name]
            order.append(
                {
                    "name": name,
                    "wave": number,
                    "kind": peer.spec.kind.value,
                    "replicas": peer.spec.replicas,
                    "profiles": list(peer.profiles),
                    "needs": needs_of(manifest, name),
                }
            )
    edges = [
        {"from": row["name"], "to": needed, "condition": how}
        for row in order
        for needed, how in row["needs"].items()
    ]
    return {"order": order, "edges": edges}


def as_mermaid(manifest: Manifest) -> str:
    """Give a mermaid flowchart: an arrow leads to who starts once its beginning is reached."""
    # Identifiers of our own: a Peer may be called as a word of mermaid is, such as "end".
    ids = {name: f"p{number}" for number, name in enumerate(manifest.start_order())}
    lines = ["flowchart TD", f'    router(["router ({manifest.router.type})"])']
    for name, node in ids.items():
        profiles = ", ".join(manifest.peers[name].profiles)
        only = f" [{profiles}]" if profiles else ""
        left, right = ("[[", "]]") if _is_job(manifest, name) else ("[", "]")
        lines.append(f'    {node}{left}"{_title(manifest, name)}{only}"{right}')
    for name, node in ids.items():
        needs = needs_of(manifest, name)
        lines += [f"    {ids[needed]} -->|{how}| {node}" for needed, how in needs.items()]
        if not needs:
            lines.append(f"    router --> {node}")
    return "\n".join(lines)


def _is_job(manifest: Manifest, name: str) -> bool:
    return manifest.peers[name].spec.kind.value == "job"


def _title(manifest: Manifest, name: str) -> str:
    replicas = manifest.peers[name].spec.replicas
    times = f" x {replicas}" if replicas != 1 else ""
    return f"{name}{times}{' (job)' if _is_job(manifest, name) else ''}"
