"""``wampy check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import Invocation
from orchestrator.cli.output import print_json

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest


@click.command()
@click.option("--graph", is_flag=True, help="Print the order of start.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(invocation: Invocation, graph: bool, as_json: bool) -> None:
    """Check the manifest, and the Peers' code by importing it in a process of its own."""
    from orchestrator.checking import check_apps
    from orchestrator.errors import ManifestError

    manifest = invocation.manifest()
    faults = check_apps(manifest)
    if faults:
        raise ManifestError(faults)
    waves = start_waves(manifest)
    if as_json:
        order = [{"name": n, "needs": needs_of(manifest, n)} for n in manifest.start_order()]
        print_json({"ok": True, "stack": manifest.stack.name, "order": order})
    elif graph:
        print(draw(manifest, waves))
    else:
        count = len(manifest.peers)
        print(f"{manifest.path.name} is right: {count} Peer{'s' if count != 1 else ''}")


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


def draw(manifest: Manifest, waves: list[list[str]]) -> str:
    """Draw the order of start, one Peer a line."""
    lines = [f"1. router ({manifest.router.type})"]
    for number, wave in enumerate(waves, start=2):
        for name in wave:
            spec = manifest.peers[name].spec
            profiles = ", ".join(manifest.peers[name].profiles)
            only = f"  [{profiles}]" if profiles else ""
            times = f" x {spec.replicas}" if spec.replicas != 1 else ""
            kind = " (job)" if spec.kind.value == "job" else ""
            needs = ", ".join(f"{n} {how}" for n, how in needs_of(manifest, name).items())
            after = f"  after {needs}" if needs else ""
            lines.append(f"{number}. {name}{times}{kind}{only}{after}")
    return "\n".join(lines)
