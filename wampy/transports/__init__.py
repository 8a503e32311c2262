"""Connections to Routers: WebSocket and RawSocket, on TCP, TLS and unix sockets; and memory."""

from __future__ import annotations

from collections.abc import Sequence

from wampy.transports.address import Address, ConnectOptions, parse_url
from wampy.transports.stream import StreamTransport, Transport

_DIRECTLY = ConnectOptions()


def connect(
    address: Address,
    serializers: Sequence[str],
    deadline: float,
    options: ConnectOptions = _DIRECTLY,
) -> Transport:
    """Connect to a Router, the transport's handshake included.

    Args:
        address: where to, and how.
        serializers: names, the preferred one first; the Router chooses.
        deadline: monotonic seconds.
        options: certificates and proxy.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    # Imported when needed: a Peer in a stack never speaks WebSocket.
    if address.is_websocket:
        from wampy.transports.websocket import connect_websocket

        return connect_websocket(address, serializers, deadline, options)
    if address.is_memory:
        from wampy.transports.memory import MemoryTransport

        return MemoryTransport(address, serializers)
    from wampy.transports.rawsocket import connect_rawsocket

    return connect_rawsocket(address, serializers, deadline, options)


__all__ = ["Address", "ConnectOptions", "StreamTransport", "Transport", "connect", "parse_url"]
