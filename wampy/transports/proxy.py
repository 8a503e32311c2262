"""Proxies on the way to a Router: what their URLs mean, and what is said when one does not help."""

from __future__ import annotations

from dataclasses import dataclass, field

from wampy.errors import ConnectFailed, kind_of
from wampy.transports.address import checked_host

_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """Where a proxy listens, how one speaks to it there, and who asks it.

    Attributes:
        scheme: ``http`` (CONNECT), ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``.
        host, port: of the proxy.
        user: name and password, or None.
    """

    scheme: str
    host: str
    port: int
    user: tuple[str, str] | None = field(repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS, of any kind."""
        return self.scheme != "http"

    @property
    def resolves(self) -> bool:
        """Whether the proxy looks the Router's name up, rather than we."""
        return self.scheme in ("http", "socks4a", "socks5h")

    def through(self, url: str, reason: str) -> ConnectFailed:
        """Make the error for what went wrong on the way through it."""
        return ConnectFailed(url, f"through the proxy at {self.host}:{self.port}: {reason}")

    def refuses(self, url: str, reason: object) -> ConnectFailed:
        """Make the error for a proxy that says no."""
        return ConnectFailed(url, f"the proxy does not let us through: {reason}")

    def cannot_be_told(self, url: str) -> ConnectFailed:
        """Make the error for a name, a password or a host that its protocol has no way to say."""
        return self.through(
            url, f"user, password or host cannot be said in {self.scheme}: they are too long or odd"
        )


def parse_proxy(url: str, proxy: str) -> ProxyAddress:
    """Read a proxy's URL.

    Args:
        url: of the Router, for the error.
        proxy: ``scheme://user:password@host:port``, user and password quoted as in URLs.

    Raises:
        ConnectFailed: it is none of the known forms; says which are, and not what it is, for there
            may be a password in it.
    """
    from urllib.parse import unquote, urlsplit

    known = f"{', '.join(f'{scheme}://' for scheme in _SCHEMES)} with host and port"
    if not isinstance(proxy, str):
        raise ConnectFailed(url, f"the proxy is {kind_of(proxy)}; expected one of {known}")
    try:
        parts = urlsplit(proxy.strip())
        host, port = checked_host(parts.hostname or ""), parts.port
    except ValueError:  # its text has a part of what it did not understand
        raise ConnectFailed(
            url, f"the proxy's host or port is none; a proxy is one of {known}"
        ) from None
    if not host or not port or parts.scheme not in _SCHEMES:
        raise ConnectFailed(url, f"a proxy is one of {known}")
    user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return ProxyAddress(parts.scheme, host, port, user)


def socks_refusal(url: str, proxy: ProxyAddress) -> type[Exception]:
    """Give the exception by which python-socks says that a proxy says no.

    Raises:
        ConnectFailed: python-socks is not there.
    """
    try:
        from python_socks import ProxyError
    except ImportError as error:
        needed = f"a {proxy.scheme}:// proxy needs python-socks: pip install 'wampy-stack[proxy]'"
        raise ConnectFailed(url, needed) from error
    return ProxyError
