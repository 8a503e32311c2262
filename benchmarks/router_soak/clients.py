"""Clients of each transport and serializer, for both sides of the soak."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import cbor2
import msgspec

from benchmarks.bare_clients import BareClient

#: Seconds that an answer may take on a machine that does all it can.
ANSWER_S = 30.0


@dataclass(frozen=True)
class Where:
    """The Router's three listeners, as URLs."""

    unix: str
    ws: str
    tcp: str


class Client:
    """A session that sends lists and gives lists; blocks, never for ever."""

    def __init__(self, where: Where, way: str) -> None:
        if way == "unix":
            self._decode: Any = msgspec.msgpack.decode
            self._bare = BareClient(where.unix)
        elif way == "ws":
            self._decode = msgspec.json.decode
            self._bare = BareClient(where.ws)
        else:
            self._decode = cbor2.loads
            self._bare = BareClient(where.tcp, cbor2.dumps, 3)
        self.sock: socket.socket = self._bare.sock
        self.sock.settimeout(ANSWER_S)
        self.id = int(self._decode(self._bare.welcome)[1])
        self._next = 0

    def number(self) -> int:
        """Give the next request id."""
        self._next += 1
        return self._next

    def send(self, *messages: list[Any]) -> None:
        self._bare.send(*[self._bare.encode(one) for one in messages])

    def read(self) -> list[list[Any]]:
        """Read once; give what is whole."""
        return [self._decode(one) for one in self._bare.read()]

    def next(self) -> list[Any]:
        """Give the next message."""
        message: list[Any] = self._decode(self._bare.frame())
        return message

    def ask(self, code: int, *rest: Any) -> list[Any]:
        """Send a request; give its answer, passing over everything else that comes."""
        number = self.number()
        self.send([code, number, *rest])
        while True:
            message = self.next()
            if (message[0] == 8 and message[1:3] == [code, number]) or (
                message[0] in (17, 33, 35, 50, 65, 67) and message[1] == number
            ):
                return message

    def close(self) -> None:
        self.sock.close()


WAYS = ("unix", "ws", "tcp")
