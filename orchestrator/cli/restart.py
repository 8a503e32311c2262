"""``wampy restart``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation, check_names, client_of
from orchestrator.cli.outcomes import report
from orchestrator.cli.progress import shown


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--hard", is_flag=True, help="All at once, instead of one replica after the other.")
@click.option("--timeout", type=DURATION, metavar="T", help="How long to wait, such as 30s.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(
    invocation: Invocation,
    names: tuple[str, ...],
    hard: bool,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Restart Peers or Instances with the code that is on the disk now.

    With several replicas a new Instance is ready before an old one is drained: no call is lost.
    """
    manifest = invocation.manifest()
    client = client_of(manifest)
    check_names(manifest, names)
    with shown(client):
        outcomes = client.restart(list(names), hard=hard, timeout_s=timeout)
    return report(outcomes, as_json=as_json)
