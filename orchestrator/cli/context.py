"""What every command starts from: the manifest, and the running stack that belongs to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.exits import CommandError, ExitCode

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient
    from orchestrator.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of the command line: the options that stand before the command."""

    file: Path | None
    is_debugging: bool

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            ManifestError: there is none, or it is faulty.
        """
        from orchestrator.manifest import find_manifest, load_manifest
        from orchestrator.manifest.reading import FILE_NAME

        path = self.file if self.file is not None else find_manifest(Path.cwd())
        if path.is_dir():
            path = path / FILE_NAME
        return load_manifest(path, os.environ)

    def client(self) -> ControlClient:
        """Give a client of the stack; whether it runs is seen with the first request."""
        return client_of(self.manifest())


def client_of(manifest: Manifest) -> ControlClient:
    """Give a client of a manifest's stack."""
    from orchestrator.control.client import ControlClient

    return ControlClient(manifest.stack.run_dir / "control.sock")


def check_names(manifest: Manifest, names: tuple[str, ...], *, extra: tuple[str, ...] = ()) -> None:
    """Refuse a name that is no Peer of the manifest, with a suggestion.

    Args:
        manifest: whose Peers are meant.
        names: ``search``, ``search:0`` or ``all``.
        extra: other names that are right here.

    Raises:
        CommandError: one of them is unknown.
    """
    from orchestrator.manifest.faults import suggestion

    known = [*manifest.peers, *extra]
    for given in names:
        name, colon, index = given.partition(":")
        if given != "all" and (name not in known or (colon and not index.isdecimal())):
            near = suggestion(name, known) or f"; there are {', '.join(known)}"
            raise CommandError(f'there is no Peer "{given}"{near}', ExitCode.USAGE)


if TYPE_CHECKING:
    _FloatType = click.ParamType[float]
else:  # not every click that we work with has generic types
    _FloatType = click.ParamType


class Duration(_FloatType):
    """``5``, ``500ms``, ``2s``, ``5m`` on the command line, as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Give the seconds."""
        from orchestrator.manifest.quantities import A_DURATION, parse_duration_s

        try:
            return parse_duration_s(value, bare=True)
        except ValueError:
            self.fail(f"expected {A_DURATION}, got {value!r}", param, ctx)


DURATION = Duration()
