"""Clock: the smallest Peer that does something, to start reading at."""

from __future__ import annotations

from datetime import UTC, datetime

from wampy import Peer, every, rpc
from wampy.errors import SessionError, TransportError


class Clock(Peer):
    """Tells the time, and publishes a tick each second.

    Topics published:
        com.example.clock.tick: one argument, the time as `now` gives it; once a second, by the
            first replica only, so that more replicas do not mean more ticks.
    """

    prefix = "com.example.clock."

    @rpc
    def now(self) -> str:
        """Give the time of this machine: ISO 8601, UTC, milliseconds."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")

    @every("1s")
    def tick(self) -> None:
        """Publish the time; a second without a Router is a second without a tick."""
        if self.index != 0:
            return
        try:
            self.session.publish("com.example.clock.tick", self.now())
        except (TransportError, SessionError) as error:
            self.log.debug("no tick: %s", error)
