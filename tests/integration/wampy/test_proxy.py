"""A Session, of threads or of tasks, through a proxy."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import CERTIFICATE, Relay
from tests.integration.wampy.scripted import KINDS
from tests.support import wait_until

pytestmark = pytest.mark.sockets


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
        # IndexError: the client hung up in the middle of it.
        with contextlib.suppress(OSError, IndexError), client:
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
        for octet in b"HTTP/1.1 200 Connection established\r\n\r\n":
            client.sendall(bytes((octet,)))  # in as many segments as it likes
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


@pytest.fixture
def said() -> Iterator[Callable[[bytes], int]]:
    """Make proxies that say something to whoever asks them anything; give their ports."""
    listeners: list[socket.socket] = []

    def make(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.recv(4096)
                        client.sendall(answer)
                        if answer:
                            client.recv(4096)  # it is for the client to hang up

        threading.Thread(target=serve, daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield make
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def fails(kind: Any, *args: Any, match: str, **options: Any) -> str:
    """See that no connection comes about, and why; give the error with what led to it."""
    with pytest.raises(wampy.ConnectFailed, match=match) as caught, kind(*args, **options):
        pass
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_it_goes_through_a_socks_proxy(
    kind: Any, socks: SocksProxy, router: RealRouter, relay: Callable[..., Relay], scheme: str
) -> None:
    url = f"{scheme}://joe:s3cret@127.0.0.1:{socks.port}"
    with kind(router.url, proxy=url, timeout=10.0) as session:
        session.register("com.example.proxied", lambda text: text)
        assert session.call("com.example.proxied", "x" * 100_000) == "x" * 100_000
    assert socks.targets == [f"127.0.0.1:{router.port}"]
    tls = relay(is_tls=True)
    secure = f"wss://localhost:{tls.port}/ws"
    with kind(secure, proxy=url, ca=str(CERTIFICATE), timeout=10.0) as session:
        assert session.is_joined
    # Whose name it is, is asked there or here.
    host = "localhost" if scheme in ("socks4a", "socks5h") else "127.0.0.1"
    assert socks.targets[1:] == [f"{host}:{tls.port}"]
    fails(kind, secure, proxy=url, timeout=10.0, match="certificate")
    by_number = secure.replace("localhost", "127.0.0.1")  # which the certificate does not name
    fails(kind, by_number, proxy=url, ca=str(CERTIFICATE), timeout=10.0, match="certificate")


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_what_a_socks_proxy_says_is_told_without_the_password(
    kind: Any, socks: SocksProxy, router: RealRouter, scheme: str
) -> None:
    wrong = f"{scheme}://jim:mistaken@127.0.0.1:{socks.port}"
    match = "proxy does not let us through"
    assert "mistaken" not in fails(kind, router.url, proxy=wrong, timeout=10.0, match=match)
    nobody = f"{scheme}://joe:hidden@127.0.0.1:9"
    match = "through the proxy at 127.0.0.1:9: .*refused"
    assert "hidden" not in fails(kind, router.url, proxy=nobody, match=match)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5"])
def test_a_proxy_that_is_none_is_told(kind: Any, router: RealRouter, scheme: str) -> None:
    """It hangs up, or says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        fails(kind, router.url, proxy=url, timeout=0.3, match=r"proxy .*(in time|timed out)")
        assert time.monotonic() - started < 3.0

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        fails(kind, router.url, proxy=url, timeout=10.0, match="proxy")
        thread.join(10.0)


def test_what_socks_needs_is_named(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    match = r"pip install 'wampy-stack\[proxy\]'"
    fails(kind, "ws://127.0.0.1:9/ws", proxy="socks5://127.0.0.1:9", match=match)


def test_it_goes_through_the_proxy(
    kind: Any,
    proxy: ConnectProxy,
    router: RealRouter,
    relay: Callable[..., Relay],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing that would have to be installed."""
    monkeypatch.setitem(sys.modules, "python_socks", None)
    url = f"http://joe:s3cret@127.0.0.1:{proxy.port}"
    with kind(router.url, proxy=url, timeout=10.0) as session:
        session.register("com.example.proxied", lambda text: text)
        assert session.call("com.example.proxied", "x" * 100_000) == "x" * 100_000
        assert "s3cret" not in repr(session)
    assert proxy.targets == [f"127.0.0.1:{router.port}"]
    tls = relay(is_tls=True)
    secure = f"wss://localhost:{tls.port}/ws"
    with kind(secure, proxy=url, ca=str(CERTIFICATE), timeout=10.0) as session:
        assert session.is_joined
    assert proxy.targets[1:] == [f"localhost:{tls.port}"]
    fails(kind, secure, proxy=url, timeout=10.0, match="certificate")
    by_number = secure.replace("localhost", "127.0.0.1")
    fails(kind, by_number, proxy=url, ca=str(CERTIFICATE), timeout=10.0, match="certificate")


def test_a_lost_connection_comes_back_through_the_proxy(
    kind: Any, proxy: ConnectProxy, relay: Callable[..., Relay]
) -> None:
    between = relay()
    url = f"http://joe:s3cret@127.0.0.1:{proxy.port}"
    with kind(f"ws://127.0.0.1:{between.port}/ws", proxy=url, timeout=10.0) as session:
        former = session.id
        between.cut()
        wait_until(lambda: session.id not in (None, former))
    assert len(proxy.targets) == 2


def test_what_a_proxy_says_is_told_without_the_password(
    kind: Any, proxy: ConnectProxy, router: RealRouter
) -> None:
    wrong = f"http://joe:mistaken@127.0.0.1:{proxy.port}"
    text = fails(kind, router.url, proxy=wrong, match="the proxy does not let us through: .*407")
    assert "mistaken" not in text
    match = "through the proxy at 127.0.0.1:9: .*refused"
    assert "hidden" not in fails(
        kind, router.url, proxy="http://joe:hidden@127.0.0.1:9", match=match
    )


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_ticket_is_not_sent_through_a_proxy_in_the_clear(
    kind: Any, proxy: ConnectProxy, socks: SocksProxy, router: RealRouter, scheme: str
) -> None:
    """Though the proxy is on this machine: where it leads to, nobody knows."""
    port = proxy.port if scheme == "http" else socks.port
    fails(
        kind,
        router.ticket_url,
        proxy=f"{scheme}://joe:s3cret@127.0.0.1:{port}",
        authid="joe",
        ticket="x",
        match="never sent in the clear",
    )


@pytest.mark.parametrize(
    ("url", "proxy", "reason"),
    [
        ("unix:///tmp/x", "http://127.0.0.1:9", "for ws:// and wss:// only"),
        ("tcp://127.0.0.1:9", "http://127.0.0.1:9", "for ws:// and wss:// only"),
        ("ws://127.0.0.1:9/ws", "ftp://joe:hidden@127.0.0.1:9", "a proxy is one of http://"),
        ("ws://127.0.0.1:9/ws", "127.0.0.1:9", "a proxy is one of http://"),
        ("ws://127.0.0.1:9/ws", "http://127.0.0.1", "with host and port"),
        ("ws://127.0.0.1:9/ws", "http://joe:hid/den@127.0.0.1:9", "with host and port"),
        ("ws://127.0.0.1:9/ws", "http://127.0.0.1:99999", "with host and port"),
        ("ws://127.0.0.1:9/ws", "http://[::1", "with host and port"),
        ("unix:///tmp/x", "socks5://127.0.0.1:9", "for ws:// and wss:// only"),
    ],
)
def test_what_is_no_proxy_for_it(kind: Any, url: str, proxy: str, reason: str) -> None:
    text = fails(kind, url, proxy=proxy, match=reason)
    assert "hid" not in text


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"SSH-2.0-x\r\n\r\n", "through the proxy|does not let us through"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "does not let us through: .*502"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "through the proxy|let us through"),
    ],
)
def test_what_an_http_proxy_may_say_instead(
    kind: Any, said: Callable[[bytes], int], answer: bytes, match: str
) -> None:
    proxy = f"http://127.0.0.1:{said(answer)}"
    fails(kind, "ws://127.0.0.1:9/ws", proxy=proxy, timeout=1.0, match=match)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9/ws", "wss://127.0.0.1:9/ws"])
def test_what_a_proxy_says_is_not_taken_for_the_routers_words(
    said: Callable[[bytes], int], url: str
) -> None:
    """They would stand before what TLS protects."""
    port = said(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n")
    match = "said more than was asked"
    fails(KINDS["asyncio"], url, proxy=f"http://127.0.0.1:{port}", timeout=5.0, match=match)


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_what_socks_cannot_say_is_told_without_the_password(
    kind: Any, socks: SocksProxy, scheme: str
) -> None:
    proxy = f"{scheme}://j%C3%B6:geh%C3%A4im@127.0.0.1:{socks.port}"
    match = "cannot be said in socks|does not let us through"
    assert "geh" not in fails(kind, "ws://127.0.0.1:9/ws", proxy=proxy, timeout=5.0, match=match)
