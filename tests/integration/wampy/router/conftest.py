"""Fixtures: Routers that run in a thread of this process, and who joins them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import short_folder
from tests.integration.wampy.router.clients import Client
from tests.support import TIME_SCALE
from wampy import Session
from wampy.router.authentication import Authenticator, TicketPrincipal
from wampy.router.authorization import ACTIONS, Permission, Role
from wampy.router.config import Limits, Listener, RouterConfig, Tls
from wampy.router.realm import RealmLimits
from wampy.router.server import RouterServer

EVERYTHING = (
    Permission("", "prefix", frozenset(ACTIONS)),
    Permission("wamp", "prefix", frozenset(("call", "subscribe"))),
)
TICKETS = {"joe": TicketPrincipal(role="frontend", secret="joe's ticket")}


class RunningRouter:
    """A Router on a unix socket and on a free TCP port, in a thread.

    Args:
        folder: for the socket.
        tls: of the TCP listener.
        authenticator: default: whoever wants may join, and joe with his ticket.
        path: of the WebSocket.
        roles: by name; default: everybody may do everything.
        limits: of ``Limits``, by name.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: Tls | None = None,
        authenticator: Authenticator | None = None,
        path: str = "/ws",
        roles: dict[str, Role] | None = None,
        realm_limits: RealmLimits | None = None,
        **limits: Any,
    ) -> None:
        self.path = folder / "router.sock"
        names = ("anonymous", "frontend")
        if authenticator is None:
            authenticator = Authenticator(anonymous="anonymous", ticket=TICKETS)
        self.server = RouterServer(
            RouterConfig(
                realm="realm1",
                listeners=(
                    Listener("unix", authenticator, unix_path=self.path, path=path),
                    Listener("tcp", authenticator, port=0, tls=tls, path=path),
                ),
                roles=roles or {name: Role(name, EVERYTHING) for name in names},
                limits=Limits(**limits),
                realm_limits=realm_limits or RealmLimits(),
            )
        )
        self.unix_url, self.ws_url = self.server.urls
        self.port = int(self.ws_url.rsplit(":", 1)[1].partition("/")[0])
        self.tcp_url = f"tcp{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="router", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self._error = error

    def connection(self, session_id: int) -> Any:
        """Give the Router's end of a Session's connection."""
        return self.server._sessions[session_id]

    def end(self) -> None:
        """Stop it; fail when its thread died, or hangs. Idempotent."""
        assert self._error is None, repr(self._error)
        self.server.stop()
        self.thread.join(15 * TIME_SCALE)
        assert not self.thread.is_alive(), "the Router does not stop"
        assert self._error is None, repr(self._error)


@pytest.fixture
def make_router() -> Iterator[Callable[..., RunningRouter]]:
    """Start Routers: ``make_router(**limits)``; stopped after the test, which fails if one died."""
    with short_folder() as parent:
        made: list[RunningRouter] = []

        def make(**options: Any) -> RunningRouter:
            folder = parent / str(len(made))
            folder.mkdir()
            made.append(RunningRouter(folder, **options))
            return made[-1]

        yield make
        for one in made:
            one.end()


@pytest.fixture
def router(make_router: Callable[..., RunningRouter]) -> RunningRouter:
    """Give a Router with limits as they come."""
    return make_router()


@pytest.fixture
def session() -> Iterator[Callable[..., Session]]:
    """Join with a Session: ``session(url, **options)``; ended after the test."""
    made: list[Session] = []

    def join(url: str, **options: Any) -> Session:
        options.setdefault("timeout", 10.0 * TIME_SCALE)
        options.setdefault("reconnect", False)
        made.append(Session(url, **options))
        made[-1].begin()
        return made[-1]

    yield join
    for one in made:
        one.end()


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Connect with a client that does what it is told; closed after the test."""
    made: list[Client] = []

    def make(address: Path | int, **options: Any) -> Client:
        made.append(Client(address, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
