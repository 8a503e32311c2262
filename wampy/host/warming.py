"""A rehearsal for processes that fork Peers: what runs once before the fork is shared after it.

CPython writes into the code that it runs: counters, caches, what it specialised. A process that
forks does that once, for all its children; else each child has its own copy of those pages.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

from wampy.entrypoints import rpc
from wampy.errors import SessionClosed
from wampy.host.host import PeerHost
from wampy.messages import Invocation, Message, Register, Registered, Welcome
from wampy.peer import Peer
from wampy.protocol.session import ClientProtocol
from wampy.serializers import MSGPACK
from wampy.session import Session
from wampy.session.link import Link
from wampy.transports.rawsocket import RawSocketCodec
from wampy.transports.stream import StreamTransport

#: CPython specialises a function at its eighth run.
_RUNS = 8


class _Rehearsed(Peer):
    """Does nothing, once."""

    @rpc
    def rehearse(self) -> None: ...


class _Rehearsal(Session):
    """A Session that speaks to the other end of a socket pair, and starts no thread."""

    def __init__(self, router: socket.socket, client: socket.socket) -> None:
        self._router = router
        self._client = client
        self._codec = RawSocketCodec()
        super().__init__("unix:///rehearsal", "rehearsal")

    def _open(self, deadline: float) -> Link:
        transport = StreamTransport(
            self.url,
            self._client,
            RawSocketCodec(),
            serializer_name="msgpack",
            max_receive_bytes=2**24,
            max_send_bytes=2**24,
            is_private=True,
        )
        return Link(transport, ClientProtocol(self.realm), ping_interval_s=10.0, ping_timeout_s=5.0)

    def _start_thread_locked(self) -> None:
        """Start none: a process that forks has one thread."""

    def answer_with(self, *messages: Message) -> None:
        """Have the Router's messages there before they are waited for."""
        codec = self._codec
        self._router.sendall(b"".join(codec.message(MSGPACK.encode(one)) for one in messages))

    def flush(self, link: Link) -> None:
        """Send, and play the Router, who confirms each REGISTER."""
        super().flush(link)
        try:
            frames = self._codec.feed(self._router.recv(65536, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        for _, payload in frames:
            message = MSGPACK.decode(payload)
            if isinstance(message, Register) and message.request_id is not None:
                request_id = message.request_id
                self.answer_with(Registered(request_id=request_id, registration_id=request_id))

    def serve(self) -> None:
        """Read once, and run what came, as a Session's thread does."""
        link = self._link
        assert link is not None
        self._read(link, 1.0)
        self.dispatcher.run_quick(self._flush_answers)


def warm_up() -> None:
    """Run a Peer's start and a few calls against nothing. Starts no thread, takes some ms.

    Call it in a process that is going to fork Peers, before the first fork. Nothing of it is
    logged: nobody would know what to make of a session that is not there.
    """
    router, client = socket.socketpair()
    with router, client, _nothing_logged():
        session = _Rehearsal(router, client)
        session.answer_with(Welcome(session_id=1, details={"roles": {"dealer": {}, "broker": {}}}))
        session.begin()
        host = PeerHost(
            _Rehearsed.create(config={}, name="rehearsed", index=0),
            session,
            control_procedures={"rehearsal.control": lambda: host.status()},
        )
        host.start(1.0)
        for number in range(1, _RUNS + 1):
            for registration_id in (1, 2):
                session.answer_with(_invocation(2 * number + registration_id, registration_id))
                session.serve()
        link = session._link
        session._closing.set()
        session.dispatcher.stop()
        if link is not None:
            session.lose(link, SessionClosed("the rehearsal is over"))
            link.close()


@contextlib.contextmanager
def _nothing_logged() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _invocation(request_id: int, registration_id: int) -> Any:
    return Invocation(request_id=request_id, registration_id=registration_id, details={})
