"""What is said to a service manager, over real datagram sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.notify import (
    STATUS_BYTES,
    Notifier,
    status_line,
    take_notifier,
    without_notifier,
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5.0)
        yield listening


def test_lines_go_in_one_datagram(listener: socket.socket, tmp_path: Path) -> None:
    listener.bind(str(tmp_path / "notify"))
    assert Notifier(str(tmp_path / "notify")).send("READY=1", "STATUS=fine")
    assert listener.recv(4096) == b"READY=1\nSTATUS=fine"


def test_an_abstract_socket(listener: socket.socket) -> None:
    listener.bind("")  # the kernel chooses an abstract name
    address = "@" + listener.getsockname()[1:].decode()
    assert Notifier(address).send("WATCHDOG=1")
    assert listener.recv(4096) == b"WATCHDOG=1"


def test_nobody_who_listens_harms_nobody(tmp_path: Path) -> None:
    assert not Notifier(str(tmp_path / "none")).send("READY=1")


def test_a_queue_that_is_full_is_not_waited_for_long(
    listener: socket.socket, tmp_path: Path
) -> None:
    listener.bind(str(tmp_path / "notify"))
    notifier = Notifier(str(tmp_path / "notify"))
    for _ in range(10_000):
        if not notifier.send("STATUS=x"):
            return
    pytest.fail("the queue was never full")


def test_the_variables_are_taken() -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "OTHER": "x",
    }
    assert without_notifier(environ) == {"OTHER": "x"}
    assert take_notifier(environ) == Notifier("/run/notify", 3.0)
    assert environ == {"OTHER": "x"}
    assert take_notifier(environ) is None


@pytest.mark.parametrize(
    "more",
    [
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {},
    ],
)
def test_a_watchdog_that_is_not_ours(more: dict[str, str]) -> None:
    environ = {"NOTIFY_SOCKET": "@x", **more}
    assert take_notifier(environ) == Notifier("@x", None)
    assert environ == {}


@pytest.mark.parametrize("address", ["vsock:2:1234", "relative", "@", "/" + "x" * 107])
def test_an_address_that_is_none(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address}
    with pytest.raises(ValueError, match="NOTIFY_SOCKET: expected /path or @name"):
        take_notifier(environ)
    assert environ == {}


def test_a_status_is_one_line_and_not_long() -> None:
    assert status_line("a\nREADY=1\t b") == "STATUS=a READY=1 b"
    long = status_line("ä" * 500)
    assert len(long.encode()) <= STATUS_BYTES + len("STATUS=") + 2
    assert long.endswith("…")
