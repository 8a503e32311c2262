"""How Sessions connect: what goes over the wire, what a URL means, why it fails. Both kinds."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.relay import CERTIFICATE, KEY
from tests.integration.wampy.scripted import (
    KINDS,
    Conversation,
    ScriptedRouter,
    accepted,
)
from wampy.serializers import SERIALIZERS

OTHER = CERTIFICATE.with_name("other.pem")
UPGRADE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: KEY\r\n"
)
JSON = "Sec-WebSocket-Protocol: wamp.2.json\r\n"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]


def attempt(kind: Any, url: str, **options: Any) -> str:
    """Begin and end a Session; give why it failed, or nothing."""
    session = None
    try:
        session = kind(url, timeout=5.0, reconnect=False, **options)
        session.begin()
    except wampy.ConnectFailed as error:
        return str(error)
    finally:
        if session is not None:
            session.end()
    return ""


def header_of(request: bytes, name: str) -> list[str]:
    """Give the values of a header, by its name in lower case."""
    lines = [line.partition(": ") for line in request.decode("latin1").split("\r\n")]
    return [value for key, _, value in lines if key.lower() == name]


ANSWERS = {
    "an extension": (
        f"{UPGRADE}{JSON}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        "wants the WebSocket extension 'permessage-deflate', and none was offered",
    ),
    "no subprotocol": (f"{UPGRADE}\r\n", "chose no subprotocol; offered were wamp.2.msgpack"),
    "another subprotocol": (
        f"{UPGRADE}Sec-WebSocket-Protocol: mqtt\r\n\r\n",
        "chose the subprotocol 'mqtt'; offered were wamp.2.msgpack",
    ),
    "a wrong key": (
        f"{UPGRADE}{JSON}\r\n".replace("KEY", "d3Jvbmc="),
        "does not speak WebSocket there: a wrong answer",
    ),
    "no upgrade": (
        f"{UPGRADE}{JSON}\r\n".replace("Upgrade: websocket", "Server: x"),
        "does not speak WebSocket there: a wrong answer",
    ),
    "another place": (
        "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP status 302, which leads elsewhere",
    ),
    "not allowed": ("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "HTTP status 401"),
    "nothing": ("", "it hung up; is the path right, .* without TLS"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_why_an_upgrade_fails_is_said_alike(kind: Any, what: str) -> None:
    """By both kinds of Session, with what the Router answered."""
    answer, reason = ANSWERS[what]
    requests: list[bytes] = []

    def script(it: Conversation) -> None:
        requests.append(it.read_request())
        (key,) = header_of(requests[0], "sec-websocket-key")
        it.octets(answer.encode().replace(b"KEY", accepted(key.encode())))
        with contextlib.suppress(TimeoutError):
            if answer:
                it.sock.recv(1)

    router = ScriptedRouter(script, is_websocket=True)
    with contextlib.closing(router):
        error = attempt(kind, router.url)
    assert router.url in error
    assert re.search(reason, error), error


def test_an_upgrade_offers_serializers_in_order_and_no_extension(kind: Any) -> None:
    requests: list[bytes] = []

    def script(it: Conversation) -> None:
        requests.append(it.read_request())

    router = ScriptedRouter(script, is_websocket=True)
    with contextlib.closing(router):
        attempt(kind, router.url)
        attempt(kind, router.url, serializer="cbor")
    for request, names in zip(requests, (list(SERIALIZERS), ["cbor"]), strict=True):
        (offer,) = header_of(request, "sec-websocket-protocol")
        assert [one.strip() for one in offer.split(",")] == [f"wamp.2.{name}" for name in names]
        assert not header_of(request, "sec-websocket-extensions")
        assert not header_of(request, "origin")
    assert list(SERIALIZERS) == ["msgpack", "json", "cbor"]


def test_rawsocket_offers_serializers_in_order(kind: Any) -> None:
    """One a connection, until the Router takes one."""
    handshakes: list[bytes] = []

    def script(it: Conversation) -> None:
        handshakes.append(it.read_request())
        it.octets(bytes((0x7F, 0x10, 0, 0)))  # the serializer is not supported

    router = ScriptedRouter(script, is_websocket=False)
    with contextlib.closing(router):
        assert "serializer" in attempt(kind, router.url)
    ids = [one.rawsocket_id for one in SERIALIZERS.values()]
    assert [handshake[1] & 0x0F for handshake in handshakes] == ids


@pytest.mark.parametrize(
    "spelled",
    ["WS://{host}:{port}/ws", " ws://{host}:{port}/ws\n", "ws://{host}:{port}/ws?a=b c#x"],
)
def test_a_url_may_be_spelled_so(builtin_router: RealRouter, kind: Any, spelled: str) -> None:
    url = spelled.format(host=builtin_router.host, port=builtin_router.port)
    assert attempt(kind, url) == ""


@pytest.mark.parametrize("path", ["/w s", "/w\u00e9", "/ws%20"])
def test_a_path_goes_over_the_wire_encoded(
    builtin_router: RealRouter, kind: Any, path: str
) -> None:
    url = f"ws://{builtin_router.host}:{builtin_router.port}{path}"
    assert "HTTP status 404; is the path right?" in attempt(kind, url)


# ---------------------------------------------------------------------- TLS


@pytest.fixture
def guarded() -> Iterator[Callable[..., int]]:
    """Listen with TLS and hang up on whoever has shaken hands; ask for a certificate if told to."""
    listeners = []

    def serve(listener: socket.socket, context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with contextlib.suppress(OSError), client:
                    client.settimeout(10.0)
                    with context.wrap_socket(client, server_side=True) as secure:
                        secure.recv(4096)

    def listen(*, wants_certificate: bool, version: ssl.TLSVersion) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        context.maximum_version = version
        if wants_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(CERTIFICATE)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, context), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield listen
    for listener in listeners:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("scheme", ["wss", "tcps"])
@pytest.mark.parametrize("shown", [None, OTHER])
def test_a_router_that_wants_a_certificate_is_told_of(
    guarded: Callable[..., int], kind: Any, scheme: str, version: ssl.TLSVersion, shown: Any
) -> None:
    port = guarded(wants_certificate=True, version=version)
    options: dict[str, Any] = {"ca": str(CERTIFICATE)}
    if shown is not None:
        options |= {"certificate": str(shown), "key": str(shown.with_suffix(".key"))}
    error = attempt(kind, f"{scheme}://localhost:{port}", **options)
    assert "our certificate" in error if shown else "want" in error and "a certificate" in error
    assert "_ssl.c" not in error


@pytest.mark.parametrize("scheme", ["wss", "tcps"])
def test_tls_to_who_speaks_none_is_told_of(
    builtin_router: RealRouter, kind: Any, scheme: str
) -> None:
    url = f"{scheme}://localhost:{builtin_router.port}"
    plain = {"wss": "ws", "tcps": "tcp"}[scheme]
    assert f"does not speak TLS there; use {plain}://?" in attempt(kind, url)


def test_no_tls_to_who_speaks_it_is_told_of(guarded: Callable[..., int], kind: Any) -> None:
    port = guarded(wants_certificate=False, version=ssl.TLSVersion.TLSv1_3)
    error = attempt(kind, f"ws://localhost:{port}/ws")
    assert "does it speak WebSocket there, without TLS?" in error


def test_a_certificate_without_its_key_is_told_of(guarded: Callable[..., int], kind: Any) -> None:
    port = guarded(wants_certificate=True, version=ssl.TLSVersion.TLSv1_3)
    url = f"wss://localhost:{port}/ws"
    error = attempt(kind, url, ca=str(CERTIFICATE), certificate=str(CERTIFICATE))
    assert "there is no private key in it; give the file of it as key" in error
    options = {"certificate": str(CERTIFICATE), "key": str(OTHER.with_suffix(".key"))}
    error = attempt(kind, url, ca=str(CERTIFICATE), **options)
    assert "the key is another certificate's" in error
