"""The Router's loop: descriptors by epoll, and one timer; everything runs in one thread.

Not asyncio: relaying a message is so little work that asyncio's machinery for each event would be a
good part of the whole.
"""

from __future__ import annotations

import contextlib
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

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """Wait, at most ``timeout_s``; give the descriptors that are ready, with their events."""
        return self._epoll.poll(timeout_s)

    def serve(self, ready: list[tuple[int, int]]) -> None:
        """Call back for what ``wait`` gave."""
        for fd, events in ready:
            # One before it may have closed the descriptor.
            callback = self._ready.get(fd)
            if callback is not None:
                callback(events)

    def wake(self) -> None:
        """End the wait, from any thread or a signal handler; harmless when it is closed."""
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Free the descriptors of its own. Idempotent."""
        # First the number, so that a late ``wake`` does not write into a stranger's descriptor.
        wake_fd, self._wake_fd = self._wake_fd, -1
        if wake_fd >= 0:
            self._epoll.close()
            os.close(wake_fd)

    def _woken(self, events: int) -> None:
        os.eventfd_read(self._wake_fd)
