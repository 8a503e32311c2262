"""What tests of WAMP programs need: Routers to run against, Peers without one, pytest fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wampy.testing.workers import PeerWorker, Publication, peer_worker

__all__ = ["PeerWorker", "Publication", "peer_worker"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wampy.testing import workers

    return getattr(workers, name)
