"""The listening end of the control socket."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from orchestrator.control.http import Connection, Exchange
from orchestrator.control.interface import StackControl
from orchestrator.control.v1 import JsonFace
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from orchestrator.paths import bindable

_BACKLOG = 128


class ControlServer:
    """Serves the control socket on the supervisor's loop; mode 0600, nothing blocks.

    Raises:
        OSError: the socket cannot be bound.
    """

    def __init__(self, loop: Loop, path: Path, stack: StackControl, logs: LogReader) -> None:
        self._loop = loop
        self._path = path
        self._stack = stack
        self._logs = logs
        self._json = JsonFace(loop, stack)
        self._connections: set[Connection] = set()
        address = bindable(path)
        address.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._listener.bind(str(address))
        finally:
            os.umask(mask)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Take no more clients; what was answered is sent as far as they take it."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.flush_and_close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            self._connections.add(
                Connection(self._loop, client, self._handle, self._connections.discard)
            )

    def _handle(self, exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        if path.startswith("/v1/"):
            self._json.handle(exchange, path.removeprefix("/v1/"))
        elif path == "/RPC2" or path.startswith(("/logtail/", "/mainlogtail")):
            # supervisor's face, imported by its first request: most stacks never get one.
            from orchestrator.control.rpc import handle

            handle(self._loop, self._stack, self._logs, exchange, path)
        else:
            exchange.answer(404, "text/plain", b"there are /v1/... and /RPC2 here\n")
