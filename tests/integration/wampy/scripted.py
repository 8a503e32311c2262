"""A Router that does what a test's script says: for all that no Router should do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import inspect
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.support import TIME_SCALE
from wampy import AsyncSession, Session
from wampy.protocol.rawsocket import FrameReader
from wampy.transports.frames import masked

ABORT, GOODBYE, ERROR, PUBLISH, PUBLISHED = 3, 6, 8, 16, 17
SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT = 32, 33, 34, 35, 36
CALL, CANCEL, RESULT, REGISTER, REGISTERED = 48, 49, 50, 64, 65
UNREGISTER, UNREGISTERED, INVOCATION, INTERRUPT, YIELD = 66, 67, 68, 69, 70
WELCOME_DETAILS: dict[str, Any] = {"roles": {"broker": {}, "dealer": {}}}
OUT = "wamp.close.goodbye_and_out"


class HungUp(Exception):
    """The client closed the connection."""


class Conversation:
    """One connection of a client; RawSocket with MessagePack, or WebSocket with JSON.

    Args:
        sock: accepted; nothing has been read.
        number: how many connections there were before.
    """

    def __init__(self, sock: socket.socket, number: int, *, is_websocket: bool) -> None:
        self.sock = sock
        self.number = number
        self.is_websocket = is_websocket
        self.heard: list[Any] = []
        self._octets = b""
        self._reader = FrameReader()
        self._messages: deque[Any] = deque()
        self._ids = 0

    # ------------------------------------------------------------------ joining

    def read_request(self) -> bytes:
        """Read the handshake of the transport."""
        enough: Callable[[bytes], bool] = lambda data: len(data) >= 4  # noqa: E731
        if self.is_websocket:
            enough = lambda data: data.endswith(b"\r\n\r\n")  # noqa: E731
        data = b""
        while not enough(data):
            piece = self.sock.recv(1)
            if not piece:
                raise HungUp
            data += piece
        return data

    def shake_hands(self) -> None:
        """Answer the handshake of the transport as it should be."""
        request = self.read_request()
        if not self.is_websocket:
            self.sock.sendall(bytes((0x7F, 0xF2, 0, 0)))
            return
        (key,) = [
            line.split(b": ")[1]
            for line in request.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        ]
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accepted(key) + b"\r\n"
            b"Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
        )

    def welcome(self, **details: Any) -> None:
        """Shake hands, take HELLO, and welcome."""
        self.shake_hands()
        assert self.recv()[0] == 1
        self.send(2, 1000 + self.number, {**WELCOME_DETAILS, **details})

    # ------------------------------------------------------------------ messages

    def encode(self, *fields: Any) -> bytes:
        """Give the bytes of a message in its frame."""
        if self.is_websocket:
            return self.frame(json.dumps(fields).encode())
        return self.frame(msgspec.msgpack.encode(fields))

    def frame(self, payload: bytes, opcode: int = 1) -> bytes:
        """Put a frame around what may be a message."""
        if not self.is_websocket:
            return len(payload).to_bytes(4, "big") + payload
        first = bytes((0x80 | opcode,))
        if len(payload) < 126:
            return first + bytes((len(payload),)) + payload
        if len(payload) < 65536:
            return first + b"\x7e" + len(payload).to_bytes(2, "big") + payload
        return first + b"\x7f" + len(payload).to_bytes(8, "big") + payload

    def send(self, *fields: Any) -> None:
        self.sock.sendall(self.encode(*fields))

    def octets(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def recv(self) -> Any:
        """Give the next message.

        Raises:
            HungUp: there is none.
        """
        while not self._messages:
            try:
                data = self.sock.recv(65536)
            except OSError as error:
                raise HungUp from error
            if not data:
                raise HungUp
            if self.is_websocket:
                self._octets += data
                self._messages += [json.loads(one) for one in self._unmasked()]
            else:
                found = [payload for _, payload in self._reader.feed(data)]
                self._messages += [msgspec.msgpack.decode(one) for one in found]
        self.heard.append(self._messages.popleft())
        return self.heard[-1]

    def _unmasked(self) -> Iterator[bytes]:
        """Give the messages of the frames that have come whole; what is no message is skipped."""
        while len(self._octets) >= 2:
            size, at = self._octets[1] & 0x7F, 2
            if size > 125:
                at += 2 if size == 126 else 8
                size = int.from_bytes(self._octets[2:at], "big")
            end = at + 4 + size
            if len(self._octets) < end:
                return
            opcode, mask = self._octets[0] & 0x0F, self._octets[at : at + 4]
            payload = masked(self._octets[at + 4 : end], mask)
            self._octets = self._octets[end:]
            if opcode == 1:
                yield payload

    # ------------------------------------------------------------------ as it should be

    def answer(self, message: Any) -> None:
        """Answer a request as a Router with one echo for every procedure would."""
        match message:
            case [1, *_]:
                self.send(2, 1000 + self.number, WELCOME_DETAILS)
            case [int(code), request, options, uri, *payload] if code == CALL:
                del options, uri
                self.send(RESULT, request, {}, *payload)
            case [int(code), request, options, *_] if code == PUBLISH:
                if options and options.get("acknowledge"):
                    self.send(PUBLISHED, request, self.new_id())
            case [int(code), request, *_] if code == SUBSCRIBE:
                self.send(SUBSCRIBED, request, self.new_id())
            case [int(code), request, *_] if code == REGISTER:
                self.send(REGISTERED, request, self.new_id())
            case [int(code), request, *_] if code in (UNSUBSCRIBE, UNREGISTER):
                self.send(code + 1, request)
            case [int(code), *_] if code == GOODBYE:
                self.send(GOODBYE, {}, OUT)

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def until(self, *codes: int) -> Any:
        """Answer as it should be until a message with one of the codes comes; give that one."""
        while (message := self.recv())[0] not in codes:
            self.answer(message)
        return message

    def serve(self) -> None:
        """Answer as it should be, until the client hangs up."""
        with contextlib.suppress(HungUp):
            self.until()


Script = Callable[[Conversation], None]


class ScriptedRouter:
    """Listens; for each connection the script of its number runs, the last one for all others.

    Errors of scripts are kept, and raised by ``close``.
    """

    def __init__(self, *scripts: Script, is_websocket: bool) -> None:
        self._scripts = scripts
        self._is_websocket = is_websocket
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/ws" if is_websocket else f"tcp://127.0.0.1:{port}"
        self.conversations: list[Conversation] = []
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(20 * TIME_SCALE)
            number = len(self.conversations)
            one = Conversation(sock, number, is_websocket=self._is_websocket)
            self.conversations.append(one)
            self._threads.append(threading.Thread(target=self._run, args=(one,), daemon=True))
            self._threads[-1].start()

    def _run(self, one: Conversation) -> None:
        script = self._scripts[min(one.number, len(self._scripts) - 1)]
        try:
            with one.sock:
                script(one)
        except (HungUp, OSError):
            pass  # the client may go at any time; what it makes of it, the test looks at
        except BaseException as error:  # for the thread of the test
            self._errors.append(error)

    def close(self) -> None:
        """Stop listening; raise what went wrong in a script."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self.conversations:
            with contextlib.suppress(OSError):
                one.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10.0)
        if self._errors:
            raise self._errors[0]


class Awaited:
    """The meta API of an AsyncSession, used as that of a Session is."""

    def __init__(self, of: Any, run: Callable[..., Any]) -> None:
        self._of = of
        self._run = run

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._of, name)
        if callable(member):
            return lambda *args, **kwargs: self._run(member, *args, **kwargs)
        return Awaited(member, self._run)


class Looped:
    """An AsyncSession with a loop of its own, used from other threads as a Session is."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._session = self._run(lambda: AsyncSession(url, **options))
        except BaseException:
            self._stop()
            raise

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def run() -> Any:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30 * TIME_SCALE)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._session, name)
        if not callable(member):
            return member
        return lambda *args, **kwargs: self._run(member, *args, **kwargs)

    @property
    def meta(self) -> Awaited:
        return Awaited(self._run(lambda: self._session.meta), self._run)

    def __enter__(self) -> Looped:
        try:
            self.begin()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def __repr__(self) -> str:
        return repr(self._session)

    def end(self) -> None:
        if not self._loop.is_closed():
            self._run(self._session.end)
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


#: A Session of threads, and one of tasks.
KINDS: dict[str, Callable[..., Any]] = {"threads": Session, "asyncio": Looped}


def accepted(key: bytes) -> bytes:
    """Give what answers a WebSocket's key (RFC 6455, 4.2.2)."""
    found = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(found)
