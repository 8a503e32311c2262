"""WebSocket: the connection and the upgrade by websocket-client, the frames by ``frames``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import websocket

from wampy.errors import ConnectFailed
from wampy.transports.address import Address, ConnectOptions
from wampy.transports.frames import WebSocketCodec
from wampy.transports.proxy import parse_proxy, socks_refusal
from wampy.transports.stream import (
    DeadlineSocket,
    StreamTransport,
    explain,
    open_socket,
    tls_context,
)

#: The longest message that a Router takes, as Crossbar has it by default; WebSocket has no way to
#: ask. One that takes less may say so in WELCOME.
MAX_SEND_BYTES = 2**24
#: The longest message that we take.
MAX_RECEIVE_BYTES = 2**26
SUBPROTOCOLS = {name: f"wamp.2.{name}" for name in ("msgpack", "json", "cbor")}


def connect_websocket(
    address: Address, serializers: Sequence[str], deadline: float, options: ConnectOptions
) -> StreamTransport:
    """Connect and upgrade.

    Args:
        address: where to.
        serializers: names, the preferred one first; the Router chooses.
        deadline: monotonic seconds.
        options: certificates and proxy.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    if options.proxy is not None:
        return _connect_by_proxy(address, serializers, deadline, options)
    sock, is_private = open_socket(address, deadline, options)
    guarded = DeadlineSocket(sock, deadline)
    client: Any = websocket.WebSocket()
    name = _shake_hands(client, address, serializers, sock, socket=guarded)
    return _transport(address, sock, name, is_private, guarded.rest)


def _connect_by_proxy(
    address: Address, serializers: Sequence[str], deadline: float, options: ConnectOptions
) -> StreamTransport:
    """Connect and upgrade through a proxy: websocket-client does all of it, and reads no further.

    It waits up to the deadline for each answer, not for all of them together.
    """
    proxy = parse_proxy(address.url, options.proxy or "")
    refusal: type[Exception] = websocket.WebSocketProxyException
    if proxy.is_socks:
        refusal = socks_refusal(address.url, proxy)
    remaining_s = max(0.001, deadline - time.monotonic())
    # It takes TLS's settings apart itself, but not a context made by somebody else.
    sslopt = {"context": tls_context(address, options)} if address.is_secure else {}
    client: Any = websocket.WebSocket(sslopt=sslopt)
    try:
        name = _shake_hands(
            client,
            address,
            serializers,
            None,
            timeout=remaining_s,
            http_proxy_host=proxy.host,
            http_proxy_port=proxy.port,
            http_proxy_auth=proxy.user,
            http_no_proxy=["none.invalid"],  # else it asks the environment
            http_proxy_timeout=remaining_s,
            proxy_type=proxy.scheme,
        )
    except refusal as error:
        raise proxy.refuses(address.url, error) from error
    except ConnectFailed as error:
        raise proxy.through(address.url, error.reason) from error.__cause__
    except ValueError:  # not its cause: what cannot be said may be the password
        raise proxy.cannot_be_told(address.url) from None
    # What goes through somebody else's machine is private with TLS only.
    return _transport(address, client.sock, name, address.is_secure, b"")


def _transport(
    address: Address, sock: Any, serializer: str, is_private: bool, first: bytes
) -> StreamTransport:
    return StreamTransport(
        address.url,
        sock,
        WebSocketCodec(is_binary=serializer != "json", max_receive_bytes=MAX_RECEIVE_BYTES),
        serializer_name=serializer,
        max_send_bytes=MAX_SEND_BYTES,
        max_receive_bytes=MAX_RECEIVE_BYTES,
        is_private=is_private,
        first=first,
    )


def _shake_hands(
    client: Any, address: Address, serializers: Sequence[str], sock: Any, **how: Any
) -> str:
    """Upgrade; give the name of the serializer that the Router chose. Closes ``sock`` on failure.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    try:
        client.connect(
            address.url,
            subprotocols=[SUBPROTOCOLS[name] for name in serializers],
            redirect_limit=0,
            # A client that is no browser has no origin.
            suppress_origin=True,
            **how,
        )
        status = client.getstatus()
        if status != 101:
            raise ConnectFailed(address.url, f"the router answered with HTTP status {status}")
        return chosen_name(address, client.getsubprotocol(), serializers)
    except websocket.WebSocketBadStatusException as error:
        _close(sock, client)
        hint = "; is the path right?" if error.status_code == 404 else ""
        raise ConnectFailed(
            address.url, f"the router answered with HTTP status {error.status_code}{hint}"
        ) from error
    except websocket.WebSocketException as error:
        _close(sock, client)
        if isinstance(error, websocket.WebSocketProxyException):
            raise
        if isinstance(error, websocket.WebSocketTimeoutException):
            reason = "no answer in time"
        elif isinstance(error, websocket.WebSocketConnectionClosedException):
            # So does Crossbar for a path that it does not know.
            reason = "it hung up; is the path right, and does it speak WebSocket there?"
        else:
            reason = f"it does not speak WebSocket there: {error}"
        raise ConnectFailed(address.url, reason) from error
    except OSError as error:
        _close(sock, client)
        raise ConnectFailed(address.url, explain(error)) from error
    except BaseException:
        _close(sock, client)
        raise


def chosen_name(address: Address, chosen: str | None, serializers: Sequence[str]) -> str:
    """Give the name of the serializer whose subprotocol the Router chose.

    Raises:
        ConnectFailed: it is none of those that were offered.
    """
    for name in serializers:
        if SUBPROTOCOLS[name] == (chosen or "").lower():
            return name
    raise ConnectFailed(
        address.url,
        f"the router chose the subprotocol {chosen or 'none'!r}, offered were "
        + ", ".join(SUBPROTOCOLS[name] for name in serializers),
    )


def _close(sock: Any, client: Any) -> None:
    """Close what there is: a socket of ours, or one that websocket-client has made."""
    if sock is not None:
        sock.close()
    elif client.sock is not None:
        client.sock.close()
