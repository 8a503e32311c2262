from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wampy.errors import ConnectFailed
from wampy.transports.address import Address, ConnectOptions, parse_url
from wampy.transports.proxy import ProxyAddress, parse_proxy


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h", ("ws", "h", 80, "/", True, False)),
        ("ws://h:8080/ws?a=b", ("ws", "h", 8080, "/ws?a=b", True, False)),
        ("wss://h/ws", ("wss", "h", 443, "/ws", True, True)),
        ("tcp://[::1]:9", ("tcp", "::1", 9, "/", False, False)),
        ("tcps://h:9", ("tcps", "h", 9, "/", False, True)),
        ("unix:///a%20b/c", ("unix", None, None, "/a b/c", False, False)),
        ("unix:rel/path", ("unix", None, None, "rel/path", False, False)),
        ("unix://rel/path", ("unix", None, None, "rel/path", False, False)),
        ("UNIX:///a", ("unix", None, None, "/a", False, False)),
        ("WSS://Host/Ws", ("wss", "host", 443, "/Ws", True, True)),
        ("ws://h/w s", ("ws", "h", 80, "/w%20s", True, False)),
        (
            "ws://h/w\u00e9%20?a=b c&d=\u00e9",
            ("ws", "h", 80, "/w%C3%A9%20?a=b%20c&d=%C3%A9", True, False),
        ),
        ("ws://b\u00fccher.example/", ("ws", "xn--bcher-kva.example", 80, "/", True, False)),
        ("ws://h.example./", ("ws", "h.example.", 80, "/", True, False)),
    ],
)
def test_urls(url: str, expected: tuple[object, ...]) -> None:
    address = parse_url(url)
    assert address == Address(url, *expected)  # type: ignore[arg-type]
    assert address.is_unix is (expected[0] == "unix")


@pytest.mark.parametrize("url", [" ws://h/ws", "ws://h/ws ", "\tws://h/ws\n"])
def test_blanks_around_it_do_not_count(url: str) -> None:
    assert parse_url(url) == parse_url("ws://h/ws")


@pytest.mark.parametrize(
    ("url", "authority"),
    [("ws://h/ws", "h:80"), ("wss://h", "h:443"), ("tcp://[::1]:9", "[::1]:9")],
)
def test_the_authority_has_the_port(url: str, authority: str) -> None:
    assert parse_url(url).authority == authority


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "the URL is empty"),
        ("127.0.0.1:8080/ws", "it has no scheme"),
        ("ws://h/w\ns", "control character"),
        ("unix:///a\0b", "control character"),
        ("unix:///a%00b", "path of the socket"),
        ("ws://.h/ws", "nothing between two of its dots"),
        ("ws://loca..lhost/ws", "nothing between two of its dots"),
        ("ws://" + "a" * 64 + ".x/ws", "more than 63 characters"),
        ("ws://exa mple/ws", "a blank in it"),
        ("ws://\ud800.example/ws", "characters that no name may have"),
        ("ws://h:0/ws", "there is no port 0"),
        ("tcp://joe:secret@[h", "no URL"),
        ("localhost:8080", "unknown scheme 'localhost'"),
        ("http://h", "unknown scheme 'http'"),
        ("ws://", "the host is missing"),
        ("tcp://h", "the port is missing"),
        ("ws://h:99999", "no URL"),
        ("ws://h:x", "no URL"),
        ("ws://[::1", "no URL"),
        ("unix:", "path of the socket"),
        ("ws://joe:secret@h/ws", "credentials do not belong"),
    ],
)
def test_what_is_wrong_with_it(url: str, reason: str) -> None:
    with pytest.raises(ConnectFailed, match=reason) as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://h:1", ProxyAddress("http", "h", 1, None)),
        (" HTTP://H:1\n", ProxyAddress("http", "h", 1, None)),
        ("socks5://joe:s%40@h:1", ProxyAddress("socks5", "h", 1, ("joe", "s@"))),
        ("socks5h://joe@h:1", ProxyAddress("socks5h", "h", 1, ("joe", ""))),
    ],
)
def test_proxies(proxy: str, expected: ProxyAddress) -> None:
    found = parse_proxy("ws://h", proxy)
    assert found == expected
    assert "s@" not in repr(found)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://joe:secret@h:abc",
        "http://joe:secret@h:99999",
        "http://joe:secret@h",
        "http://joe:secret@h:0",
        "http://joe:secret@[h:1",
        "http://joe:secret@a..b:1",
        "https://joe:secret@h:1",
        "joe:secret@h:1",
        "",
        5,
    ],
)
def test_a_proxy_that_is_none_is_refused_before_anything_is_connected(proxy: Any) -> None:
    address = parse_url("ws://h")
    with pytest.raises(ConnectFailed, match="http://, socks4://") as raised:
        ConnectOptions(proxy=proxy).check(address)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("ws://h", {"ca": "ca.pem"}, "a ca is for wss:// and tcps:// only"),
        ("unix:///h", {"certificate": "c.pem"}, "a certificate is for wss:// and tcps:// only"),
        ("wss://h", {"key": "k.pem"}, "a key was given, and no certificate"),
        ("tcps://h:1", {"proxy": "http://h:1"}, "a proxy is for ws:// and wss:// only"),
        ("wss://h", {"ca": 5}, "ca is an int; expected the path of a file"),
        ("wss://h", {"certificate": [], "key": "k"}, "certificate is a list"),
    ],
)
def test_what_would_not_be_used_is_refused(url: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConnectFailed, match=reason):
        ConnectOptions(**options).check(parse_url(url))


def test_what_is_used_is_taken() -> None:
    options = ConnectOptions(ca="c", certificate=Path("c"), key="k")  # type: ignore[arg-type]
    options.check(parse_url("tcps://h:1"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h", "h:80"),
        ("wss://[::1]:9/", "[::1]:9"),
        ("ws://bücher.example/", "xn--bcher-kva.example:80"),
    ],
)
def test_the_host_as_http_wants_it(url: str, expected: str) -> None:
    assert parse_url(url).authority == expected
