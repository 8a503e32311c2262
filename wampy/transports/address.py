"""Router URLs: what they mean, and what is wrong with one that means nothing."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from wampy.errors import ConnectFailed, kind_of

#: Scheme -> (is WebSocket, is TLS, default port).
_SCHEMES = {
    "ws": (True, False, 80),
    "wss": (True, True, 443),
    "tcp": (False, False, None),
    "tcps": (False, True, None),
    "unix": (False, False, None),
    "memory": (False, False, None),
}
#: What stays as it is in a path and a query: RFC 3986, and what is encoded already.
_PLAIN = "/?%:@!$&'()*+,;=-._~"
#: RFC 1035, 2.3.4.
_LONGEST_LABEL = 63
_EXPECTED = "expected ws://, wss://, tcp://host:port, tcps://host:port or unix:///path"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Router listens, and how one speaks to it there.

    ``host`` and ``port`` are None for a unix socket, whose file is ``path``; for WebSocket ``path``
    is the resource, query included, as it goes over the wire. ``url`` is what was given, for
    people, without blanks around it.
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
        """Host and port, as HTTP has them."""
        host = self.host or ""
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
        for name in ("ca", "certificate", "key"):
            file = getattr(self, name)
            if file is not None and not isinstance(file, str | PathLike):
                raise ConnectFailed(
                    address.url, f"{name} is {kind_of(file)}; expected the path of a file"
                )
        if self.key is not None and self.certificate is None:
            raise ConnectFailed(address.url, "a key was given, and no certificate")
        if self.certificate is not None and not address.is_secure:
            raise ConnectFailed(
                address.url, "a certificate is for wss:// and tcps:// only; this URL has no TLS"
            )
        if self.ca is not None and not address.is_secure:
            raise ConnectFailed(
                address.url, "a ca is for wss:// and tcps:// only; this URL has no TLS"
            )
        if self.proxy is not None:
            from wampy.transports.proxy import parse_proxy  # few have one

            if not address.is_websocket:
                raise ConnectFailed(address.url, "a proxy is for ws:// and wss:// only")
            parse_proxy(address.url, self.proxy)


def parse_url(url: str) -> Address:
    """Read a Router's URL. Blanks around it do not count; in its path they are percent-encoded.

    Raises:
        ConnectFailed: it is none of the known forms; the error says which are.
    """
    url = url.strip()
    if url.startswith("unix:///") and "%" not in url and url.isprintable():
        # What each process of a stack has: its memory is spared what urllib would touch.
        return Address(url, "unix", None, None, url[len("unix://") :], False, False)
    if url.startswith("memory://"):
        return Address(url, "memory", None, None, url[len("memory://") :], False, False)
    from urllib.parse import quote, unquote, urlsplit

    if not url:
        raise ConnectFailed("''", f"the URL is empty; {_EXPECTED}")
    if any(character < " " or character == "\x7f" for character in url):
        # urllib would drop some of them without a word.
        raise ConnectFailed(repr(url), "there is a control character in the URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConnectFailed(_without_credentials(url), f"this is no URL: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ConnectFailed(
            _without_credentials(url), "credentials do not belong in a URL; use authid and ticket"
        )
    if parts.scheme not in _SCHEMES:
        what = f"unknown scheme {parts.scheme!r}" if parts.scheme else "it has no scheme"
        raise ConnectFailed(url, f"{what}; {_EXPECTED}")
    is_websocket, is_secure, default_port = _SCHEMES[parts.scheme]
    if parts.scheme == "unix":
        # unix:relative/path and unix://relative/path are accepted too: what else could they mean.
        path = unquote(parts.netloc + parts.path)
        if not path or "\0" in path:
            raise ConnectFailed(url, "the path of the socket is missing: unix:///path")
        return Address(url, parts.scheme, None, None, path, False, False)
    if not parts.hostname:
        raise ConnectFailed(url, f"the host is missing; {_EXPECTED}")
    try:
        host = checked_host(parts.hostname)
    except ValueError as error:
        raise ConnectFailed(url, f"{parts.hostname!r} is no host: {error}") from error
    if port is None:
        port = default_port
    if not port:
        what = "the port is missing" if port is None else "there is no port 0"
        raise ConnectFailed(url, f"{what}: {parts.scheme}://host:port")
    path = quote(parts.path or "/", _PLAIN)
    if parts.query:
        path = f"{path}?{quote(parts.query, _PLAIN)}"
    return Address(url, parts.scheme, host, port, path, is_websocket, is_secure)


def checked_host(host: str) -> str:
    """Give a host as it is asked for: internationalized names in ASCII.

    Raises:
        ValueError: it is none; says why.
    """
    if any(character.isspace() for character in host):
        raise ValueError("there is a blank in it")
    labels = host.removesuffix(".").split(".") if host else []
    if not all(labels):
        raise ValueError("there is nothing between two of its dots")
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        long = max(labels, key=len)
        if len(long) > _LONGEST_LABEL:
            raise ValueError(
                f"a part between its dots has more than {_LONGEST_LABEL} characters"
            ) from None
        raise ValueError("it has characters that no name may have") from None


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
