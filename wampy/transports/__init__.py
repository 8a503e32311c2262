"""Connections to Routers: WebSocket and RawSocket, on TCP, TLS and unix sockets."""

from __future__ import annotations

from collections.abc import Sequence

from wampy.transports.address import Address, parse_url
from wampy.transports.stream import MessageTooLong, StreamTransport


def connect(
    address: Address, serializers: Sequence[str], deadline: float, ca: str | None = None
) -> StreamTransport:
    """Connect to a Router, the transport's handshake included.

    Args:
        address: where to, and how.
        serializers: names, the preferred one first; the Router chooses.
        deadline: monotonic seconds.
        ca: a file of certificates to trust instead of the system's, or None.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    # Imported when needed: a Peer in a stack never speaks WebSocket.
    if address.is_websocket:
        from wampy.transports.websocket import connect_websocket

        return connect_websocket(address, serializers, deadline, ca)
    from wampy.transports.rawsocket import connect_rawsocket

    return connect_rawsocket(address, serializers, deadline, ca)


__all__ = ["Address", "MessageTooLong", "StreamTransport", "connect", "parse_url"]
