"""The listening end of the control socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.control.http import Connection, Exchange
from orchestrator.control.interface import StackControl
from orchestrator.control.v1 import JsonFace
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from orchestrator.paths import bindable

if TYPE_CHECKING:
    from orchestrator.control.supervisord import SupervisordFace

_BACKLOG = 128
#: Clients at a time. For one more, the oldest idle one is let go.
MAX_CONNECTIONS = 256
#: Seconds until the next try when there are no descriptors left.
_RETRY_S = 1.0


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
        self._json = JsonFace(loop, stack, logs)
        self._supervisord: SupervisordFace | None = None
        # In the order of their coming.
        self._connections: dict[Connection, None] = {}
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
        self._listen()

    def close(self) -> None:
        """Take no more clients; what was answered is sent as far as they take it. Idempotent."""
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.flush_and_close()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # No descriptors left: without a pause this would be called again and again.
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(_RETRY_S, self._listen)
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            idle = next((c for c in self._connections if c.is_idle), None)
            if idle is None:
                client.close()
                return
            idle.close()
        connection = Connection(self._loop, client, self._handle, self._forget)
        self._connections[connection] = None

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _handle(self, exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        if path.startswith("/v1/"):
            self._json.handle(exchange, path.removeprefix("/v1/"))
        elif path == "/RPC2" or path.startswith(("/logtail/", "/mainlogtail")):
            # Imported by its first request, since most stacks never get one: it costs 40 ms, 7 MiB.
            if self._supervisord is None:
                from orchestrator.control.supervisord import SupervisordFace

                self._supervisord = SupervisordFace(self._loop, self._stack, self._logs)
            self._supervisord.handle(exchange, path)
        else:
            exchange.answer(404, "text/plain", b"there are /v1/... and /RPC2 here\n")
