"""Connections to Routers for asyncio: a Protocol that frames and unframes, and its handshakes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import h11
from wsproto.utilities import generate_accept_token, generate_nonce

from wampy.aio.proxy import asyncios, open_tunnel
from wampy.errors import ConnectFailed, ConnectionLost, RemoteProtocolError, WampyError
from wampy.protocol import rawsocket
from wampy.protocol.frames import Frame
from wampy.session.link import LAST_S
from wampy.transports.address import Address, ConnectOptions
from wampy.transports.channel import channel_id_of
from wampy.transports.frames import WebSocketCodec
from wampy.transports.proxy import ProxyAddress, parse_proxy
from wampy.transports.rawsocket import MAX_RECEIVE_BYTES as RAW_RECEIVE_BYTES
from wampy.transports.rawsocket import RawSocketCodec, handshake_of, max_send_bytes
from wampy.transports.reasons import explain, hung_up, why_not_connected
from wampy.transports.stream import (
    BACKLOG_PAUSE_S,
    Codec,
    is_loopback,
    tls_context,
    under_way_bytes,
)
from wampy.transports.websocket import (
    MAX_RECEIVE_BYTES,
    MAX_SEND_BYTES,
    WRONG_ANSWER,
    agreed,
    offered,
    refused,
)

if TYPE_CHECKING:
    import ssl

#: What may wait to be sent before who posts more has to wait, too.
_HIGH_WATER_BYTES = 2**20


class AsyncTransport(asyncio.Protocol):
    """One connection; what a Link sends by. Everything in the loop's thread.

    Attributes:
        on_frames: called with the whole frames, or none, in whatever came; until it is set, that is
            for the handshake.
        on_lost: called once, when the connection is over.
        may_write: set while the Router takes what is sent, and when it never will again.
    """

    codec: Codec
    serializer_name: str
    max_send_bytes: int
    max_receive_bytes: int

    def __init__(self, address: Address, *, is_tunnelled: bool = False) -> None:
        self.url = address.url
        self.is_tls = address.is_secure
        #: Whether nobody between here and the Router can read along.
        self.is_private = address.is_unix or address.is_secure or address.is_memory
        # What goes through somebody else's machine is private with TLS only.
        self._may_be_loopback = not (self.is_private or is_tunnelled)
        self.on_frames: Callable[[list[Frame]], None] | None = None
        self.on_lost: Callable[[WampyError], None] | None = None
        #: How many bytes asyncio has taken, and under_way_bytes says what it still has of them.
        self.sent_bytes = 0
        self._transport: Any = None
        self._received = bytearray()
        self._news = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_write.set()
        self._gone = asyncio.Event()
        self._fault: WampyError | None = None

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: Any) -> None:
        """Take note of the connection."""
        self._transport = transport
        transport.set_write_buffer_limits(_HIGH_WATER_BYTES)
        peer = transport.get_extra_info("peername")  # None where it has hung up already
        if self._may_be_loopback and peer:
            self.is_private = is_loopback(str(peer[0]))

    def data_received(self, data: bytes) -> None:
        """Unframe what came, and hand it on."""
        if self.on_frames is None:
            self._received += data
            self._news.set()
            return
        try:
            frames = self.codec.feed(data)
        except WampyError as error:
            self.fail(error)
        else:
            # Without a whole one, too: it is a sign of life.
            self.on_frames(frames)

    def connection_lost(self, error: Exception | None) -> None:
        """Say that the connection is over."""
        self._gone.set()
        why = explain(error) if error is not None else "the router hung up"
        lost = ConnectionLost(f"connection to {self.url} lost: {why}")
        lost.__cause__ = error
        self.fail(lost)

    def pause_writing(self) -> None:
        """Let who posts wait."""
        self.may_write.clear()

    def resume_writing(self) -> None:
        """Let who posts go on."""
        self.may_write.set()

    # ------------------------------------------------------------------ what we do with it

    def fail(self, error: WampyError) -> None:
        """Take note why the connection is over. Idempotent: the first reason counts."""
        if self._fault is None:
            self._fault = error
            self._news.set()
            self.may_write.set()
            if self.on_lost is not None:
                self.on_lost(error)

    def channel_id(self) -> bytes | None:
        """Give what both ends know this TLS connection by; None where there is none."""
        return channel_id_of(self._transport.get_extra_info("ssl_object"))

    def begin(
        self, on_frames: Callable[[list[Frame]], None], on_lost: Callable[[WampyError], None]
    ) -> None:
        """Hand on what comes from now on, and what came behind the handshake."""
        self.on_frames, self.on_lost = on_frames, on_lost
        rest, self._received = bytes(self._received), bytearray()
        if rest:
            self.data_received(rest)
        if self._fault is not None:
            on_lost(self._fault)

    def send(self, data: bytes, stall_s: float) -> int:
        """Send; does not wait: see ``may_write``. Gives how many bytes that were."""
        if not self._transport.is_closing():
            self._transport.write(data)
        self.sent_bytes += len(data)
        return len(data)

    def under_way_bytes(self) -> int:
        """Give how much was sent and the other side has not taken."""
        waiting = int(self._transport.get_write_buffer_size())
        return waiting + under_way_bytes(self._transport.get_extra_info("socket"))

    def abort(self) -> None:
        """End the connection; what was sent last still goes out, if that takes a moment only.

        Idempotent.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            # asyncio waits for ever for who takes nothing.
            asyncio.get_running_loop().call_later(LAST_S, self._transport.abort)

    async def wait_gone(self) -> None:
        """Wait until the descriptor is given back, after ``abort``: LAST_S at most."""
        await self._gone.wait()

    def close(self) -> None:
        """The same: asyncio gives the descriptor back."""
        self.abort()

    async def read_handshake(self, count: int) -> bytes:
        """Take up to ``count`` bytes of what came, at least one.

        Raises:
            ConnectionLost: there is no more.
        """
        while not self._received:
            if self._fault is not None:
                raise self._fault
            self._news.clear()
            await self._news.wait()
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def give_back(self, data: bytes) -> None:
        """Put back what was read and belongs behind the handshake."""
        self._received[:0] = data


async def connect_async(
    address: Address, serializers: Sequence[str], deadline: float, options: ConnectOptions
) -> AsyncTransport:
    """Connect to a Router, the transport's handshake included; as ``wampy.transports.connect``.

    Args:
        address: where to, and how.
        serializers: names, the preferred one first; the Router chooses.
        deadline: monotonic seconds; for all of it together.
        options: certificates and proxy.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    if address.is_memory:
        return _in_memory(address, serializers)
    proxy = None
    if options.proxy is not None:
        proxy = parse_proxy(address.url, options.proxy)
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await _connect(address, serializers, options, proxy, deadline)
    except TimeoutError as error:
        reason = explain(error)
        if proxy is not None:
            raise proxy.through(address.url, reason) from error
        raise ConnectFailed(address.url, reason) from error


async def _connect(
    address: Address,
    serializers: Sequence[str],
    options: ConnectOptions,
    proxy: ProxyAddress | None,
    deadline: float,
) -> AsyncTransport:
    context = tls_context(address, options) if address.is_secure else None
    if proxy is not None:
        sock = await open_tunnel(address, proxy, deadline)
        try:
            transport = await _open(address, options, context, sock)
            return await _guarded(
                transport, _upgrade(transport, address, serializers), address, options
            )
        except ConnectFailed as error:
            raise proxy.through(address.url, error.reason) from error.__cause__
    if address.is_websocket:
        transport = await _open(address, options, context)
        return await _guarded(
            transport, _upgrade(transport, address, serializers), address, options
        )
    refusal: RemoteProtocolError | None = None
    for name in serializers:
        transport = await _open(address, options, context)
        try:
            return await _guarded(transport, _shake_hands(transport, name), address, options)
        except RemoteProtocolError as error:
            refusal = error
    raise ConnectFailed(address.url, str(refusal)) from refusal


def _in_memory(address: Address, serializers: Sequence[str]) -> AsyncTransport:
    from wampy.aio.memory import MemoryPipe  # for tests

    transport = AsyncTransport(address)
    _speak_rawsocket(transport, MemoryPipe(transport, address, serializers).serializer_name)
    return transport


def _speak_rawsocket(
    transport: AsyncTransport, serializer: str, announced_bytes: int = RAW_RECEIVE_BYTES
) -> None:
    transport.codec = RawSocketCodec()
    transport.serializer_name = serializer
    transport.max_send_bytes = max_send_bytes(announced_bytes)
    transport.max_receive_bytes = RAW_RECEIVE_BYTES


async def _open(
    address: Address,
    options: ConnectOptions,
    context: ssl.SSLContext | None,
    tunnel: socket.socket | None = None,
) -> AsyncTransport:
    """Connect, or go on with a socket that is connected through a proxy; TLS where it is wanted."""
    loop = asyncio.get_running_loop()

    def make() -> AsyncTransport:
        return AsyncTransport(address, is_tunnelled=tunnel is not None)

    try:
        if tunnel is not None:
            # The name that the certificate is to have is the Router's, whoever the socket leads to.
            name = address.host if context is not None else None
            _, transport = await loop.create_connection(
                make, sock=tunnel, ssl=context, server_hostname=name
            )
        elif address.is_unix:
            sock = await _reach_unix(address.path)
            _, transport = await loop.create_unix_connection(make, sock=sock)
        else:
            _, transport = await loop.create_connection(
                make, address.host or "", address.port or 0, ssl=context
            )
    except (OSError, ValueError) as error:
        reason = asyncios(error) or why_not_connected(error, address, options)
        raise ConnectFailed(address.url, reason) from error
    return transport


async def _reach_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                # The Router's backlog is full. asyncio would take this for a connection on its way,
                # and find that it has none when it writes.
                await asyncio.sleep(BACKLOG_PAUSE_S)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


async def _guarded(
    transport: AsyncTransport, handshake: Any, address: Address, options: ConnectOptions
) -> AsyncTransport:
    """Run a handshake; close the connection where it fails."""
    try:
        await handshake
    except ConnectionLost as error:
        transport.abort()
        cause = error.__cause__
        reason = why_not_connected(cause, address, options) if cause else None
        raise ConnectFailed(transport.url, reason or hung_up(address, options)) from error
    except BaseException:
        transport.abort()
        raise
    return transport


async def _shake_hands(transport: AsyncTransport, name: str) -> None:
    """Offer one serializer on RawSocket.

    Raises:
        RemoteProtocolError: the Router does not take it.
    """
    request, serializer_id = handshake_of(name)
    transport.send(request, 0.0)
    octets = b""
    while len(octets) < rawsocket.HANDSHAKE_SIZE:
        octets += await transport.read_handshake(rawsocket.HANDSHAKE_SIZE - len(octets))
    reply = rawsocket.parse_handshake_reply(octets)
    if reply.serializer_id != serializer_id:
        raise RemoteProtocolError("the router chose a serializer that was not offered")
    _speak_rawsocket(transport, name, reply.max_bytes)


async def _upgrade(transport: AsyncTransport, address: Address, serializers: Sequence[str]) -> None:
    """Become a WebSocket: RFC 6455, 4.1.

    Raises:
        ConnectFailed: the Router does not want that.
    """
    nonce = generate_nonce()
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET",
        target=address.path,
        headers=[
            ("Host", address.authority),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", nonce.decode()),
            ("Sec-WebSocket-Protocol", offered(serializers)),
        ],
    )
    transport.send(connection.send(request) or b"", 0.0)
    event: Any = h11.NEED_DATA
    try:
        while event is h11.NEED_DATA:
            connection.receive_data(await transport.read_handshake(65536))
            event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise ConnectFailed(address.url, f"it does not speak WebSocket there: {error}") from error
    status = getattr(event, "status_code", None)
    if status != 101:
        raise refused(address, status)
    headers = {key.decode("latin1"): value.decode("latin1") for key, value in event.headers}
    is_right = headers.get("sec-websocket-accept", "").encode() == generate_accept_token(nonce)
    for header, token in (("upgrade", "websocket"), ("connection", "upgrade")):
        tokens = [one.strip().lower() for one in headers.get(header, "").split(",")]
        is_right = is_right and token in tokens
    if not is_right:
        raise ConnectFailed(address.url, WRONG_ANSWER)
    transport.give_back(connection.trailing_data[0])
    name = agreed(address, headers, serializers)
    transport.codec = WebSocketCodec(is_binary=name != "json", max_receive_bytes=MAX_RECEIVE_BYTES)
    transport.serializer_name = name
    transport.max_send_bytes = MAX_SEND_BYTES
    transport.max_receive_bytes = MAX_RECEIVE_BYTES
