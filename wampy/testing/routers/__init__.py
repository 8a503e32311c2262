"""Routers for tests and for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wampy.testing.routers.builtin import Router
from wampy.testing.routers.crossbar import Crossbar, RouterFailed

if TYPE_CHECKING:
    from wampy.testing.routers.memory import MemoryRouter

__all__ = ["Crossbar", "MemoryRouter", "Router", "RouterFailed"]


def __getattr__(name: str) -> Any:
    if name != "MemoryRouter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # It imports the Router, which the others need only once they start.
    from wampy.testing.routers.memory import MemoryRouter

    return MemoryRouter
