"""WebSocket: the connection and the upgrade by websocket-client, the frames by ``frames``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import websocket

from wampy.errors import ConnectFailed
from wampy.transports.address import Address, ConnectOptions
from wampy.transports.frames import WebSocketCodec
from wampy.transports.proxy import parse_proxy, socks_refusal
from wampy.transports.reasons import hung_up, why_not_connected
from wampy.transports.stream import (
    DeadlineSocket,
    StreamTransport,
    open_socket,
    tls_context,
)

#: The longest message that a Router takes, as Crossbar has it by default; WebSocket has no way to
#: ask. One that takes less may say so in WELCOME.
MAX_SEND_BYTES = 2**24
#: The longest message that we take.
MAX_RECEIVE_BYTES = 2**26
#: What websocket-client says of an answer without the right Upgrade, Connection or Accept.
_INVALID = "Invalid WebSocket Header"
#: And what we do.
WRONG_ANSWER = "it does not speak WebSocket there: a wrong answer to the upgrade"
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
    name = _shake_hands(client, address, serializers, options, sock, socket=guarded)
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
            options,
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
    client: Any,
    address: Address,
    serializers: Sequence[str],
    options: ConnectOptions,
    sock: Any,
    **how: Any,
) -> str:
    """Upgrade; give the name of the serializer that the Router chose. Closes ``sock`` on failure.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    try:
        client.connect(
            f"{address.scheme}://{address.authority}{address.path}",
            # As a header: what it is told as subprotocols it looks for in the answer itself, and
            # says no more than that it is invalid.
            header={"Sec-WebSocket-Protocol": offered(serializers)},
            redirect_limit=0,
            # A client that is no browser has no origin.
            suppress_origin=True,
            **how,
        )
        return agreed(address, client.getheaders(), serializers)
    except websocket.WebSocketBadStatusException as error:
        _close(sock, client)
        raise refused(address, error.status_code) from error
    except websocket.WebSocketException as error:
        _close(sock, client)
        if isinstance(error, websocket.WebSocketProxyException):
            raise
        answer = client.handshake_response
        if answer is not None and answer.status != 101:
            raise refused(address, answer.status) from error  # it led elsewhere
        if isinstance(error, websocket.WebSocketTimeoutException):
            reason = "no answer in time"
        elif isinstance(error, websocket.WebSocketConnectionClosedException):
            reason = hung_up(address, options)
        elif str(error) == _INVALID:
            reason = WRONG_ANSWER
        else:
            reason = f"it does not speak WebSocket there: {error}"
        raise ConnectFailed(address.url, reason) from error
    except OSError as error:
        _close(sock, client)
        raise ConnectFailed(address.url, why_not_connected(error, address, options)) from error
    except BaseException:
        _close(sock, client)
        raise


def offered(serializers: Sequence[str]) -> str:
    """Give the value of Sec-WebSocket-Protocol: the preferred one first."""
    return ", ".join(SUBPROTOCOLS[name] for name in serializers)


def refused(address: Address, status: int | None) -> ConnectFailed:
    """Give the error for an answer to the upgrade that has another status than 101."""
    hint = ""
    if status == 404:
        hint = "; is the path right?"
    elif status is not None and 300 <= status < 400:
        hint = ", which leads elsewhere; give the URL that it leads to"
    return ConnectFailed(address.url, f"the router answered with HTTP status {status}{hint}")


def agreed(address: Address, headers: Mapping[str, str], serializers: Sequence[str]) -> str:
    """Give the name of the serializer whose subprotocol the Router chose.

    Args:
        address: where the Router is.
        headers: of its answer, with names in lower case.
        serializers: names of those that were offered.

    Raises:
        ConnectFailed: it is none of them, or there is an extension, none of which were offered:
            RFC 6455, 4.1.
    """
    extensions = headers.get("sec-websocket-extensions", "").strip()
    if extensions:
        raise ConnectFailed(
            address.url,
            f"the router wants the WebSocket extension {extensions!r:.100}, and none was offered",
        )
    chosen = headers.get("sec-websocket-protocol", "").strip()
    for name in serializers:
        if SUBPROTOCOLS[name] == chosen.lower():
            return name
    what = f"the subprotocol {chosen!r:.100}" if chosen else "no subprotocol"
    raise ConnectFailed(
        address.url, f"the router chose {what}; offered were {offered(serializers)}"
    )


def _close(sock: Any, client: Any) -> None:
    """Close what there is: a socket of ours, or one that websocket-client has made."""
    if sock is not None:
        sock.close()
    elif client.sock is not None:
        client.sock.close()
