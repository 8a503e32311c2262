from __future__ import annotations

import pytest

from wampy.errors import ConnectFailed
from wampy.transports.address import Address, parse_url


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
    ],
)
def test_urls(url: str, expected: tuple[object, ...]) -> None:
    address = parse_url(url)
    assert address == Address(url, *expected)  # type: ignore[arg-type]
    assert address.is_unix is (expected[0] == "unix")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "unknown scheme ''"),
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
    ("url", "expected"),
    [
        ("ws://h", "h:80"),
        ("wss://[::1]:9/", "[::1]:9"),
        ("ws://bücher.example/", "xn--bcher-kva.example:80"),
    ],
)
def test_the_host_as_http_wants_it(url: str, expected: str) -> None:
    assert parse_url(url).authority == expected
