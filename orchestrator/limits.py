"""Resource limits of processes: the manifest's names for them, and how they are set.

Each limit is one number, soft and hard; ``None`` stands for no limit. A process that is given none
for its descriptors has those that the stack was started with: the supervisor needs more of them
itself, and its children are not to differ for that.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Mapping

#: The resource by its name in the manifest: ``nofile`` for ``RLIMIT_NOFILE``.
RESOURCES: dict[str, int] = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in sorted(dir(resource))
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}
#: Those that count bytes.
SIZES = frozenset({"as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack"})

#: Soft and hard limit by name, as ``setrlimit`` takes them.
Pairs = dict[str, tuple[int, int]]

_former: Pairs = {}


def raise_descriptors() -> None:
    """Let this process have as many descriptors as it may, and remember how many it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _former["nofile"] = (soft, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pairs_of(limits: Mapping[str, int | None]) -> Pairs:
    """Give all that is to be set in a process that gets these limits."""
    given = {
        name: (resource.RLIM_INFINITY, resource.RLIM_INFINITY) if value is None else (value, value)
        for name, value in limits.items()
    }
    return {**_former, **given}


def set_limits(pairs: Mapping[str, tuple[int, int]]) -> None:
    """Set them in this process.

    Raises:
        OSError, ValueError: one is above the hard limit.
    """
    for name, (soft, hard) in pairs.items():
        resource.setrlimit(RESOURCES[name], (soft, hard))


def hard_limit(name: str) -> int | None:
    """Give the hard limit of this process, which nobody below it may have raised; None: none."""
    hard = resource.getrlimit(RESOURCES[name])[1]
    return None if hard == resource.RLIM_INFINITY else hard
