"""``wampy start``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation, check_names, client_of
from orchestrator.cli.outcomes import report
from orchestrator.cli.progress import shown


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--timeout", type=DURATION, metavar="T", help="How long to wait, such as 30s.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(
    invocation: Invocation, names: tuple[str, ...], timeout: float | None, as_json: bool
) -> int:
    """Start Peers or Instances (NAME, NAME:INDEX or all) and wait until they are ready."""
    manifest = invocation.manifest()
    client = client_of(manifest)
    check_names(manifest, names)
    with shown(client):
        outcomes = client.start(list(names), timeout_s=timeout)
    return report(outcomes, as_json=as_json)
