"""A Session through a proxy."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import CERTIFICATE, Relay
from wampy import Session


class ConnectProxy:
    """An HTTP proxy that knows CONNECT, and a password."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.targets: list[str] = []
        self.password = base64.b64encode(b"joe:s3cret").decode()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(4096)
            text = request.decode()
            if f"Basic {self.password}" not in text:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            target = text.split()[1]
            self.targets.append(target)
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as router:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
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


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    made = ConnectProxy()
    yield made
    made.close()


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
        ("ws://127.0.0.1:9/ws", "socks5://127.0.0.1:9", "[Ss]ocks"),
    ],
)
def test_what_is_no_proxy_for_it(url: str, proxy: str, reason: str) -> None:
    with pytest.raises(wampy.ConnectFailed, match=reason) as caught:
        Session(url, proxy=proxy)
    assert "hidden" not in str(caught.value)
