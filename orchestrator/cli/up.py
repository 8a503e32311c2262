"""``wampy up``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.context import DURATION, Invocation, check_names
from orchestrator.cli.exits import CommandError, ExitCode
from orchestrator.cli.scale import parse_scales

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest
    from orchestrator.notify import Notifier


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-d", "--detach", is_flag=True, help="Return when all is ready.")
@click.option("--wait", "is_waiting", is_flag=True, help="The same as -d.")
@click.option("--timeout", type=DURATION, metavar="T", help="Until all must be ready.")
@click.option(
    "--profile",
    "profiles",
    metavar="P",
    multiple=True,
    help="Also the Peers of this profile; also from WAMPY_PROFILES, separated by commas.",
)
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

    is_detached = detach or is_waiting
    if is_detached and abort_on_exit:
        raise click.UsageError("--abort-on-exit needs the foreground: leave out -d and --wait")
    notifier = _notifier(is_detached)
    manifest = invocation.manifest()
    check_names(manifest, names)
    profiles = (*profiles, *_profiles_of_environment())
    check_profiles(manifest, profiles)
    scale = parse_scales(scales)
    check_names(manifest, tuple(scale))
    wishes = Wishes(
        list(names), scale, timeout, is_detached, abort_on_exit, watch, profiles, notifier
    )
    return Foreground(manifest, wishes).run()


def _notifier(is_detached: bool) -> Notifier | None:
    """Give the service manager that started this command, if one did.

    Raises:
        UsageError: ``-d`` would be the end of the stack, by whoever started this command.
    """
    from orchestrator.cli.reaping import is_first_process
    from orchestrator.notify import take_notifier

    try:
        notifier = take_notifier(os.environ)
    except ValueError as error:
        click.echo(f"wampy: {error}: nobody is notified", err=True)
        notifier = None
    if is_detached and is_first_process():
        raise click.UsageError("-d would end the container, whose first process this is")
    if is_detached and notifier is not None and notifier.watchdog_s is not None:
        raise click.UsageError("with -d nobody answers the watchdog of the service")
    return notifier


def _profiles_of_environment() -> list[str]:
    listed = os.environ.get("WAMPY_PROFILES", "").split(",")
    return [name.strip() for name in listed if name.strip()]


def check_profiles(manifest: Manifest, profiles: Sequence[str]) -> None:
    """Refuse a profile that no Peer has.

    Raises:
        CommandError: with the ones that there are.
    """
    known = manifest.profiles()
    for name in profiles:
        if name not in known:
            from orchestrator.manifest.faults import suggestion

            there = f"; there are {', '.join(known)}" if known else "; no Peer has profiles"
            text = f'there is no profile "{name}"{suggestion(name, known) or there}'
            raise CommandError(text, ExitCode.USAGE)
