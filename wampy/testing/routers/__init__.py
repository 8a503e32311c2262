"""Routers for tests and for trying things out."""

from __future__ import annotations

from wampy.testing.routers.builtin import Router
from wampy.testing.routers.crossbar import Crossbar, RouterFailed

__all__ = ["Crossbar", "Router", "RouterFailed"]
