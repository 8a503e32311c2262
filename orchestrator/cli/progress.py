"""What goes on while a slow request is under way: a line a transition, on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient

#: Seconds until somebody who waits wants to know on what.
PATIENCE_S = 0.5


@contextmanager
def shown(client: ControlClient) -> Iterator[None]:
    """Show each transition of the stack from now on, if this takes longer than a moment.

    Ends with the block; a stack that is not there is the request's to complain about.
    """
    progress = _Progress(client)
    thread = threading.Thread(target=progress.run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        progress.is_over = True


class _Progress:
    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._began_at = time.monotonic()
        self._held: list[str] = []
        self.is_over = False

    def run(self) -> None:
        from orchestrator.errors import OrchestratorError

        timer = threading.Timer(PATIENCE_S, self._show)
        timer.daemon = True
        timer.start()
        try:
            for event in self._client.events():
                text = line_of(event)
                if self.is_over:
                    return
                if text:
                    self._held.append(text)
                    self._show()
        except (OrchestratorError, OSError):
            return  # the request itself says what is wrong

    def _show(self) -> None:
        if self.is_over or time.monotonic() - self._began_at < PATIENCE_S:
            return
        while self._held:
            print(self._held.pop(0), file=sys.stderr, flush=True)


def line_of(event: dict[str, Any]) -> str | None:
    """Give the line of a transition; None for what is none."""
    if "new" not in event:
        return None
    how = "ready" if event.get("ready") else event["new"]
    reason = f" ({event['reason']})" if event.get("reason") else ""
    return f"wampy: {event['instance']} {how}{reason}"
