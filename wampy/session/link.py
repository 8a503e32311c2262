"""One connection's life: a transport, the protocol's state, and what is on its way out.

A reconnecting Session makes a new Link; a Link that is lost stays so. Rules:

- Protocol, ``pending``, ``registrations``, ``subscriptions``, ``invocations`` and the making of
  frames belong to the Session's lock: request ids leave in the order in which they were given.
- Sending does not: frames are put into ``outbox`` under the lock, and ``flush`` sends them without
  it. One thread sends at a time; what others add meanwhile goes out with the next write.
- An exception may come out of any line in the main thread (see ``transports.stream``). So nothing
  leaves the outbox unnoticed: what is left of ``_piece`` follows from how much the transport has
  sent, and what changes together is written on lines without a call between them. The lock that is
  held while sending knows its thread: so who is interrupted can tell whether to give it back.
- What waits to be sent is bounded: past QUEUED_BYTES, ``throttle`` makes callers wait, and who
  sends parts of a result. Whole results and errors are as many as there are handlers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from wampy.errors import ConnectFailed, ConnectionLost, MessageTooLong, SessionClosed, WampyError
from wampy.options import CancelMode
from wampy.protocol.session import ClientProtocol
from wampy.protocol.states import SessionState
from wampy.serializers import SERIALIZERS
from wampy.session.locking import SessionLock

if TYPE_CHECKING:
    from wampy.session.futures import CallFuture, Waiter
    from wampy.session.handles import Registration, Subscription
    from wampy.session.jobs import InvocationJob
    from wampy.transports import Transport

_ESTABLISHED = SessionState.ESTABLISHED
#: What may wait to be sent before callers have to wait, too.
QUEUED_BYTES = 8 * 2**20
#: How often who waits for room looks whether there is some, in seconds.
ROOM_S = 0.02
#: A Router that takes nothing for so long, in seconds, is lost.
STALL_S = 30.0
#: What the last message may take to go out, in seconds.
LAST_S = 0.5
#: So many calls that were answered before their last part are remembered.
_ANSWERED_KEPT = 1000
#: While something is on its way ahead of a ping, it is looked at this often in a ping's timeout.
_LOOK = 0.1
#: Bytes that are joined into one write.
_WRITE_BYTES = 256 * 1024


def link_over(
    transport: Transport,
    protocol: ClientProtocol,
    *,
    has_secret: bool,
    ping: tuple[float, float],
) -> Link:
    """Give the Link over a new connection, if one may join over that.

    Args:
        transport: connected; closed where one may not.
        protocol: new; is told the connection that joining is to be bound to.
        has_secret: whether joining may send one.
        ping: as a Link's two arguments, in seconds.

    Raises:
        ConnectFailed: others can read along, or joining cannot be bound to this connection.
    """
    try:
        if has_secret and not transport.is_private:
            raise ConnectFailed(
                transport.url, "a ticket is never sent in the clear beyond this machine; use wss://"
            )
        if protocol.channel_binding is not None:
            protocol.bind(_channel_id(transport, protocol.channel_binding))
    except ConnectFailed:
        transport.close()
        raise
    return Link(transport, protocol, ping_interval_s=ping[0], ping_timeout_s=ping[1])


def _channel_id(transport: Transport, binding: str) -> bytes:
    """Give the id of the connection. Raises ConnectFailed: it has none."""
    channel_id = transport.channel_id()
    if channel_id is None:
        lack = "there is no TLS here; use wss:// or tcps://, or"
        if transport.is_tls:
            lack = "this TLS connection has nothing to tell it by; use"
        raise ConnectFailed(
            transport.url,
            f"channel binding {binding} was asked for, and {lack} channel_binding=None",
        )
    return channel_id


class Link:
    """One connection to a Router.

    Args:
        transport: connected.
        protocol: new.
        ping_interval_s: quiet for so long, the Router is asked whether it lives; 0.0: never.
        ping_timeout_s: and if it says nothing for so long after that, it does not.
    """

    # CPython finds the attributes of an object with more than thirty of them slowly, but for slots.
    __slots__ = (
        "_has_sender",
        "_heard_at",
        "_is_asking",
        "_left_bytes",
        "_piece",
        "_ping_begins",
        "_ping_interval_s",
        "_ping_timeout_s",
        "_send_lock",
        "_taken_bytes",
        "_twice",
        "abandoned",
        "answered_early",
        "error",
        "farewell",
        "fault",
        "invocations",
        "is_alive",
        "is_delivering",
        "is_joined",
        "is_sweeping",
        "outbox",
        "pending",
        "posted_bytes",
        "protocol",
        "raw_registrations",
        "raw_subscriptions",
        "registrations",
        "serializer",
        "subscriptions",
        "tick_at",
        "transport",
        "welcome",
    )

    def __init__(
        self,
        transport: Transport,
        protocol: ClientProtocol,
        *,
        ping_interval_s: float,
        ping_timeout_s: float,
    ) -> None:
        self.transport = transport
        self.protocol = protocol
        self.serializer = SERIALIZERS[transport.serializer_name]
        self.is_alive = True
        self.is_joined = False
        self.error: WampyError | None = None
        self.pending: dict[int, Waiter | CallFuture] = {}
        self.registrations: dict[int, Registration] = {}
        self.subscriptions: dict[int, list[Subscription]] = {}
        self.invocations: dict[int, InvocationJob] = {}
        #: Progressive calls that were answered before their last part; bounded.
        self.answered_early: dict[int, None] = {}
        #: Ids that belong to messages sent by hand.
        self.raw_registrations: set[int] = set()
        self.raw_subscriptions: set[int] = set()
        #: Requests whose iterators were dropped, to be cancelled; and whether a thread does so.
        self.abandoned: deque[int] = deque()
        self.is_sweeping = False
        #: Settled by WELCOME or ABORT; and by the answer to our GOODBYE.
        self.welcome: Waiter | None = None
        self.farewell: Waiter | None = None
        #: Whether what a read brought is on its way to the handlers; written under the lock.
        self.is_delivering = False
        self.outbox: deque[bytes] = deque()
        self._send_lock = SessionLock()
        #: Bytes ever put into the outbox, handshake included; and those that have left it.
        self.posted_bytes = transport.sent_bytes
        self._left_bytes = transport.sent_bytes
        #: What left the outbox last, and how many frames that are in it are in here, too.
        self._piece = b""
        self._twice = 0
        self._has_sender = False  # written under _send_lock
        #: What the sending thread met.
        self.fault: WampyError | None = None
        self._ping_interval_s = ping_interval_s
        self._ping_timeout_s = ping_timeout_s
        self._is_asking = False
        #: Where in all that was posted our ping begins, and up to where the other side has it.
        self._ping_begins = self._taken_bytes = 0
        #: When the reading thread has to look at pings and deadlines, monotonic seconds.
        self.tick_at = time.monotonic() + (ping_interval_s or 3600.0)
        self._heard_at = time.monotonic()

    def is_open(self) -> bool:
        """Whether requests may be sent: joined, and nobody has said GOODBYE.

        Not the same as ``is_joined``: between a Router's GOODBYE and the loss of the connection
        that follows, other threads get the lock.
        """
        return self.is_joined and self.protocol.state is _ESTABLISHED

    def joined_locked(self) -> None:
        """Take note of WELCOME, and of how long a message the Router takes."""
        self.is_joined = True
        told = self.protocol.max_message_bytes
        if told is not None:
            self.transport.max_send_bytes = min(self.transport.max_send_bytes, told)

    # ------------------------------------------------------------------ out

    def post_locked(self, message: Any) -> None:
        """Encode a message and put it into the outbox; ``flush`` sends it.

        Raises:
            SerializationError: it carries what cannot be sent; nothing was put anywhere.
            MessageTooLong: the Router would refuse it, and close the connection.
        """
        payload = self.serializer.encode(message)
        transport = self.transport
        if len(payload) > transport.max_send_bytes:
            raise MessageTooLong(
                f"{message.name} of {len(payload)} bytes: the router at {transport.url} "
                f"takes at most {transport.max_send_bytes}"
            )
        self.post_frame_locked(transport.codec.message(payload))

    def post_error_locked(
        self, request_id: int, uri: str, args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        """Put the error of an invocation into the outbox. Raises as ``post_locked``."""
        self.post_locked(self.protocol.invocation_error(request_id, uri, args, kwargs))

    def note_answered_early(self, request_id: int) -> None:
        """Remember that further parts of a call are to be dropped."""
        self.answered_early[request_id] = None
        if len(self.answered_early) > _ANSWERED_KEPT:
            del self.answered_early[next(iter(self.answered_early))]

    def answered_locked(self, request_id: int) -> bool:
        """Take an invocation off the books; False where it is on them no more."""
        job = self.invocations.pop(request_id, None)
        if job is None:
            return False
        if job.parts is not None and not job.parts.waiter.is_done:
            self.note_answered_early(request_id)
        return self.is_joined

    def post_frame_locked(self, frame: bytes) -> None:
        """Put a frame into the outbox."""
        size = len(frame)
        self.posted_bytes += size
        self.outbox.append(frame)

    def retract_locked(
        self, pending: Waiter | CallFuture | None, last_id: int, posted_bytes: int
    ) -> None:
        """Undo a request of which an exception came out half way.

        Args:
            pending: waits for its answer.
            last_id: the request id that was given last before it.
            posted_bytes: what the count was before it.
        """
        request_id = self.protocol.ids.last
        if request_id == last_id:
            return
        if self.posted_bytes == posted_bytes:
            self.protocol.withdraw(request_id)
        elif pending is not None:
            self.pending[request_id] = pending
            self.give_up_locked(request_id, "killnowait")

    def give_up_locked(self, request_id: int, mode: CancelMode) -> None:
        """Forget a request; CANCEL it if it is a call, see to it that a late REGISTERED is undone.

        Nothing where it has its answer. ``flush`` is to follow.
        """
        pending = self.pending.pop(request_id, None)
        if pending is None or not self.is_joined:
            return
        heir = pending.heir()
        if heir is not None:
            heir.link, heir.request_id = self, request_id
            self.pending[request_id] = heir
            return
        message = self.protocol.give_up(request_id, mode)
        if message is not None:
            self.post_locked(message)

    def ask_to_cancel_locked(self, request_id: int) -> bool:
        """CANCEL a call and wait on; False where it has its answer. ``flush`` is to follow."""
        if request_id not in self.pending or not self.is_joined:
            return False
        self.post_locked(self.protocol.ask_to_cancel(request_id))
        return True

    def flush(self) -> None:
        """Send what is in the outbox, unless another thread does so. Does not block.

        What the socket does not take at once is left to a thread of its own.

        Raises:
            ConnectionLost: the Router is gone.
        """
        outbox, lock = self.outbox, self._send_lock
        try:
            while (
                outbox
                and not self._has_sender
                and not lock.is_owned()
                and lock.acquire(blocking=False)
            ):
                while outbox and not self._has_sender:
                    if not self._send_piece(0.0):
                        self._send_elsewhere()
                lock.release()
        except BaseException as error:
            if lock.is_owned():
                if not isinstance(error, ConnectionLost):
                    self._send_elsewhere()  # interrupted
                lock.release()
            raise

    def flush_last(self) -> None:
        """Send what is in the outbox, before the connection is closed; blocks for LAST_S at most.

        Unlike ``flush`` it leaves nothing to another thread that is at sending: that one would
        come too late with it.
        """
        lock = self._send_lock
        if lock.is_owned():
            return
        try:
            if lock.acquire(timeout=LAST_S):
                while self.outbox:
                    self._send_piece(LAST_S)
        except ConnectionLost:
            pass  # it was closed first; why, is known already
        finally:
            if lock.is_owned():
                lock.release()

    def _send_piece(self, stall_s: float) -> bool:
        """Send what is left of the last piece, or another one; whether all of it went out.

        The caller has _send_lock. As Transport.send.
        """
        outbox, transport = self.outbox, self.transport
        while self._twice:
            del outbox[0]
            self._twice -= 1
        left = self._left_bytes - transport.sent_bytes
        if left:
            data = self._piece[-left:]
        elif len(outbox) == 1:
            data = outbox[0]
            size = len(data)
            self._piece = data
            self._left_bytes += size
            del outbox[0]
        elif outbox:
            data, count = self._join()
            size = len(data)
            self._piece = data
            self._left_bytes += size
            self._twice = count
            while self._twice:
                del outbox[0]
                self._twice -= 1
        else:
            return True
        is_all = transport.send(data, stall_s) == len(data)
        if is_all:
            self._piece = b""  # it may be long
        return is_all

    def _join(self) -> tuple[bytes, int]:
        """Give the next frames in one, and how many they are; they stay in the outbox."""
        pieces: list[bytes] = []
        size = 0
        for frame in tuple(self.outbox):
            if size >= _WRITE_BYTES:
                break
            pieces.append(frame)
            size += len(frame)
        return b"".join(pieces), len(pieces)

    def _send_elsewhere(self) -> None:
        """Leave the rest to a thread of its own. The caller has _send_lock."""
        self._has_sender = True
        threading.Thread(target=self._send_rest, name="wampy sender", daemon=True).start()

    def _send_rest(self) -> None:
        """Send until nothing waits: the socket is slower than we are."""
        try:
            with self._send_lock:
                while self._twice or self.outbox or self._left_bytes != self.transport.sent_bytes:
                    self._send_piece(STALL_S)
                self._has_sender = False
            # What came after the last look, and before the line above.
            self.flush()
        except ConnectionLost as error:
            # The reading thread is woken by this, and says why.
            self.fault = error
            self.transport.abort()

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that who has more has to wait."""
        return self.posted_bytes - self.transport.sent_bytes > QUEUED_BYTES and self.is_alive

    def throttle(self, deadline: float) -> bool:
        """Wait while too much waits to be sent; False when that lasts beyond the deadline."""
        while self.posted_bytes - self.transport.sent_bytes > QUEUED_BYTES and self.is_alive:
            # Who sends gives the lock back when nothing is left: there is room before that.
            remaining_s = deadline - time.monotonic()
            lock = self._send_lock
            if lock.is_owned():
                return False
            try:
                if (
                    not lock.acquire(timeout=max(0.0, min(remaining_s, ROOM_S)))
                    and remaining_s <= 0
                ):
                    return False
            finally:
                if lock.is_owned():
                    lock.release()
        return True

    # ------------------------------------------------------------------ is it alive

    def heard(self, now: float) -> None:
        """Note that the Router said something."""
        self._heard_at = now
        self._is_asking = False

    def tick_locked(self, now: float) -> None:
        """Ask a Router that is quiet whether it lives.

        Raises:
            ConnectionLost: it was asked and said nothing.
        """
        if not self._ping_interval_s or not self.is_joined:
            self.tick_at = now + (1.0 if self._ping_interval_s else 3600.0)
            return
        if self._is_asking:
            self._mind_what_is_ahead(now)
        quiet_s = now - self._heard_at
        if self._is_asking and quiet_s >= self._ping_interval_s + self._ping_timeout_s:
            raise ConnectionLost(
                f"connection to {self.transport.url} lost: no sign of life for {quiet_s:.1f} s"
            )
        if quiet_s >= self._ping_interval_s and not self._is_asking:
            self._ping_begins, self._taken_bytes = self.posted_bytes, self._count_taken()
            ping = self.transport.codec.ping()
            if ping is not None:
                self.post_frame_locked(ping)
            else:
                # Crossbar takes a RawSocket PING for a message that is too long, and hangs up. Any
                # answer is a sign of life: this one needs no permission, and changes nothing.
                self.post_locked(self.protocol.unsubscribe(0x1FFFFFFFFFFFFF))
            self._is_asking = True
        due = self._ping_interval_s + (self._ping_timeout_s if self._is_asking else 0.0)
        self.tick_at = self._heard_at + due
        if self._is_asking and self._taken_bytes < self._ping_begins:
            self.tick_at = min(self.tick_at, now + self._ping_timeout_s * _LOOK)

    def _mind_what_is_ahead(self, now: float) -> None:
        """Give the ping its whole time anew while what was sent ahead of it is being taken.

        Nothing else that is taken is a sign of life: the kernel takes the ping of a Router that
        hangs.
        """
        before = self._taken_bytes
        if before < self._ping_begins:
            self._taken_bytes = self._count_taken()
            if self._taken_bytes > before:
                self._heard_at = max(self._heard_at, now - self._ping_interval_s)

    def _count_taken(self) -> int:
        """Give how much of what was posted the other side's kernel has."""
        return self.transport.sent_bytes - self.transport.under_way_bytes()

    # ------------------------------------------------------------------ the end

    def lose_locked(
        self, error: WampyError, *, is_over: bool
    ) -> list[tuple[Waiter | CallFuture, WampyError]]:
        """Take note that the connection is lost, and fail whatever waits for something of it.

        Args:
            error: why.
            is_over: whether the Session itself has ended.

        Returns:
            what is to be resolved, without the lock, and with which error.
        """
        self.is_alive = self.is_joined = False
        self.error = error
        text = "the session has ended" if is_over else str(error)
        waiting = list(self.pending.values())
        self.pending.clear()
        for job in self.invocations.values():
            if job.parts is not None:
                job.parts.lose_locked(ConnectionLost(text))
        self.invocations.clear()
        if self.farewell is not None:
            waiting.append(self.farewell)
        if self.welcome is not None and not self.welcome.is_done:
            self.welcome.settle(None, error)
        settled: list[tuple[Waiter | CallFuture, WampyError]] = []
        for pending in waiting:
            # One for each: a traceback grows on an exception wherever it is raised.
            failure: WampyError = SessionClosed(text) if is_over else ConnectionLost(text)
            failure.__cause__ = error.__cause__ if type(error) is ConnectionLost else error
            if pending.settle(None, failure):
                settled.append((pending, failure))
        return settled

    def forget(self) -> None:
        """Leave the connection to the process that made it: this one is a fork of that."""
        self.is_alive = self.is_joined = False
        self.outbox = deque()

    def close(self) -> None:
        """Give the descriptor back; when nobody reads any more."""
        self.is_alive = False
        self.transport.abort()
        with self._send_lock:
            self.transport.close()
