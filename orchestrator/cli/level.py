"""``wampy level``."""

from __future__ import annotations

import click

from orchestrator.cli.context import Invocation, check_names, client_of

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("level", type=click.Choice(LEVELS, case_sensitive=False))
@click.pass_obj
def command(invocation: Invocation, name: str, level: str) -> None:
    """Set the level of what a Peer, an Instance or the stack itself logs, as it runs.

    Incarnations that are started later have it too, until the stack ends.
    """
    manifest = invocation.manifest()
    check_names(manifest, (name,), extra=("stack",))
    client_of(manifest).set_level(name, level.upper())
