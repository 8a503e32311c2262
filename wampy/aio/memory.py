"""A connection of an AsyncSession to a Router of its own process; see ``transports.memory``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from wampy.transports.address import Address
from wampy.transports.memory import open_line


class MemoryPipe:
    """What asyncio's transports are to a Protocol, without a socket; everything in its loop.

    Only what is below "what the Router calls" may come from other threads.

    Args:
        protocol: is told as by asyncio; made a connection before the constructor returns.
        address: ``memory://NAME``.
        serializers: names, the preferred one first.

    Raises:
        ConnectFailed: as ``open_line``.
    """

    def __init__(
        self, protocol: asyncio.Protocol, address: Address, serializers: Sequence[str]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._waiting = 0
        self._is_closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._line = open_line(address, serializers, self)
        self.serializer_name = self._line.serializer_name
        protocol.connection_made(self)  # type: ignore[arg-type]  # as much of one as is used

    # ------------------------------------------------------------------ what the Protocol calls

    def set_write_buffer_limits(self, high: int) -> None:
        """Do nothing: the Router takes everything at once."""

    def get_write_buffer_size(self) -> int:
        """Give 0, for the same reason."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give the default: there is no socket."""
        return default

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._is_closing

    def write(self, data: bytes) -> None:
        """Send."""
        self._line.send(data)

    def close(self) -> None:
        """End the connection. Idempotent."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._line.hang_up()
        self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    # ------------------------------------------------------------------ what the Router calls

    @property
    def waiting_bytes(self) -> int:
        """How much was delivered and is not taken yet."""
        return self._waiting

    def deliver(self, data: bytes) -> None:
        """See ``End.deliver``."""
        self._waiting += len(data)
        self._soon(lambda: self._take(data))

    def hung_up(self) -> None:
        """See ``End.hung_up``."""
        self._soon(self.close)

    def stir(self) -> None:
        """See ``End.stir``."""
        self._soon(self._turn)

    def _soon(self, step: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the Session with it
            self._loop.call_soon_threadsafe(step)

    # ------------------------------------------------------------------ in the loop

    def _take(self, data: bytes) -> None:
        self._waiting -= len(data)
        if not self._is_closing:
            self._protocol.data_received(data)
            self._turn()

    def _turn(self) -> None:
        """Have the Router do what is due, now and when it is next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closing:
            return
        due_at = self._line.turn()
        if due_at is not None:
            delay_s = max(0.0, due_at - time.monotonic())
            self._timer = self._loop.call_later(delay_s, self._turn)
