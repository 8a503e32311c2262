"""WebSocket: the connection and the upgrade by websocket-client, the frames by ``frames``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import websocket

from wampy.errors import ConnectFailed
from wampy.transports.address import Address
from wampy.transports.frames import WebSocketCodec
from wampy.transports.stream import DeadlineSocket, StreamTransport, explain, open_socket

#: The longest message that a Router takes, as Crossbar has it by default; WebSocket has no way to
#: ask.
MAX_SEND_BYTES = 2**24
#: The longest message that we take.
MAX_RECEIVE_BYTES = 2**26
_SUBPROTOCOLS = {name: f"wamp.2.{name}" for name in ("msgpack", "json", "cbor")}


def connect_websocket(
    address: Address, serializers: Sequence[str], deadline: float, ca: str | None
) -> StreamTransport:
    """Connect and upgrade.

    Args:
        address: where to.
        serializers: names, the preferred one first; the Router chooses.
        deadline: monotonic seconds.
        ca: a file of certificates to trust instead of the system's, or None.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    sock, is_private = open_socket(address, deadline, ca)
    try:
        guarded = DeadlineSocket(sock, deadline)
        client: Any = websocket.WebSocket()
        client.connect(
            address.url,
            socket=guarded,
            subprotocols=[_SUBPROTOCOLS[name] for name in serializers],
            redirect_limit=0,
            # A client that is no browser has no origin.
            suppress_origin=True,
        )
        status = client.getstatus()
        if status != 101:
            raise ConnectFailed(address.url, f"the router answered with HTTP status {status}")
        chosen = (client.getsubprotocol() or "").lower()
        names = [name for name, value in _SUBPROTOCOLS.items() if value == chosen]
        if not names or names[0] not in serializers:
            raise ConnectFailed(
                address.url,
                f"the router chose the subprotocol {chosen or 'none'!r}, offered were "
                + ", ".join(_SUBPROTOCOLS[name] for name in serializers),
            )
    except websocket.WebSocketBadStatusException as error:
        sock.close()
        hint = "; is the path right?" if error.status_code == 404 else ""
        raise ConnectFailed(
            address.url, f"the router answered with HTTP status {error.status_code}{hint}"
        ) from error
    except websocket.WebSocketException as error:
        sock.close()
        if isinstance(error, websocket.WebSocketTimeoutException):
            reason = "no answer in time"
        elif isinstance(error, websocket.WebSocketConnectionClosedException):
            # So does Crossbar for a path that it does not know.
            reason = "it hung up; is the path right, and does it speak WebSocket there?"
        else:
            reason = f"it does not speak WebSocket there: {error}"
        raise ConnectFailed(address.url, reason) from error
    except OSError as error:
        sock.close()
        raise ConnectFailed(address.url, explain(error)) from error
    except BaseException:
        sock.close()
        raise
    return StreamTransport(
        address.url,
        sock,
        WebSocketCodec(is_binary=names[0] != "json", max_receive_bytes=MAX_RECEIVE_BYTES),
        serializer_name=names[0],
        max_send_bytes=MAX_SEND_BYTES,
        is_private=is_private,
        first=guarded.rest,
    )
