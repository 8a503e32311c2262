"""``wampy check``."""

from __future__ import annotations

import click

from orchestrator.cli.context import Invocation
from orchestrator.cli.graph import as_json, as_mermaid, draw
from orchestrator.cli.output import print_json


@click.command()
@click.option(
    "--graph",
    type=click.Choice(["text", "mermaid"]),
    is_flag=False,
    flag_value="text",
    metavar="[text|mermaid]",
    help="Print the order of start.",
)
@click.option("--json", "is_json", is_flag=True, help="For programs; with the order of start.")
@click.pass_obj
def command(invocation: Invocation, graph: str | None, is_json: bool) -> None:
    """Check the manifest, and the Peers' code by importing it in a process of its own."""
    from orchestrator.checking import check_apps
    from orchestrator.errors import ManifestError

    if is_json and graph == "mermaid":
        raise click.UsageError("--json or --graph=mermaid, not both")
    manifest = invocation.manifest()
    faults = check_apps(manifest)
    if faults:
        raise ManifestError(faults)
    if is_json:
        print_json({"ok": True, "stack": manifest.stack.name, **as_json(manifest)})
    elif graph is not None:
        print(as_mermaid(manifest) if graph == "mermaid" else draw(manifest))
    else:
        count = len(manifest.peers)
        print(f"{manifest.path.name} is right: {count} Peer{'s' if count != 1 else ''}")
