"""Sessions: the blocking, thread-safe way to speak to a Router."""

from __future__ import annotations

from wampy.session.futures import CallFuture, CallResult, ProgressiveResults
from wampy.session.handles import Registration, Subscription
from wampy.session.session import Session

__all__ = [
    "CallFuture",
    "CallResult",
    "ProgressiveResults",
    "Registration",
    "Session",
    "Subscription",
]
