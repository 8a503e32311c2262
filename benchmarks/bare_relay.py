"""The least that a Router can do for a call, to compare with: ``bare_relay.py PATH``.

RawSocket and MessagePack on a unix socket. It gives everybody a WELCOME and each REGISTER a number,
hands CALLs to the callees in turns and their YIELDs back, arguments undecoded. It checks nothing,
knows one procedure, and waits for nobody: what a Router takes beyond this is the price of being
one.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from itertools import count, cycle
from typing import Any

import msgspec

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(tuple[int, Any, msgspec.Raw, Any, msgspec.Raw]).decode
decode_yield = msgspec.msgpack.Decoder(tuple[int, int, msgspec.Raw, msgspec.Raw]).decode
decode_any = msgspec.msgpack.Decoder().decode
_YIELD = b"\x94\x46"
_CALL = b"\x95\x30"


class Relay:
    """Everything in one loop."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(128)
        self._poller = select.epoll()
        self._poller.register(self._listener.fileno(), select.EPOLLIN)
        self._socks: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self._callees: list[int] = []
        self._turn: Any = None
        self._numbers = count(1)
        self._calls: dict[int, tuple[int, int]] = {}

    def run(self) -> None:
        while True:
            out: dict[int, list[bytes]] = {}
            for fd, _ in self._poller.poll():
                if fd == self._listener.fileno():
                    sock, _ = self._listener.accept()
                    sock.recv(4)
                    sock.sendall(b"\x7f\xf2\0\0")
                    self._socks[sock.fileno()] = sock
                    self._rest[sock.fileno()] = b""
                    self._poller.register(sock.fileno(), select.EPOLLIN)
                else:
                    self._read(fd, out)
            for fd, frames in out.items():
                if fd not in self._socks:
                    continue
                with contextlib.suppress(OSError):
                    self._socks[fd].sendall(b"".join(frames))

    def _read(self, fd: int, out: dict[int, list[bytes]]) -> None:
        try:
            data = self._socks[fd].recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._poller.unregister(fd)
            self._socks.pop(fd).close()
            if fd in self._callees:
                self._callees.remove(fd)
                self._turn = cycle(self._callees)
            return
        data = self._rest[fd] + data
        at = 0
        while len(data) - at >= 4:
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if end > len(data):
                break
            to, message = self._handle(fd, data[at + 4 : end])
            out.setdefault(to, []).append(len(message).to_bytes(4, "big") + message)
            at = end
        self._rest[fd] = data[at:]

    def _handle(self, fd: int, octets: bytes) -> tuple[int, bytes]:
        if octets.startswith(_CALL):
            _, request, _, _, args = decode(octets)
            number = next(self._numbers)
            self._calls[number] = fd, request
            return next(self._turn), encode([68, number, 1, {}, args])
        if octets.startswith(_YIELD):
            _, number, _, args = decode_yield(octets)
            to, request = self._calls.pop(number)
            return to, encode([50, request, {}, args])
        message = decode_any(octets)
        if message[0] == 64:
            self._callees.append(fd)
            self._turn = cycle(self._callees)
            return fd, encode([65, message[1], 1])
        return fd, encode([2, 1, {"roles": {"dealer": {}, "broker": {}}}])


if __name__ == "__main__":
    Relay(sys.argv[1]).run()
