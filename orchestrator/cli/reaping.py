"""The duties of a process that is the first of its container, and so everybody's last parent."""

from __future__ import annotations

import os
import threading
import time

#: Seconds between two looks while there is no child at all.
_IDLE_S = 0.5


def is_first_process() -> bool:
    """Tell whether this is PID 1: orphans fall to it, and its end ends all others."""
    return os.getpid() == 1


def reap_orphans() -> None:
    """Reap whatever falls to this process from now on, in a thread of its own.

    Only for a process that waits for no child itself: no exit is left for anybody else.
    """
    threading.Thread(target=_reap, name="reaper", daemon=True).start()


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            time.sleep(_IDLE_S)
