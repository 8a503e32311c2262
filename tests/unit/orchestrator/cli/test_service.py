from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.service import Service
from orchestrator.notify import Notifier
from tests.support import TIME_SCALE, wait_until


class Manager:
    """Who listens: every line that was sent, in order."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while text := self._socket.recv(4096):
            self.lines += text.decode().split("\n")

    def close(self) -> None:
        self._socket.sendto(b"", self.address)
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def test_ready_and_stopping_are_said_once(manager: Manager) -> None:
    service = Service(Notifier(manager.address), lambda timeout_s: True)
    service.start()
    service.ready()
    service.ready()
    wait_until(lambda: manager.lines == ["READY=1"])
    service.stopping()
    service.stopping()
    service.finish(5.0)
    wait_until(lambda: manager.lines == ["READY=1", "STOPPING=1"])


def test_many_statuses_are_told_as_one_and_the_last_is(manager: Manager) -> None:
    service = Service(Notifier(manager.address), lambda timeout_s: True)
    service.start()
    for number in range(1000):
        service.status(f"{number} of 1000 up")
    wait_until(lambda: manager.lines[-1:] == ["STATUS=999 of 1000 up"], 5.0)
    assert len(manager.lines) <= 2
    service.status("stopped")
    service.finish(5.0)
    wait_until(lambda: manager.lines[-1] == "STATUS=stopped")


def test_the_watchdog_hears_only_of_a_supervisor_that_answers(manager: Manager) -> None:
    answers = threading.Event()
    answers.set()
    asked: list[float] = []

    def is_answering(timeout_s: float) -> bool:
        asked.append(timeout_s)
        return answers.is_set()

    watchdog_s = 0.2 * TIME_SCALE
    service = Service(Notifier(manager.address, watchdog_s), is_answering)
    service.start()
    wait_until(lambda: manager.lines.count("WATCHDOG=1") >= 3)
    answers.clear()
    seen = len(asked)
    wait_until(lambda: len(asked) >= seen + 2)
    count = manager.lines.count("WATCHDOG=1")
    seen = len(asked)
    wait_until(lambda: len(asked) >= seen + 3)
    assert manager.lines.count("WATCHDOG=1") == count
    assert max(asked) < watchdog_s / 2
    service.finish(5.0)
