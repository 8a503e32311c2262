from __future__ import annotations

import logging
import os
import threading

import pytest

from wampy.host.warming import warm_up


def test_a_rehearsal_leaves_nothing_behind() -> None:
    """It runs in a process that forks: no thread, no descriptor may be left."""
    warm_up()
    threads, descriptors = threading.enumerate(), os.listdir("/proc/self/fd")
    warm_up()
    assert threading.enumerate() == threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_it_logs_nothing_and_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        warm_up()
        assert caplog.records == []
        logging.getLogger("wampy").info("as before")
    assert [record.message for record in caplog.records] == ["as before"]
