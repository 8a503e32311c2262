"""``wampy router``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.exits import CommandError, ExitCode

if TYPE_CHECKING:
    from wampy.router.server import RouterServer


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="0: a free one.")
@click.option("--host", default="127.0.0.1", help="A loopback address.")
@click.option("--path", default="/ws", help="Of the WebSocket.")
@click.option("--realm", default="realm1")
@click.option("--unix", type=click.Path(path_type=Path), help="A unix socket beside it.")
def command(port: int, host: str, path: str, realm: str, unix: Path | None) -> int:
    """Run the built-in Router alone, in the foreground: everybody on this machine may do all.

    RawSocket and WebSocket on one port; JSON, MessagePack and, with cbor2 installed, CBOR. Ctrl-C
    lets pending calls end, a second one does not. Who may do what, tickets and limits: in a
    manifest, with wampy up.
    """
    from orchestrator.manifest.sections import is_loopback
    from wampy.router.__main__ import serve
    from wampy.router.listening import ListenError
    from wampy.router.settings import open_to_everybody

    if not is_loopback(host):
        raise click.UsageError(
            f"--host {host}: everybody there could do everything; "
            "a Router for others has roles, in a manifest with wampy up"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def ready(server: RouterServer) -> None:
        click.echo(f"wampy: Router of {realm} at {', '.join(server.urls)}")

    try:
        serve(open_to_everybody(realm, host, port, "/" + path.strip("/"), unix), ready)
    except ListenError as error:
        raise CommandError(f"{error}; stop what listens there, or choose another --port") from error
    return ExitCode.DONE
