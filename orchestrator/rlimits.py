"""Resource limits of processes, by the names that the manifest has for them.

A limit is set soft and hard. ``UNLIMITED`` stands for none.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping

UNLIMITED = resource.RLIM_INFINITY
#: ``nofile``, ``core``, ``as`` …: what this system knows.
NAMES: dict[str, int] = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_")
}


def raise_nofile() -> int:
    """Allow this process as many descriptors as it may have; gives the former soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def apply(limits: Mapping[str, int], nofile_soft: int | None) -> None:
    """Set the limits of this process.

    Args:
        limits: by name.
        nofile_soft: the soft limit of descriptors, unless ``limits`` has one.

    Raises:
        OSError, ValueError: the system does not let us.
    """
    if nofile_soft is not None and "nofile" not in limits:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile_soft, hard))
    for name, value in limits.items():
        resource.setrlimit(NAMES[name], (value, value))


def fault_of(name: str, value: int) -> str | None:
    """Say why a limit cannot be set by this user, or None."""
    _, hard = resource.getrlimit(NAMES[name])
    is_above = hard != UNLIMITED and (value == UNLIMITED or value > hard)
    if not is_above or os.geteuid() == 0:
        return None
    return f"expected {hard} at most, which is the hard limit of this user"
