"""Sockets that listen, on TCP, TLS and unix."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from struct import Struct
from typing import Any

from wampy.errors import WampyError
from wampy.router.config import Limits, Listener, Tls
from wampy.transports.reasons import why_unusable

_BACKLOG = 1024
#: Looks of the kernel at a silent link, see ``_keep_alive``.
_LOOKS = 3
#: What the kernel tells of who is at the other end of a unix socket: pid, uid, gid.
_CREDENTIALS = Struct("3i")


class ListenError(WampyError):
    """A listener cannot be opened; the text names it and says why."""


class Listening:
    """One socket that listens."""

    def __init__(
        self, listener: Listener, sock: socket.socket, tls: ssl.SSLContext | None, limits: Limits
    ) -> None:
        self.listener = listener
        self._limits = limits
        self.sock = sock
        self._tls = tls
        self._inode = os.stat(listener.unix_path).st_ino if listener.unix_path else 0

    @property
    def url(self) -> str:
        """Where clients connect: ``unix://…`` for RawSocket, ``ws://…`` or ``wss://…``."""
        listener = self.listener
        if listener.unix_path is not None:
            return f"unix://{listener.unix_path}"
        host = f"[{listener.host}]" if ":" in listener.host else listener.host
        scheme = "wss" if listener.tls else "ws"
        return f"{scheme}://{host}:{self.port}{listener.path}"

    @property
    def port(self) -> int:
        """The TCP port, known even where 0 was asked for; 0 for a unix socket."""
        return 0 if self.listener.unix_path else int(self.sock.getsockname()[1])

    def accept(self) -> tuple[socket.socket, str]:
        """Give the next connection, non-blocking, and who it is: ``unix:PID``, ``tcp:HOST:PORT``.

        Raises:
            BlockingIOError: there is none.
            OSError: it could not be taken.
        """
        sock, address = self.sock.accept()
        try:
            return self._prepared(sock, address)
        except BaseException:
            sock.close()
            raise

    def _prepared(self, sock: socket.socket, address: Any) -> tuple[socket.socket, str]:
        sock.setblocking(False)
        if self.listener.unix_path is not None:
            pid, _, _ = _CREDENTIALS.unpack(
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            return sock, f"unix:{pid}"
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._keep_alive(sock)
        peer = f"tcp:{address[0]}:{address[1]}"
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, peer

    def _keep_alive(self, sock: socket.socket) -> None:
        """Have the kernel find out half-open links, as pings would.

        RawSocket has no ping that every client takes. After as much silence as is asked for the
        kernel looks, so often that it is sure when the time of a ping would be up; and what was
        sent must have been taken by then.
        """
        limits = self._limits
        look_s = max(1, round(limits.ping_timeout_s / _LOOKS))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_KEEPIDLE, max(1, round(limits.ping_interval_s))),
            (socket.TCP_KEEPINTVL, look_s),
            (socket.TCP_KEEPCNT, _LOOKS),
            (
                socket.TCP_USER_TIMEOUT,
                round(1000 * (limits.ping_interval_s + limits.ping_timeout_s)),
            ),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def close(self) -> None:
        """Listen no more; a unix socket's file goes, if it is still ours."""
        self.sock.close()
        path = self.listener.unix_path
        if path is not None:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == self._inode:
                    path.unlink()


def listen(listener: Listener, limits: Limits) -> Listening:
    """Open a listener.

    Raises:
        ListenError: it cannot be opened.
    """
    tls = None if listener.tls is None else _tls_context(listener.tls)
    if listener.unix_path is not None:
        return Listening(listener, _listen_unix(listener), tls, limits)
    where = f"{listener.host}:{listener.port}"
    if not 0 <= listener.port <= 65535:
        # getaddrinfo would take another port instead.
        raise ListenError(f"cannot listen on {where}: a port is from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(
            listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(_BACKLOG)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ListenError(f"cannot listen on {where}: {reason}") from error
    return Listening(listener, sock, tls, limits)


def _listen_unix(listener: Listener) -> socket.socket:
    path = listener.unix_path
    assert path is not None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _is_served(str(path)):
            path.unlink()
        sock.bind(str(path))
        # Nobody can connect until it listens; a umask would be the whole process's.
        path.chmod(0o600)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error
    return sock


def _is_served(path: str) -> bool:
    """Whether somebody takes connections there: a leftover file is nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        # Anything else may be somebody who is busy.
        return probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


def _tls_context(files: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        why = why_unusable(error, str(files.certificate), str(files.key))
        raise ListenError(f"TLS: {files.certificate}, {files.key}: {why}") from error
    return context
