"""The Router as a process: ``python -m wampy.router FILE``, or ``wampy router``."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from wampy.errors import WampyError
from wampy.router.config import RouterConfig
from wampy.router.server import RouterServer
from wampy.router.settings import config_of


def serve(config: RouterConfig, ready: Any = None) -> None:
    """Run a Router until SIGTERM or SIGINT, which drain it; a second one ends it at once.

    Args:
        config: what to run.
        ready: called with the server when it listens.

    Raises:
        ListenError: a listener cannot be opened.
    """
    server = RouterServer(config)

    def on_signal(number: int, frame: Any) -> None:
        # A second one does what it does by default.
        signal.signal(number, signal.SIG_DFL)
        server.stop()

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        _tell_ready()
        if ready is not None:
            ready(server)
        server.run()
    finally:
        server.close()


def _tell_ready() -> None:
    """Tell whoever started us, as systemd's services do: READY=1 on NOTIFY_SOCKET."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", address)


def main() -> int:
    """Run what the file says; exit code 1 and one line where that cannot be."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=settings.get("log_level", "INFO"), format="%(levelname)s %(message)s")
    try:
        serve(config_of(settings))
    except WampyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
