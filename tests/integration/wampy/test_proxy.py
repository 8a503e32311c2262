"""A Session through a proxy."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import CERTIFICATE, Relay
from wampy import Session


class Proxy:
    """Passes octets on to where it is told; of a kind that says how it is told."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.targets: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def negotiate(self, client: socket.socket) -> tuple[str, int] | None:
        """Give where a client wants to go, and let it; None when it may not."""
        raise NotImplementedError

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            target = self.negotiate(client)
            if target is None:
                return
            self.targets.append("{}:{}".format(*target))
            with socket.create_connection(target) as router:
                while True:
                    ready, _, _ = select.select([client, router], [], [], 10.0)
                    for source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        (router if source is client else client).sendall(data)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class ConnectProxy(Proxy):
    """An HTTP proxy that knows CONNECT, and a password."""

    password = base64.b64encode(b"joe:s3cret").decode()

    def negotiate(self, client: socket.socket) -> tuple[str, int] | None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        text = request.decode()
        if f"Basic {self.password}" not in text:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, _, port = text.split()[1].rpartition(":")
        return host, int(port)


class SocksProxy(Proxy):
    """SOCKS 4, 4a and 5 (RFC 1928, with a password: RFC 1929)."""

    def negotiate(self, client: socket.socket) -> tuple[str, int] | None:
        with client.makefile("rb") as asked:
            version = asked.read(1)[0]
            return (self._socks_5 if version == 5 else self._socks_4)(client, asked)

    def _socks_5(self, client: socket.socket, asked: BinaryIO) -> tuple[str, int] | None:
        asked.read(asked.read(1)[0])
        client.sendall(b"\5\2")
        asked.read(1)
        user = [asked.read(asked.read(1)[0]) for _ in range(2)]
        if user != [b"joe", b"s3cret"]:
            client.sendall(b"\1\1")
            return None
        client.sendall(b"\1\0")
        *_, kind = asked.read(4)
        if kind == 1:
            host = socket.inet_ntoa(asked.read(4))
        else:
            host = asked.read(asked.read(1)[0]).decode()
        port = int.from_bytes(asked.read(2), "big")
        client.sendall(b"\5\0\0\1" + bytes(6))
        return host, port

    def _socks_4(self, client: socket.socket, asked: BinaryIO) -> tuple[str, int] | None:
        _, port, address = struct.unpack("!BH4s", asked.read(7))
        user = self._text(asked)
        host = self._text(asked) if address[:3] == bytes(3) else socket.inet_ntoa(address)
        is_known = user == "joe"
        client.sendall(bytes([0, 90 if is_known else 93]) + bytes(6))
        return (host, port) if is_known else None

    @staticmethod
    def _text(asked: BinaryIO) -> str:
        return b"".join(iter(lambda: asked.read(1), b"\0")).decode()


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    made = ConnectProxy()
    yield made
    made.close()


@pytest.fixture
def socks() -> Iterator[SocksProxy]:
    made = SocksProxy()
    yield made
    made.close()


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_it_goes_through_a_socks_proxy(
    socks: SocksProxy, router: RealRouter, relay: Callable[..., Relay], scheme: str
) -> None:
    url = f"{scheme}://joe:s3cret@127.0.0.1:{socks.port}"
    with Session(router.url, proxy=url, timeout=10.0) as session:
        session.register("com.example.proxied", lambda text: text)
        assert session.call("com.example.proxied", "x" * 100_000) == "x" * 100_000
    assert socks.targets == [f"127.0.0.1:{router.port}"]
    tls = relay(is_tls=True)
    secure = f"wss://localhost:{tls.port}/ws"
    with Session(secure, proxy=url, ca=str(CERTIFICATE), timeout=10.0) as session:
        assert session.is_joined
    # Whose name it is, is asked there or here.
    host = "localhost" if scheme in ("socks4a", "socks5h") else "127.0.0.1"
    assert socks.targets[1:] == [f"{host}:{tls.port}"]
    with pytest.raises(wampy.ConnectFailed, match="certificate"):
        Session(secure, proxy=url, timeout=10.0)


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_what_a_socks_proxy_says_is_told_without_the_password(
    socks: SocksProxy, router: RealRouter, scheme: str
) -> None:
    with pytest.raises(wampy.ConnectFailed, match="proxy does not let us through") as caught:
        Session(router.url, proxy=f"{scheme}://jim:mistaken@127.0.0.1:{socks.port}", timeout=10.0)
    assert "mistaken" not in str(caught.value)
    with pytest.raises(wampy.ConnectFailed, match="refused"):
        Session(router.url, proxy=f"{scheme}://joe:hidden@127.0.0.1:9")


def test_a_socks_proxy_that_is_none_is_told(router: RealRouter) -> None:
    """It hangs up, or says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"socks5://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(wampy.ConnectFailed, match=r"in time|timed out"):
            Session(router.url, proxy=url, timeout=0.3)

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(wampy.ConnectFailed, match="proxy"):
            Session(router.url, proxy=url, timeout=10.0)
        thread.join(10.0)


def test_what_socks_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(wampy.ConnectFailed, match=r"pip install 'wampy-stack\[proxy\]'"):
        Session("ws://127.0.0.1:9/ws", proxy="socks5://127.0.0.1:9")


def test_it_goes_through_the_proxy(
    proxy: ConnectProxy, router: RealRouter, relay: Callable[..., Relay]
) -> None:
    url = f"http://joe:s3cret@127.0.0.1:{proxy.port}"
    with Session(router.url, proxy=url, timeout=10.0) as session:
        session.register("com.example.proxied", lambda text: text)
        assert session.call("com.example.proxied", "x" * 100_000) == "x" * 100_000
    assert proxy.targets == [f"127.0.0.1:{router.port}"]
    tls = relay(is_tls=True)
    with Session(
        f"wss://localhost:{tls.port}/ws", proxy=url, ca=str(CERTIFICATE), timeout=10.0
    ) as session:
        assert session.is_joined
    with pytest.raises(wampy.ConnectFailed, match="certificate"):
        Session(f"wss://localhost:{tls.port}/ws", proxy=url, timeout=10.0)


def test_what_a_proxy_says_is_told_without_the_password(
    proxy: ConnectProxy, router: RealRouter
) -> None:
    with pytest.raises(wampy.ConnectFailed, match="proxy") as caught:
        Session(router.url, proxy=f"http://joe:mistaken@127.0.0.1:{proxy.port}")
    assert "mistaken" not in str(caught.value)
    with pytest.raises(wampy.ConnectFailed, match="refused"):
        Session(router.url, proxy="http://joe:hidden@127.0.0.1:9")


def test_a_ticket_is_not_sent_through_a_proxy_in_the_clear(
    proxy: ConnectProxy, router: RealRouter
) -> None:
    url = f"http://joe:s3cret@127.0.0.1:{proxy.port}"
    with pytest.raises(wampy.ConnectFailed, match="never sent in the clear"):
        Session(router.ticket_url, proxy=url, authid="joe", ticket="x")


@pytest.mark.parametrize(
    ("url", "proxy", "reason"),
    [
        ("unix:///tmp/x", "http://127.0.0.1:9", "for ws:// and wss:// only"),
        ("tcp://127.0.0.1:9", "http://127.0.0.1:9", "for ws:// and wss:// only"),
        ("ws://127.0.0.1:9/ws", "ftp://joe:hidden@127.0.0.1:9", "a proxy is one of http://"),
        ("ws://127.0.0.1:9/ws", "127.0.0.1:9", "a proxy is one of http://"),
        ("ws://127.0.0.1:9/ws", "http://127.0.0.1", "with host and port"),
        ("unix:///tmp/x", "socks5://127.0.0.1:9", "for ws:// and wss:// only"),
    ],
)
def test_what_is_no_proxy_for_it(url: str, proxy: str, reason: str) -> None:
    with pytest.raises(wampy.ConnectFailed, match=reason) as caught:
        Session(url, proxy=proxy)
    assert "hidden" not in str(caught.value)
