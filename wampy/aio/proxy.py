"""Tunnels through proxies for asyncio: CONNECT by h11, SOCKS by python-socks."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import time
from typing import Any

import h11

from wampy.transports.address import Address
from wampy.transports.proxy import ProxyAddress, socks_refusal
from wampy.transports.reasons import explain

_ASYNCIO_SAYS = re.compile(r"\[Errno (\d+)\].*Connect call failed")


def asyncios(error: BaseException) -> str | None:
    """Give the reason in an error of asyncio's own making; None: it is not of that kind.

    asyncio's text has the address once more, or all of them, and not the reason.
    """
    found = _ASYNCIO_SAYS.search(str(error))
    return os.strerror(int(found[1])).lower() if found else None


def explain_connect(error: BaseException) -> str:
    """Say why no connection to a proxy came about, in a few words."""
    return asyncios(error) or explain(error)


async def open_tunnel(address: Address, proxy: ProxyAddress, deadline: float) -> socket.socket:
    """Give a socket whose other end is the Router: what is sent now, the proxy passes on.

    Nothing that comes from beyond the proxy has been read. The caller bounds the time.

    Args:
        address: of the Router.
        proxy: what to go through.
        deadline: monotonic seconds; python-socks has one of its own if it is told none.

    Raises:
        ConnectFailed: with the Router's URL and the reason, without the password.
    """
    if proxy.is_socks:
        return await _by_socks(address, proxy, deadline)
    try:
        sock = await _reach(proxy)
    except OSError as error:
        raise proxy.through(address.url, explain_connect(error)) from error
    except ValueError as error:
        raise proxy.through(address.url, explain_connect(error)) from error
    try:
        await _ask(sock, address, proxy)
    except (OSError, ValueError, h11.LocalProtocolError) as error:
        sock.close()
        raise proxy.through(address.url, explain_connect(error)) from error
    except BaseException:
        sock.close()
        raise
    return sock


async def _reach(proxy: ProxyAddress) -> socket.socket:
    """Connect to the proxy, at the first of its addresses that answers."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    refusal: OSError | None = None
    for family, kind, protocol, _, where in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, where)
        except OSError as error:
            sock.close()
            refusal = refusal or error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise refusal or OSError("its name has no address")


async def _ask(sock: socket.socket, address: Address, proxy: ProxyAddress) -> None:
    """Have an HTTP proxy open the tunnel: RFC 9110, 9.3.6."""
    loop = asyncio.get_running_loop()
    target = address.authority
    headers = [("Host", target)]
    if proxy.user is not None:
        secret = base64.b64encode(":".join(proxy.user).encode()).decode()
        headers.append(("Proxy-Authorization", f"Basic {secret}"))
    connection = h11.Connection(h11.CLIENT)
    asked = connection.send(h11.Request(method="CONNECT", target=target, headers=headers))
    await loop.sock_sendall(sock, (asked or b"") + (connection.send(h11.EndOfMessage()) or b""))
    event: Any = h11.NEED_DATA
    try:
        while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
            if event is h11.NEED_DATA:
                data = await loop.sock_recv(sock, 4096)
                if not data:
                    raise proxy.refuses(address.url, "it hung up")
                connection.receive_data(data)
            event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise proxy.through(address.url, f"it does not speak HTTP there: {error}") from error
    if event.status_code // 100 != 2:
        reason = event.reason.decode("latin1")
        raise proxy.refuses(address.url, f"{event.status_code} {reason}".strip())
    if connection.trailing_data[0]:
        # The Router has not been asked anything. Taken for its words, this would stand before what
        # TLS protects.
        raise proxy.through(address.url, "it said more than was asked")


async def _by_socks(address: Address, proxy: ProxyAddress, deadline: float) -> socket.socket:
    refusal = socks_refusal(address.url, proxy)
    from python_socks import ProxyType
    from python_socks.async_.asyncio import Proxy

    name, password = proxy.user or (None, None)
    kind = ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4
    tunnel = Proxy.create(
        proxy_type=kind,
        host=proxy.host,
        port=proxy.port,
        username=name,
        password=password,
        rdns=proxy.resolves,
    )
    remaining_s = max(0.001, deadline - time.monotonic())
    try:
        # It reads what belongs to SOCKS octet by octet, and so no further.
        return await tunnel.connect(address.host or "", address.port or 0, timeout=remaining_s)
    except refusal as error:
        raise proxy.refuses(address.url, error) from error
    except OSError as error:
        raise proxy.through(address.url, explain_connect(error)) from error
    except ValueError:  # not its cause: what cannot be said may be the password
        raise proxy.cannot_be_told(address.url) from None
