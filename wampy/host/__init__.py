"""What runs a Peer over a Session."""

from __future__ import annotations

from wampy.host.host import PeerHost

__all__ = ["PeerHost"]
