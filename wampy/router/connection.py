"""One client's connection, as the Router sees it, whatever carries its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wampy.errors import RemoteProtocolError

if TYPE_CHECKING:
    from wampy.router.config import Listener
    from wampy.router.server import RouterServer
    from wampy.router.wire import Wire

#: The most that the three octets of a RawSocket length can say.
MAX_FRAME_BYTES = 2**24 - 1


class Connection:
    """A client's connection; everything in the loop's thread, nothing blocks.

    Subclasses carry bytes: they hand whole messages to ``server.received``.

    Attributes:
        session: of the Realm, once it has joined.
        pending: what is known of one that is joining.
        wire: its serializer, once that is agreed on.
        max_send_bytes: the longest message that it takes.
        opened_at, heard_at: monotonic seconds.
        pinged_at: when a ping was sent that nothing has followed yet; 0.0: none.
        queued_bytes: what waits to be sent.
        dropped: events that it could not be sent.
        is_closing, closing_at: nothing that comes is taken any more, since when.
        is_closed: it is gone.
    """

    def __init__(self, server: RouterServer, listener: Listener, peer: str, now: float) -> None:
        self.server = server
        self.listener = listener
        self.peer = peer
        self.session: Any = None
        self.pending: Any = None
        self.wire: Wire | None = None
        self.max_send_bytes = MAX_FRAME_BYTES
        self.opened_at = self.heard_at = now
        self.pinged_at = 0.0
        self.queued_bytes = 0
        self.dropped = 0
        self.is_closing = False
        self.is_closed = False
        self.closing_at = 0.0

    def channel_id(self) -> bytes | None:
        """Give what both ends know this TLS connection by; None where there is none."""
        return None

    def send_message(self, encoded: bytes) -> None:
        """Queue one encoded message; it goes out at the end of the loop's turn."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what is queued, as far as it is taken."""
        raise NotImplementedError

    def ping(self) -> bool:
        """Send a ping; False where there is none that every client takes."""
        return False

    def close_with(self, error: RemoteProtocolError | None, reason: str) -> None:
        """Say goodbye on the transport's own level, and close once that has gone out."""
        self.finish(reason)

    def disconnect(self) -> None:
        """Give up what carries the bytes; what is queued is lost."""
        raise NotImplementedError

    def finish(self, why: str) -> None:
        """Close once what is queued has gone out; its Session is over now. Idempotent."""
        if not self.is_closing:
            self.is_closing = True
            self.closing_at = self.server.now
            self.server.unflushed.append(self)
            self.server.parted(self, why)

    def abandon(self, why: str) -> None:
        """Close at once. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = self.is_closing = True
        self.queued_bytes = 0
        self.disconnect()
        self.server.closed(self, why)
