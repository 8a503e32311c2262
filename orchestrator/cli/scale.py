"""``wampy scale``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation, check_names, client_of
from orchestrator.cli.outcomes import report
from orchestrator.cli.progress import shown

#: As in the manifest.
MOST_REPLICAS = 10_000


@click.command()
@click.argument("scales", metavar="NAME=N...", nargs=-1, required=True)
@click.option("--timeout", type=DURATION, metavar="T", help="How long to wait, such as 30s.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def command(
    invocation: Invocation, scales: tuple[str, ...], timeout: float | None, as_json: bool
) -> int:
    """Have N Instances of a Peer, from 0, until the next reload or up.

    New ones are ready when this returns; those with the highest numbers are drained and gone.
    """
    manifest = invocation.manifest()
    client = client_of(manifest)
    wanted = parse_scales(scales)
    check_names(manifest, tuple(wanted))
    with shown(client):
        outcomes = client.scale(wanted, timeout_s=timeout)
    return report(outcomes, as_json=as_json)


def parse_scales(pairs: tuple[str, ...]) -> dict[str, int]:
    """Give ``{"search": 4}`` for ``("search=4",)``.

    Raises:
        UsageError: one of them is not NAME=N.
    """
    scale = {}
    for pair in pairs:
        name, _, count = pair.partition("=")
        if not name or ":" in name or not count.isdecimal() or int(count) > MOST_REPLICAS:
            text = f'expected NAME=N, N from 0 to {MOST_REPLICAS}, got "{pair}"'
            raise click.UsageError(text)
        scale[name] = int(count)
    return scale
