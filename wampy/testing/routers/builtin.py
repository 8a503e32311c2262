"""The built-in Router in a thread of this process: there within milliseconds."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wampy.errors import WampyError

#: Seconds that it gets to end.
_END_S = 15.0


class Router:
    """A Router for tests: everybody may do everything, the meta API included.

    Use it in a ``with`` statement, or give it to ``register_peer``; ``Session`` takes it as it is.

    Args:
        port: of TCP on loopback; 0: a free one.
        realm: its one Realm.
        unix_path: of a unix socket beside it, or None.

    Attributes:
        url: for clients, such as ``ws://127.0.0.1:40123/ws``; None before the start.
    """

    name = "router"
    role = "DEALER"

    def __init__(
        self, port: int = 0, realm: str = "realm1", *, unix_path: str | Path | None = None
    ) -> None:
        self.port = port
        self.realm = realm
        self.url: str | None = None
        self._unix_path = unix_path
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Listen; returns when clients can join. Idempotent.

        Raises:
            ListenError: the port is taken, or the socket cannot be made.
        """
        if self._thread is not None:
            return
        from wampy.router.server import RouterServer
        from wampy.router.settings import open_to_everybody

        config = open_to_everybody(self.realm, "127.0.0.1", self.port, "/ws", self._unix_path)
        self._server = RouterServer(config)
        self.url = self._server.urls[0]
        self._thread = threading.Thread(target=self._run, name="wampy router", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let pending calls end, say GOODBYE to all, and listen no more. Idempotent.

        Raises:
            WampyError: it had died, or does not end.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._server.stop()
        thread.join(_END_S)
        self.url = None
        if thread.is_alive() or self._error is not None:
            raise WampyError(f"the Router has not ended well: {self._error or 'it still runs'}")

    def _run(self) -> None:
        try:
            self._server.run()
        except BaseException as error:  # told by stop(), never lost with the thread
            self._error = error

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def __repr__(self) -> str:
        """Say where it listens."""
        return f"<Router {self.url or 'stopped'}>"
