"""Every error of the orchestrator, one tree.

::

    OrchestratorError
    ├── ManifestError          all faults of a manifest at once, each with its place
    ├── RouterUnavailable      it cannot be started or reached as things are
    ├── SpawnError             a process could not be started
    ├── RestartLimitReached    an Instance is FATAL
    ├── Refused                it cannot be done as things are
    ├── UnknownTarget          there is no such Peer or Instance
    └── NoSuchStack            nothing answers on the control socket
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class OrchestratorError(Exception):
    """The root of the tree; its text is for people, one or two lines."""


class ManifestError(OrchestratorError):
    """All that is wrong with a manifest.

    Attributes:
        faults: each prints as one line with its place.
    """

    def __init__(self, faults: Sequence[Any]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)


class RouterUnavailable(OrchestratorError):
    """The Router cannot be started or reached; the text has the mend."""


class SpawnError(OrchestratorError):
    """A process could not be started."""


class RestartLimitReached(OrchestratorError):
    """An Instance was given up."""


class Refused(OrchestratorError):
    """What was asked for cannot be done as things are; nothing was done."""

    #: Of the command that ends by it (contract, section 3: usage or manifest).
    exit_code = 2


class UnknownTarget(OrchestratorError):
    """There is no such Peer or Instance.

    Attributes:
        target: what was asked for.
    """

    def __init__(self, target: str, known: Iterable[str] = ()) -> None:
        names = list(known)
        near = difflib.get_close_matches(target.partition(":")[0], names, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if names and not near:
            hint = f"; there are {', '.join(names)}"
        super().__init__(f"there is no {target!r} in this stack{hint}")
        self.target = target


class NoSuchStack(OrchestratorError):
    """Nothing answers on the control socket: no stack is running there."""
