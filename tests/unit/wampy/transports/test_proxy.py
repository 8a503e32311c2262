from __future__ import annotations

import sys

import pytest

from wampy.errors import ConnectFailed
from wampy.transports.address import ConnectOptions, parse_url
from wampy.transports.proxy import ProxyAddress, parse_proxy, socks_refusal

URL = "ws://h/ws"


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://p:3128", ("http", "p", 3128, None)),
        ("http://joe:s%40:x@p:3128", ("http", "p", 3128, ("joe", "s@:x"))),
        ("socks4://joe@p:1080", ("socks4", "p", 1080, ("joe", ""))),
        ("socks5h://[::1]:1080", ("socks5h", "::1", 1080, None)),
    ],
)
def test_urls(proxy: str, expected: tuple[object, ...]) -> None:
    found = parse_proxy(URL, proxy)
    assert found == ProxyAddress(*expected)  # type: ignore[arg-type]
    assert found.is_socks is proxy.startswith("socks")
    assert "joe" not in repr(found)


@pytest.mark.parametrize(
    "proxy",
    ["", "p:3128", "http://p", "http://:3128", "http://p:0", "ftp://joe:secret@p:1", "http://[::1"],
)
def test_what_is_none(proxy: str) -> None:
    with pytest.raises(ConnectFailed, match="a proxy is one of http://, socks4://") as raised:
        ConnectOptions(proxy=proxy).check(parse_url(URL))
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_whose_name_it_is() -> None:
    there = [s for s in ("http", "socks4", "socks4a", "socks5", "socks5h")
             if parse_proxy(URL, f"{s}://p:1").resolves]  # fmt: skip
    assert there == ["http", "socks4a", "socks5h"]


def test_what_socks_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = parse_proxy(URL, "socks5://p:1")
    assert issubclass(socks_refusal(URL, proxy), Exception)
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ConnectFailed, match=r"wampy-stack\[proxy\]"):
        socks_refusal(URL, proxy)
