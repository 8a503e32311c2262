"""RawSocket on TCP, TLS and unix sockets; the framing itself is ``wampy.protocol.rawsocket``."""

from __future__ import annotations

from collections.abc import Sequence

from wampy.errors import ConnectFailed, RemoteProtocolError
from wampy.protocol import rawsocket
from wampy.protocol.frames import FrameKind
from wampy.transports.address import Address, ConnectOptions
from wampy.transports.reasons import hung_up, why_not_connected
from wampy.transports.stream import DeadlineSocket, StreamTransport, open_socket

#: The longest message that we take: 2**24 bytes, the most that RawSocket can say.
_MAX_LENGTH_EXPONENT = 15
MAX_RECEIVE_BYTES = 2**24
#: The most that the three octets of a length can say.
MAX_SEND_BYTES = 2**24 - 1
_SERIALIZER_IDS = {
    "json": rawsocket.SERIALIZER_JSON,
    "msgpack": rawsocket.SERIALIZER_MSGPACK,
    "cbor": rawsocket.SERIALIZER_CBOR,
}


class RawSocketCodec:
    """Frames and unframes the messages of one RawSocket connection."""

    is_spoilt = False

    def __init__(self) -> None:
        #: Takes what arrived, gives the whole frames in it, in order.
        self.feed = rawsocket.FrameReader(MAX_RECEIVE_BYTES).feed

    def message(self, payload: bytes) -> bytes:
        """Give the frame that carries one message."""
        return len(payload).to_bytes(4, "big") + payload

    def ping(self) -> bytes | None:
        """Give None: Crossbar takes a PING for a message that is too long, and hangs up."""
        return None

    def pong(self, payload: bytes) -> bytes:
        """Give the answer to a ping."""
        return rawsocket.frame(FrameKind.PONG, payload)

    def closing(self) -> bytes:
        """Give nothing: RawSocket just closes."""
        return b""


def handshake_of(name: str) -> tuple[bytes, int]:
    """Give the octets that offer a serializer, and its id."""
    serializer_id = _SERIALIZER_IDS[name]
    return rawsocket.handshake_request(serializer_id, _MAX_LENGTH_EXPONENT), serializer_id


def max_send_bytes(announced_bytes: int) -> int:
    """Give the longest message for a Router that has announced so much."""
    return min(announced_bytes, MAX_SEND_BYTES)


def connect_rawsocket(
    address: Address, serializers: Sequence[str], deadline: float, options: ConnectOptions
) -> StreamTransport:
    """Connect and shake hands; once for each serializer until the Router takes one.

    Args:
        address: where to.
        serializers: names, the preferred one first.
        deadline: monotonic seconds.
        options: certificates and proxy.

    Raises:
        ConnectFailed: with the URL and the reason.
    """
    refusal: RemoteProtocolError | None = None
    for name in serializers:
        sock, is_private = open_socket(address, deadline, options)
        try:
            guarded = DeadlineSocket(sock, deadline)
            request, serializer_id = handshake_of(name)
            guarded.send(request)
            octets = guarded.recv_exactly(rawsocket.HANDSHAKE_SIZE)
            if not octets:
                raise ConnectFailed(address.url, hung_up(address, options))
            reply = rawsocket.parse_handshake_reply(octets)
            if reply.serializer_id != serializer_id:
                raise RemoteProtocolError("the router chose a serializer that was not offered")
        except RemoteProtocolError as error:
            sock.close()
            refusal = error
            continue
        except OSError as error:
            sock.close()
            raise ConnectFailed(address.url, why_not_connected(error, address, options)) from error
        except BaseException:
            sock.close()
            raise
        return StreamTransport(
            address.url,
            sock,
            RawSocketCodec(),
            serializer_name=name,
            max_receive_bytes=MAX_RECEIVE_BYTES,
            max_send_bytes=max_send_bytes(reply.max_bytes),
            is_private=is_private,
            first=guarded.rest,
        )
    raise ConnectFailed(address.url, str(refusal)) from refusal
