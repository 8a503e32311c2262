"""Router URLs: what they mean, and what is wrong with one that means nothing."""

from __future__ import annotations

from dataclasses import dataclass

from wampy.errors import ConnectFailed

#: Scheme -> (is WebSocket, is TLS, default port).
_SCHEMES = {
    "ws": (True, False, 80),
    "wss": (True, True, 443),
    "tcp": (False, False, None),
    "tcps": (False, True, None),
    "unix": (False, False, None),
    "memory": (False, False, None),
}
_EXPECTED = "expected ws://, wss://, tcp://host:port, tcps://host:port or unix:///path"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Router listens, and how one speaks to it there.

    ``host`` and ``port`` are None for a unix socket, whose file is ``path``; for WebSocket ``path``
    is the resource, query included.
    """

    url: str
    scheme: str
    host: str | None
    port: int | None
    path: str
    is_websocket: bool
    is_secure: bool

    @property
    def is_unix(self) -> bool:
        """Whether this is a unix socket."""
        return self.scheme == "unix"

    @property
    def is_memory(self) -> bool:
        """Whether the Router is in this process, under the name that is ``path``."""
        return self.scheme == "memory"

    @property
    def authority(self) -> str:
        """Host and port as HTTP wants them, in ASCII.

        Raises:
            ValueError: the host is no name.
        """
        host = (self.host or "").encode("idna").decode("ascii")
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How a Router is reached, beside its URL.

    Attributes:
        ca: a file of certificates to trust instead of the system's, or None.
        certificate: a file with the certificate, and what led to it, that we show; or None.
        key: the file of its private key; None: it is in the same file.
        proxy: ``http://user:password@host:port``, or ``socks5://``, ``socks5h://``, ``socks4://``,
            ``socks4a://``; for WebSocket only. None: directly.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        """Without the proxy, which may have a password in it."""
        return f"ConnectOptions(ca={self.ca!r}, certificate={self.certificate!r}, key={self.key!r})"

    def check(self, address: Address) -> None:
        """Refuse what would not be used.

        Raises:
            ConnectFailed: it does not go with the address, or the proxy's URL is none.
        """
        if self.key is not None and self.certificate is None:
            raise ConnectFailed(address.url, "a key was given, and no certificate")
        if self.certificate is not None and not address.is_secure:
            raise ConnectFailed(
                address.url, "a certificate is for wss:// and tcps:// only; this URL has no TLS"
            )
        if self.proxy is not None:
            from wampy.transports.proxy import parse_proxy  # few have one

            if not address.is_websocket:
                raise ConnectFailed(address.url, "a proxy is for ws:// and wss:// only")
            parse_proxy(address.url, self.proxy)


def parse_url(url: str) -> Address:
    """Read a Router's URL.

    Raises:
        ConnectFailed: it is none of the known forms; the error says which are.
    """
    if url.startswith("unix:///") and "%" not in url:
        # What each process of a stack has: its memory is spared what urllib would touch.
        return Address(url, "unix", None, None, url[len("unix://") :], False, False)
    if url.startswith("memory://"):
        return Address(url, "memory", None, None, url[len("memory://") :], False, False)
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConnectFailed(url, f"this is no URL: {error}") from error
    if parts.scheme not in _SCHEMES:
        raise ConnectFailed(url, f"unknown scheme {parts.scheme!r}; {_EXPECTED}")
    is_websocket, is_secure, default_port = _SCHEMES[parts.scheme]
    if parts.username is not None or parts.password is not None:
        raise ConnectFailed(
            _without_credentials(url), "credentials do not belong in a URL; use authid and ticket"
        )
    if parts.scheme == "unix":
        # unix:relative/path and unix://relative/path are accepted too: what else could they mean.
        path = unquote(parts.netloc + parts.path)
        if not path:
            raise ConnectFailed(url, "the path of the socket is missing: unix:///path")
        return Address(url, parts.scheme, None, None, path, False, False)
    if not parts.hostname:
        raise ConnectFailed(url, f"the host is missing; {_EXPECTED}")
    if port is None:
        port = default_port
    if port is None:
        raise ConnectFailed(url, "the port is missing: tcp://host:port")
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    return Address(url, parts.scheme, parts.hostname, port, path, is_websocket, is_secure)


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
