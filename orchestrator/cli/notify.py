"""Telling the service manager that started ``wampy up`` how far the stack is.

Where ``NOTIFY_SOCKET`` is set (systemd, ``Type=notify``): READY=1 once all is ready, STATUS= with
what goes on, STOPPING=1, and WATCHDOG=1 while the stack answers, where ``WATCHDOG_USEC`` asks for
that. Nothing of it may fail the stack: a manager that is not there is not told.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping

#: Characters of a status.
_LONGEST_STATUS = 200


class ServiceManager:
    """Whoever is to be told; nobody without ``NOTIFY_SOCKET``. Thread-safe, never blocks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            # An abstract address is spelt with "@" there, and with NUL for the kernel.
            self._address = "\0" + self._address[1:]
        self._watchdog_s = _watchdog_s(environ)
        self._is_ready = False

    def ready(self, status: str, main_pid: int | None = None) -> None:
        """All is ready; told once. ``main_pid``: what stays when this process ends."""
        if self._is_ready:
            return
        self._is_ready = True
        main = "" if main_pid is None else f"MAINPID={main_pid}\n"
        self._tell(f"{main}READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Something goes on."""
        self._tell(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        """It has begun to stop."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    def watch(self, is_alive: Callable[[], bool]) -> None:
        """From now on say in time that the stack lives, as long as ``is_alive()``, which may block.

        In a thread of its own, until this process ends; nothing where no watchdog is asked for.
        """
        if self._address and self._watchdog_s is not None:
            threading.Thread(
                target=self._keep_alive, args=(is_alive,), name="watchdog", daemon=True
            ).start()

    def _keep_alive(self, is_alive: Callable[[], bool]) -> None:
        assert self._watchdog_s is not None
        pause = threading.Event()
        while True:
            if is_alive():
                self._tell("WATCHDOG=1")
            # Half of it, as the manual recommends.
            pause.wait(self._watchdog_s / 2)

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
        ):
            sock.setblocking(False)
            sock.sendto(text.encode(errors="replace"), self._address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Give the interval in which this process must say that it lives, or None."""
    wanted, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    is_for_us = not whose or whose == str(os.getpid())
    if not is_for_us or not wanted.isdecimal() or int(wanted) == 0:
        return None
    return int(wanted) / 1_000_000


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]
