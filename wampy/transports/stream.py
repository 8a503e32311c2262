"""A connected socket with a codec: whole frames in, bytes out. Makes the connection, too.

Rules, for whoever uses a StreamTransport from several threads:

- One thread at a time calls ``receive``, one at a time calls ``send``; both may run at once.
- ``abort`` may be called from any thread, at any time: it ends the waits of the others. ``close``
  gives the descriptor back, and comes when nobody is in ``receive`` or ``send`` any more.
- An exception may come out of any line in the main thread (Ctrl-C, a signal handler that raises).
  CPython looks for signals at the beginning of a function, after a call and when it jumps back:
  so what a system call has done is noted in the very same breath, by ``(x,) = map(call, …)``,
  which calls, and stores, without a look in between. No byte is read, or sent, unnoticed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

from wampy.errors import ConnectFailed, ConnectionLost
from wampy.protocol.frames import Frame
from wampy.transports.address import Address, ConnectOptions
from wampy.transports.channel import channel_id_of
from wampy.transports.reasons import explain, why_not_connected, why_unusable

if TYPE_CHECKING:
    import ssl

#: Bytes asked for in one read: dozens of messages, or a long one. No more, for glibc has memory
#: from 128 KiB on mapped anew for each read, which takes longer than the read itself.
_READ_BYTES = 120_000
#: Reads while the socket has more, before the frames are handed on.
_READS_AT_ONCE = 16
#: Plain integers: what `socket` has are enums, and their arithmetic is Python code.
_SEND_FLAGS = (int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL),)
_READ_SIZES = (_READ_BYTES,)
_RECEIVE_FLAGS = (int(socket.MSG_DONTWAIT),)
_BOTH = int(socket.SHUT_RDWR)
#: How long a Router whose queue of connections is full is given, in seconds, before the next try.
BACKLOG_PAUSE_S = 0.005


class Codec(Protocol):
    """What a transport's framing can do; see WebSocketCodec."""

    #: Whether ``feed`` was interrupted half way, where it could not be put back.
    is_spoilt: bool

    def feed(self, data: bytes) -> list[Frame]:
        """Take what arrived, give the whole frames in it.

        Interrupted, it is as if it had not been called, or ``is_spoilt``.
        """

    def message(self, payload: bytes) -> bytes:
        """Give the frame that carries one message."""

    def ping(self) -> bytes | None:
        """Give a ping, or None where the Router would not understand it."""

    def pong(self, payload: bytes) -> bytes:
        """Give the answer to a ping."""

    def closing(self) -> bytes:
        """Give what is sent before the socket is closed; may be empty."""


class Transport(Protocol):
    """One connection to a Router, as a Link uses it; see StreamTransport."""

    url: str
    codec: Codec
    serializer_name: str
    max_send_bytes: int
    max_receive_bytes: int
    is_private: bool
    #: How much has come; whole frames or not.
    received_bytes: int

    @property
    def sent_bytes(self) -> int:
        """How much of what was sent is waiting here no more."""

    @property
    def is_tls(self) -> bool:
        """Whether it is TLS, up to the Router or what stands before it."""

    def channel_id(self) -> bytes | None:
        """Give what both ends know this TLS connection by; None where there is none."""

    def receive(self, timeout_s: float) -> list[Frame]:
        """Wait for whole frames, at most ``timeout_s``."""

    def send(self, data: bytes, stall_s: float) -> int:
        """Send whole frames; give how many bytes went out."""

    def under_way_bytes(self) -> int:
        """Give how much of that the other side has not taken yet."""

    def abort(self) -> None:
        """End the connection at once. Idempotent."""

    def close(self) -> None:
        """Give back what it holds. Idempotent."""


class StreamTransport:
    """One connection to a Router over a socket.

    Args:
        url: what was connected to, for errors.
        sock: connected, the handshake of the transport done; owned by this object from now on.
        codec: frames and unframes.
        serializer_name: what was agreed on: ``json``, ``msgpack`` or ``cbor``.
        max_send_bytes: the longest message that the Router takes.
        max_receive_bytes: the longest message that we take.
        is_private: nobody between here and the Router can read along: TLS, loopback, unix socket.
        first: bytes that came right behind the handshake.
    """

    def __init__(
        self,
        url: str,
        sock: socket.SocketType,
        codec: Codec,
        *,
        serializer_name: str,
        max_send_bytes: int,
        max_receive_bytes: int,
        is_private: bool,
        first: bytes = b"",
    ) -> None:
        self.url = url
        self.codec = codec
        self.serializer_name = serializer_name
        self.max_send_bytes = max_send_bytes
        self.max_receive_bytes = max_receive_bytes
        self.is_private = is_private
        #: How many octets came, of whole frames or not.
        self.received_bytes = 0
        #: How many octets the socket has taken since the handshake.
        self.sent_bytes = 0
        self._socket = sock
        #: What was read, and has not been unframed.
        self._first = first
        # An SSL object must not be used by two threads at once; its calls never wait here.
        # Re-entrant, since a signal handler may send while this thread is about to read.
        self._ssl_lock = threading.RLock() if hasattr(sock, "pending") else None
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)
        if self._ssl_lock:
            sock.setblocking(False)
        else:
            sock.settimeout(None)  # MSG_DONTWAIT says it call by call, and costs no poll

    @property
    def is_tls(self) -> bool:
        """Whether it is TLS, up to the Router or what stands before it."""
        return self._ssl_lock is not None

    def channel_id(self) -> bytes | None:
        """Give what both ends know this TLS connection by; None where there is none."""
        if self._ssl_lock is None:
            return None
        with self._ssl_lock:
            return channel_id_of(self._socket)

    def receive(self, timeout_s: float) -> list[Frame]:
        """Wait for data, at most ``timeout_s`` (>= 0); give the whole frames that it completes.

        Returns an empty list when the time is over, or when what came completes no frame.

        Raises:
            ConnectionLost: the other side is gone, or ``abort`` was called.
            RemoteProtocolError: what came is no frame.
        """
        if not self._first:
            try:
                if self._ssl_lock:
                    self._first = self._receive_tls(timeout_s)
                else:
                    if not self._readable.poll(timeout_s * 1000.0):
                        return []
                    (self._first,) = map(self._socket.recv, _READ_SIZES, _RECEIVE_FLAGS)
            except BlockingIOError:
                return []
            except (OSError, ValueError) as error:
                raise ConnectionLost(f"connection to {self.url} lost: {explain(error)}") from error
            if not self._first:
                raise ConnectionLost(f"connection to {self.url} lost: the router closed it")
            self.received_bytes += len(self._first)
        try:
            frames = self.codec.feed(self._first)
        except BaseException:
            if self.codec.is_spoilt:
                self.abort()
            raise
        self._first = b""
        return frames

    def _receive_tls(self, timeout_s: float) -> bytes:
        """Read what there is; wait once for more, for the socket may have half a record only."""
        import ssl

        assert self._ssl_lock is not None
        for wait_ms in (0.0, timeout_s * 1000.0):
            if wait_ms and not self._readable.poll(wait_ms):
                break
            pieces = []
            try:
                with self._ssl_lock:
                    for _ in range(_READS_AT_ONCE):
                        pieces.append(self._socket.recv(_READ_BYTES))
                        if not pieces[-1]:
                            break
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if wait_ms and not pieces:
                    self.received_bytes += 1  # of a record that is not whole: nobody knows how many
            except ssl.SSLZeroReturnError:
                pieces.append(b"")
            except OSError:
                raise
            except BaseException:
                self.abort()  # interrupted, in Python code of ssl's: what was read is lost
                raise
            if pieces:
                return b"".join(pieces)
        raise BlockingIOError

    def send(self, data: bytes, stall_s: float) -> int:
        """Send; give how many bytes went out: fewer than all only when ``stall_s`` is 0.

        Args:
            data: whole frames.
            stall_s: how long the other side may take nothing at all; 0 sends what can be sent
                without waiting.

        Raises:
            ConnectionLost: the other side is gone, or took nothing for ``stall_s``.
        """
        total = len(data)
        try:
            sent = count = self._send_some(data)
            while sent < total:
                if not count:
                    if stall_s <= 0:
                        return sent
                    if not self._writable.poll(stall_s * 1000.0):
                        raise ConnectionLost(
                            f"connection to {self.url} lost: "
                            f"the router took nothing for {stall_s:g} s"
                        )
                count = self._send_some(memoryview(data)[sent:])
                sent += count
            return sent
        except (OSError, ValueError) as error:
            if isinstance(error, ConnectionLost):
                raise
            raise ConnectionLost(f"connection to {self.url} lost: {explain(error)}") from error

    def _send_some(self, data: bytes | memoryview) -> int:
        try:
            if self._ssl_lock:
                return self._send_some_tls(data, self._ssl_lock)
            (count,) = map(self._socket.send, (data,), _SEND_FLAGS)
            self.sent_bytes += count
            return count
        except BlockingIOError:
            return 0

    def _send_some_tls(self, data: bytes | memoryview, lock: threading.RLock) -> int:
        import ssl

        try:
            with lock:
                count = self._socket.send(data)
                self.sent_bytes += count
                return count
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError:
            raise
        except BaseException:
            self.abort()  # as in _receive_tls: how much went out is not known
            raise

    def under_way_bytes(self) -> int:
        """Give how much the socket has taken and the other side has not."""
        return under_way_bytes(self._socket)

    def abort(self) -> None:
        """End the connection at once; who waits in it gets ConnectionLost. Idempotent."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown, which would drop the SSL object under the other threads.
            socket.SocketType.shutdown(self._socket, _BOTH)

    def close(self) -> None:
        """Give the descriptor back. Idempotent."""
        self.abort()
        self._socket.close()


class DeadlineSocket:
    """A socket whose every operation counts against one deadline, for handshakes.

    Reads ahead, so that a handshake read byte by byte is one system call; ``rest`` is what was read
    and not asked for.
    """

    def __init__(self, sock: socket.SocketType, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline
        self.rest = b""

    def _arm(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(remaining)

    def recv(self, count: int) -> bytes:
        """Give at most ``count`` bytes; empty at the end of the stream."""
        if not self.rest:
            self._arm()
            self.rest = self._socket.recv(4096)
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def recv_exactly(self, count: int) -> bytes:
        """Give ``count`` bytes, or fewer at the end of the stream."""
        data = b""
        while len(data) < count:
            piece = self.recv(count - len(data))
            if not piece:
                break
            data += piece
        return data

    def send(self, data: bytes) -> int:
        """Send all of ``data`` in one go: Crossbar wants a request line in one segment."""
        self._arm()
        self._socket.sendall(data)
        return len(data)

    def gettimeout(self) -> float:
        """Give the seconds that are left."""
        return max(0.001, self._deadline - time.monotonic())

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket below."""
        self._socket.close()

    def shutdown(self, how: int) -> None:
        """Shut the socket below down."""
        self._socket.shutdown(how)


def open_socket(
    address: Address, deadline: float, options: ConnectOptions
) -> tuple[socket.SocketType, bool]:
    """Connect; with TLS where the URL says so, the certificate and the name verified, always.

    Args:
        address: where to.
        deadline: monotonic seconds.
        options: certificates.

    Returns:
        the socket, and whether nobody between here and the Router can read along.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    try:
        if address.is_unix:
            return _connect_unix(address.path, deadline), True
        sock = _connect_tcp(address, deadline)
    except OSError as error:
        raise ConnectFailed(address.url, why_not_connected(error, address, options)) from error
    try:
        if not address.is_secure:
            return sock, is_loopback(str(sock.getpeername()[0]))
        return _wrap(sock, address, deadline, options), True
    except ConnectFailed:
        sock.close()
        raise
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectFailed(address.url, why_not_connected(error, address, options)) from error


def _connect_unix(path: str, deadline: float) -> socket.SocketType:
    # The plain C type: what socket.socket adds is of no use here, and each process pays for it.
    sock = socket.SocketType(int(socket.AF_UNIX), int(socket.SOCK_STREAM))
    try:
        while True:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                sock.connect(path)
            except BlockingIOError:
                # The Router's backlog is full: a unix socket says so instead of waiting.
                if time.monotonic() > deadline:
                    raise
                time.sleep(BACKLOG_PAUSE_S)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


def _connect_tcp(address: Address, deadline: float) -> socket.socket:
    remaining = max(0.001, deadline - time.monotonic())
    sock = socket.create_connection((address.host or "", address.port or 0), remaining)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _wrap(
    sock: socket.socket, address: Address, deadline: float, options: ConnectOptions
) -> ssl.SSLSocket:
    """Begin TLS. The certificate and the name are verified, always."""
    context = tls_context(address, options)
    sock.settimeout(max(0.001, deadline - time.monotonic()))
    return context.wrap_socket(sock, server_hostname=address.host)


def tls_context(address: Address, options: ConnectOptions) -> ssl.SSLContext:
    """Make what verifies the Router's certificate and name, always, and shows our own certificate.

    Raises:
        ConnectFailed: a file cannot be read, or is none of that kind; names it.
    """
    import ssl

    name = "ca"
    try:
        context = ssl.create_default_context(cafile=options.ca)
        if options.certificate is not None:
            name = "certificate"
            # A pass phrase would be asked for on the terminal: an empty one fails instead.
            context.load_cert_chain(options.certificate, options.key, password=lambda: "")
    except OSError as error:
        which, key, own = options.ca, "", None
        if name == "certificate":
            which = own = options.certificate
            key = f" with the key {options.key}" if options.key else ""
        reason = why_unusable(error, own, options.key)
        raise ConnectFailed(address.url, f"{name} {which}{key} cannot be used: {reason}") from error
    return context


def under_way_bytes(sock: socket.SocketType) -> int:
    """Give how much a socket has taken and the other side has not; 0 where that cannot be told.

    For unix sockets it is more than was sent, but nothing when nothing is left.
    """
    try:
        import fcntl
        import termios

        octets = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (ImportError, AttributeError, OSError, ValueError):
        return 0  # not on this system, or it is closed
    return int.from_bytes(octets, sys.byteorder)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"
