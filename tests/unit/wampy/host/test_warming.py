from __future__ import annotations

import os
import threading

from wampy.host.warming import warm_up


def test_a_rehearsal_leaves_nothing_behind() -> None:
    """It runs in a process that forks: no thread, no descriptor may be left."""
    warm_up()
    threads, descriptors = threading.enumerate(), os.listdir("/proc/self/fd")
    warm_up()
    assert threading.enumerate() == threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)
