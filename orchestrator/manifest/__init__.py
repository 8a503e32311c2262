"""The manifest: reading ``wampy.toml``, with every fault found at once and placed on its line.

Rules of this package:

- Nothing outside the manifest, its dotenv files and the environment that is given is looked at, but
  for one question to the disk: whether a ``cwd`` or a node ``config`` exists.
- It must be quick (every command reads the manifest): what only a fault needs is imported then.
- Values that are secret never appear in a message or a ``repr``.
"""

from __future__ import annotations

from orchestrator.manifest.faults import Fault
from orchestrator.manifest.model import (
    Join,
    LogsSection,
    Manifest,
    PeerSection,
    Permission,
    RouterSection,
    StackSection,
    TicketUser,
)
from orchestrator.manifest.reading import find_manifest, load_manifest

__all__ = [
    "Fault",
    "Join",
    "LogsSection",
    "Manifest",
    "PeerSection",
    "Permission",
    "RouterSection",
    "StackSection",
    "TicketUser",
    "find_manifest",
    "load_manifest",
]
