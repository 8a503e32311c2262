"""``wampy up``."""

from __future__ import annotations

import click

from orchestrator.cli.context import DURATION, Invocation, check_names
from orchestrator.cli.scale import parse_scales


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-d", "--detach", is_flag=True, help="Return when all is ready.")
@click.option("--wait", "is_waiting", is_flag=True, help="The same as -d.")
@click.option("--timeout", type=DURATION, metavar="T", help="Until all must be ready.")
@click.option("--profile", "profiles", metavar="P", multiple=True, help="Not supported yet.")
@click.option("--watch", is_flag=True, help="Reload whenever a file of the code changes.")
@click.option("--scale", "scales", metavar="NAME=N", multiple=True, help="Replicas of a Peer.")
@click.option("--abort-on-exit", is_flag=True, help="Stop everything when one Instance ends.")
@click.pass_obj
def command(
    invocation: Invocation,
    names: tuple[str, ...],
    detach: bool,
    is_waiting: bool,
    timeout: float | None,
    profiles: tuple[str, ...],
    watch: bool,
    scales: tuple[str, ...],
    abort_on_exit: bool,
) -> int:
    """Start the stack, or the NAMEd Peers with what they need, and follow its logs.

    Ctrl-C stops it in reverse order, a second Ctrl-C kills. On a stack that runs already:
    reloads the manifest and the code, starts what is named and follows the logs; Ctrl-C then lets
    it run on.
    """
    from orchestrator.cli.foreground import Foreground, Wishes

    if profiles:
        raise click.UsageError("--profile is not supported yet; leave it out")
    is_detached = detach or is_waiting
    if is_detached and abort_on_exit:
        raise click.UsageError("--abort-on-exit needs the foreground: leave out -d and --wait")
    manifest = invocation.manifest()
    check_names(manifest, names)
    scale = parse_scales(scales)
    check_names(manifest, tuple(scale))
    wishes = Wishes(list(names), scale, timeout, is_detached, abort_on_exit, watch)
    return Foreground(manifest, wishes).run()
