"""What the control socket may ask of a running stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: ``{"instance", "ok", "state", "reason"}`` for each Instance that was asked for.
Outcomes = list[dict[str, Any]]
Done = Callable[[Outcomes], None]


class StackControl(Protocol):
    """Implemented by the supervisor's surface; all in the loop's thread, none blocks.

    Targets are ``search``, ``search:0`` or ``all``; each raises UnknownTarget for another.
    """

    def snapshot(self) -> dict[str, Any]:
        """Give the shape of ``wampy ps --json``, and a little more."""
        ...

    def up(
        self, targets: list[str], scale: dict[str, int], profiles: list[str], done: Done
    ) -> None:
        """Start what is named, or all, with what it needs; those of ``profiles`` among all."""
        ...

    def scale(self, scale: dict[str, int], done: Done) -> None:
        """Have so many Instances of each Peer; done when new ones are ready, and old ones gone."""
        ...

    def reload(self, is_dry: bool, done: Callable[[dict[str, Any]], None]) -> None:
        """Take over the manifest and the code as they are now; answers with plan and outcomes."""
        ...

    def watch(self, is_on: bool) -> None:
        """Reload whenever a file changes, from now on; or no more."""
        ...

    def set_level(self, target: str, level: str) -> None:
        """Have Instances, or ``stack``, log from this level on."""
        ...

    def start(self, targets: list[str], done: Done) -> None:
        """Start; done when ready, or when that cannot be any more."""
        ...

    def stop(self, targets: list[str], done: Done) -> None:
        """Stop, drained; done when nothing is left of them."""
        ...

    def restart(self, targets: list[str], hard: bool, done: Done) -> None:
        """Restart; done when ready again."""
        ...

    def wait_ready(self, targets: list[str], done: Done) -> None:
        """Wait until all is ready."""
        ...

    def shutdown(self, done: Done) -> None:
        """Stop everything, the Router last."""
        ...

    def kill(self, done: Done) -> None:
        """End everything at once."""
        ...

    def signal(self, target: str, signum: int) -> None:
        """Send a signal."""
        ...

    def why(self, target: str) -> list[dict[str, Any]]:
        """Give the last failures, see ``failures``."""
        ...

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Hear every transition; the result ends that."""
        ...
