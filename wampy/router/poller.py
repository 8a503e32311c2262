"""The Router's loop: descriptors by epoll, and one timer; everything runs in one thread.

Not asyncio: a relayed message costs some 20 us, and asyncio's
machinery for each event as much again.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

READ = select.EPOLLIN | select.EPOLLRDHUP
WRITE = select.EPOLLOUT

Ready = Callable[[int], None]


class Poller:
    """Calls back with the ready events of a descriptor; only ``wake`` is thread-safe."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake_fd, READ, self._woken)

    @staticmethod
    def now() -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def watch(self, fd: int, events: int, ready: Ready) -> None:
        """Call ``ready(events)`` whenever ``fd`` is ready for one of them."""
        if fd in self._ready:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._ready[fd] = ready

    def forget(self, fd: int) -> None:
        """Watch it no more, before it is closed; harmless when it is not watched."""
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def run_once(self, timeout_s: float | None) -> None:
        """Wait, at most ``timeout_s``, and serve what is ready."""
        for fd, events in self._epoll.poll(-1 if timeout_s is None else max(0.0, timeout_s)):
            # One before it may have closed the descriptor.
            ready = self._ready.get(fd)
            if ready is not None:
                ready(events)

    def wake(self) -> None:
        """End the wait, from any thread or a signal handler."""
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Free the descriptors of its own."""
        self._epoll.close()
        os.close(self._wake_fd)

    def _woken(self, events: int) -> None:
        os.eventfd_read(self._wake_fd)
