"""The classes that programs derive from."""

from __future__ import annotations

from wampy.peer import Peer

__all__ = ["Peer"]
