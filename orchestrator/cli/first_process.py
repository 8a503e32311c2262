"""What the first process of a container owes the others: those without parents end with it.

The kernel hands every orphan to process 1, and who is not waited for stays in the table for ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

#: Seconds until the next look while there are no children.
_IDLE_S = 0.2


def reap_orphans() -> None:
    """Wait for whatever child ends, in a thread, if this is process 1; nothing otherwise.

    Only for a process that waits for no child of its own.
    """
    if os.getpid() == 1:
        threading.Thread(target=_reap, name="reaper", daemon=True).start()


def _reap() -> None:
    while True:
        with contextlib.suppress(InterruptedError):
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                time.sleep(_IDLE_S)
