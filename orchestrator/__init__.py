"""The orchestrator: runs a stack of Peers and their Router, one process each, and keeps it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.stack import Stack

__all__ = ["Stack"]


def __getattr__(name: str) -> Any:
    """Import ``Stack`` when it is used: guard and nursery are below this package, and small."""
    if name == "Stack":
        from orchestrator.stack import Stack

        return Stack
    raise AttributeError(name)
