"""``register_peer``: a Router or a Peer at work in this process, with one call."""

from __future__ import annotations

import atexit
import logging
import threading
from typing import Any

from wampy.errors import WampyError
from wampy.host import PeerHost
from wampy.logging import show_in_shell
from wampy.peer import Peer
from wampy.session import Session

logger = logging.getLogger(__name__)

#: Seconds that the Peers of a program get to finish when it ends.
_DRAIN_S = 5.0


class NoRouter(WampyError):
    """A Peer was registered before any Router was."""


class Registry:
    """The Router and the Peers of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the fields; a leaf
        self._router: Any = None
        self._hosts: list[PeerHost] = []
        self._has_exit_hook = False

    def add(self, peer: Any) -> None:
        """See ``register_peer``."""
        show_in_shell()
        if isinstance(peer, Peer):
            self._add_peer(peer)
        elif isinstance(peer, type):
            raise TypeError(f"register_peer takes an object: register_peer({peer.__name__}())")
        elif callable(getattr(peer, "start", None)) and hasattr(peer, "url"):
            self._add_router(peer)
        else:
            raise TypeError(f"register_peer takes a Router or a wampy.Peer, got {peer!r}")

    def _add_router(self, router: Any) -> None:
        with self._lock:
            if router is self._router:
                logger.warning("%r is already registered", router)
                return
        router.start()
        with self._lock:
            self._router = router
            self._hook_exit_locked()

    def _add_peer(self, peer: Peer) -> None:
        with self._lock:
            if any(host.peer is peer for host in self._hosts):
                logger.warning("%r is already registered", peer)
                return
            router = self._router
        if router is None:
            raise NoRouter(
                "no Router is registered yet: first register_peer(router), for example "
                "register_peer(wampy.testing.routers.Crossbar())"
            )
        session = Session(router)
        host = PeerHost(peer, session)
        try:
            host.start()
        except BaseException:
            session.end()
            raise
        with self._lock:
            self._hosts.append(host)
            self._hook_exit_locked()

    def _hook_exit_locked(self) -> None:
        if not self._has_exit_hook:
            self._has_exit_hook = True
            atexit.register(self.clear)

    def clear(self) -> None:
        """Stop the Peers, then the Router. Idempotent; blocks for as long as they need."""
        with self._lock:
            hosts, self._hosts = self._hosts, []
            router, self._router = self._router, None
        for host in reversed(hosts):
            host.drain(_DRAIN_S)
        if router is not None:
            router.stop()


registry = Registry()


def register_peer(peer: Any) -> None:
    """Start a Router, or put a Peer to work on the one that was registered before.

    Returns when it can be used; it is stopped when the program ends. Once more for the same object
    is a warning.

    Args:
        peer: a Router (``wampy.testing.routers.Crossbar``), or a ``wampy.Peer``.

    Raises:
        NoRouter: a Peer, and no Router yet.
        RouterFailed: the Router does not start; says why.
        WampyError: the Peer cannot join or register; or whatever its ``on_start`` raises.
    """
    registry.add(peer)
