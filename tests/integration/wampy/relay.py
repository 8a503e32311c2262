"""A relay between clients and a Router, that breaks as connections break."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("certificates") / "localhost.pem"
KEY = CERTIFICATE.with_suffix(".key")


class Relay:
    """Listens on a port of its own and passes bytes on, both ways, as long as it is told to.

    Args:
        port: of the Router, on this machine.
        is_tls: whether clients speak TLS with the relay.
        is_tls_behind: whether the relay speaks TLS with the Router, another one than with clients.
        rate: how many bytes a second it passes on; 0: as many as come.
    """

    def __init__(
        self, port: int, *, is_tls: bool = False, is_tls_behind: bool = False, rate: int = 0
    ) -> None:
        self._target = port
        self._rate = rate
        self._context = self._context_behind = None
        if is_tls_behind:
            self._context_behind = ssl.create_default_context(cafile=str(CERTIFICATE))
        if is_tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE, KEY)
        self._lock = threading.Lock()  # guards _pairs
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ghosts: list[socket.socket] = []
        self._passing = threading.Event()
        self._passing.set()
        self._accepting = threading.Event()
        self._accepting.set()
        self._pause = threading.Event()
        self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        if rate:
            # What waits in between is neither side's any more.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rate // 20)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._accepting.is_set():
                client.close()
                continue
            self.accepted += 1
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        try:
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
            router = socket.create_connection(("127.0.0.1", self._target))
            if self._context_behind is not None:
                router = self._context_behind.wrap_socket(router, server_hostname="localhost")
        except OSError:
            client.close()
            return
        with self._lock:
            self._pairs.append((client, router))
        with contextlib.suppress(OSError, ValueError), client, router:
            while True:
                ready, _, _ = select.select([client, router], [], [], 0.1)
                self._passing.wait()
                for source in ready:
                    data = source.recv(self._rate // 50 or 65536)
                    if not data:
                        return
                    if self._rate:
                        self._pause.wait(len(data) / self._rate)
                    (router if source is client else client).sendall(data)

    def cut(self, sides: tuple[str, ...] = ("client", "router")) -> None:
        """End all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for side, sock in zip(("client", "router"), pair, strict=True):
                if side in sides:
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """End all connections for the clients only: to the Router they seem to live on."""
        with self._lock:
            self._ghosts += [router.dup() for _, router in self._pairs]
        self.cut(("client",))

    def refuse(self) -> None:
        """Hang up on whoever connects, from now on."""
        self._accepting.clear()

    def accept(self) -> None:
        """Take connections again."""
        self._accepting.set()

    def freeze(self) -> None:
        """Pass nothing on, and say nothing: half-open connections."""
        self._passing.clear()

    def thaw(self) -> None:
        """Pass on again."""
        self._passing.set()

    def close(self) -> None:
        """End everything."""
        self._is_closed = True
        self._pause.set()
        self._passing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for ghost in self._ghosts:
            ghost.close()
