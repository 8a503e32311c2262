"""The inside of an AsyncSession: its connections, its requests, what is restored after a loss.

Rules, where they differ from those of ``wampy.session``:

- One loop, one thread: nothing here is thread-safe. ``_lock`` is taken nevertheless, since what is
  shared with the blocking Session takes it; nobody ever waits for it.
- What comes is dealt with in the Protocol's callback; handlers start there, tasks go on beside it.
- One task keeps the connection: asks a quiet Router whether it lives, makes a lost one again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wampy.aio.dispatch import TaskDispatcher
from wampy.aio.futures import AsyncWaiter
from wampy.aio.hooks import Hooks
from wampy.aio.stream import AsyncTransport, connect_async
from wampy.aio.waiting import is_done_in_time, is_set_in_time
from wampy.errors import (
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import Abort
from wampy.options import CancelMode
from wampy.protocol.session import ClientProtocol
from wampy.session.answering import Answering
from wampy.session.backoff import pauses_s
from wampy.session.connecting import (
    ATTEMPT_S,
    FAREWELL_S,
    FORMER_IDS,
)
from wampy.session.futures import Waiter
from wampy.session.link import STALL_S, Link, link_over
from wampy.session.receiving import take
from wampy.transports import ConnectOptions, parse_url

if TYPE_CHECKING:
    pass

logger = logging.getLogger("wampy.wamp.session")

T = TypeVar("T")
Request = Callable[[ClientProtocol], Any]


class AsyncEngine(Answering):
    """What an AsyncSession is made of, below its public face. Arguments: as Connecting's."""

    is_in_loop = True

    def __init__(
        self,
        url: str,
        *,
        protocol: Callable[[], ClientProtocol],
        serializers: Sequence[str],
        has_secret: bool,
        reconnects: bool,
        timeout_s: float,
        ping: tuple[float, float],
        options: ConnectOptions,
        on_join: Callable[[], Any] | None,
        on_leave: Callable[[], Any] | None,
        on_reconnect: Callable[[], Any] | None,
    ) -> None:
        super().__init__()
        self.url = url
        self._address = parse_url(url)
        self._new_protocol = protocol
        self._serializers = tuple(serializers)
        self._has_secret = has_secret
        self._reconnects = reconnects
        self._timeout_s = timeout_s
        self._ping = ping
        self._options = options
        options.check(self._address)
        self._on_join = on_join
        self._on_leave = on_leave
        self._on_reconnect = on_reconnect
        self._tasks_dispatcher = TaskDispatcher()
        self.dispatcher = self._tasks_dispatcher  # type: ignore[assignment]  # as far as it is used
        #: Where it began.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_begun = False
        self._is_beginning = False
        self._is_closing = False
        self._joined = asyncio.Event()
        self._lost = asyncio.Event()
        self._over = asyncio.Event()
        self._last_failure: WampyError | None = None
        self._keeper: asyncio.Task[None] | None = None
        #: Our ids of before: of Sessions that the Router may not have missed yet.
        self._former_ids: deque[int] = deque(maxlen=FORMER_IDS)
        self._restorer: asyncio.Task[None] | None = None
        self._hooks = Hooks()

    @property
    def timeout_s(self) -> float:
        """How long a request waits when nobody says how long, in seconds."""
        return self._timeout_s

    # ------------------------------------------------------------------ what shared code asks for

    def flush(self, link: Link) -> None:
        """Send what waits."""
        link.flush()

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Refuse: that would hold up the loop.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("this waits, and would hold up the event loop; await something")

    def interrupt(self, waiter: Waiter) -> None:
        """Nothing waits like that here: tasks are cancelled."""

    def welcomed_locked(self, link: Link) -> None:
        """Take note that a Link is joined: who waited for that goes on."""
        if link.welcome is not None:
            link.welcome.settle(None, None)

    async def part_sent(self, link: Link) -> None:
        """Let others have the loop, and wait while too much waits to be sent.

        Raises:
            RequestTimeout: the Router takes nothing for STALL_S.
        """
        await asyncio.sleep(0)
        await self.drained(link, time.monotonic() + STALL_S)

    # ------------------------------------------------------------------ connecting and joining

    async def _connect(self, deadline: float) -> Link:
        """Connect and join.

        Raises:
            ConnectFailed, JoinRejected, ConnectionLost, RequestTimeout, RemoteProtocolError.
        """
        transport = await connect_async(self._address, self._serializers, deadline, self._options)
        try:
            return await self._join_over(transport, deadline)
        except WampyError:
            # Who fails to join often ends the loop: not before the descriptor is given back.
            await transport.wait_gone()
            raise

    async def _join_over(self, transport: AsyncTransport, deadline: float) -> Link:
        """Join over a new connection; it is closed where that fails. Raises as ``_connect``."""
        link = link_over(
            transport,  # type: ignore[arg-type]  # what a Link uses of one
            self._new_protocol(),
            has_secret=self._has_secret,
            ping=self._ping,
        )
        try:
            await self._join(link, transport, deadline)
        except BaseException as error:
            self.lose(link, error if isinstance(error, WampyError) else ConnectionLost(repr(error)))
            raise
        return link

    async def _join(self, link: Link, transport: AsyncTransport, deadline: float) -> None:
        """Say HELLO and wait for WELCOME."""
        welcome = link.welcome = AsyncWaiter()
        transport.begin(
            lambda frames: self._take(link, frames), lambda error: self.lose(link, error)
        )
        logger.info('sending "%s" message', "HELLO")
        with self._lock:
            link.post_locked(link.protocol.hello())
        self.flush(link)
        timeout_s = max(0.0, deadline - time.monotonic())
        if not await is_done_in_time(welcome.future, deadline):
            raise RequestTimeout(f"no answer to HELLO from {self.url} within {timeout_s:.3g} s")
        if welcome.error is not None:
            raise welcome.error
        logger.info('received "%s" message', "WELCOME")
        logger.info("session started with ID: %s", link.protocol.session_id)

    def _take(self, link: Link, frames: Any) -> None:
        """Deal with what came; TLS gives what it has left even after the end."""
        if not link.is_alive:
            return
        link.heard(time.monotonic())
        try:
            take(self, link, frames)
        except WampyError as error:
            self.lose(link, error)
        except Exception as error:  # a bug here must not end in silence
            logger.exception("reading from %s failed", self.url)
            self.lose(link, ConnectionLost(f"connection to {self.url} given up: {error!r}"))
        self._tasks_dispatcher.kick()

    def lose(self, link: Link, error: WampyError) -> None:
        """Take note that a connection is lost: fail what is pending. Idempotent."""
        if not link.is_alive:
            return
        if isinstance(error, RemoteProtocolError):
            # Told as the spec wants it, if the Router still listens.
            with contextlib.suppress(WampyError), self._lock:
                link.post_locked(
                    Abort(details={"message": str(error)}, reason="wamp.error.protocol_violation")
                )
            self.flush(link)
        was_joined = link.is_joined
        if link.protocol.session_id is not None:
            self._former_ids.append(link.protocol.session_id)
        with self._lock:
            settled = link.lose_locked(error, is_over=self._is_closing)
        if link is self._link:
            for handle in (*self.registrations, *self.subscriptions):
                handle.is_active = False
                handle.id = None
            self._joined.clear()
            self._lost.set()
            for receiver in self._receivers:
                receiver.wake()
        link.transport.abort()
        for pending, failure in settled:
            pending.resolve(None, failure)
        if was_joined:
            if not self._is_closing:
                logger.warning("%s", error)
            self._hooks.call(self._on_leave)
        if not self._reconnects and link is self._link:
            self._over.set()

    # ------------------------------------------------------------------ keeping the connection

    async def _keep(self) -> None:
        """Look after the connection until the Session ends."""
        try:
            while not self._is_closing:
                link = self._link
                assert link is not None
                if link.is_alive:
                    await self._watch(link)
                elif self._reconnects:
                    await self._come_back()
                else:
                    break
        except Exception as error:  # no task dies silently: the Session dies with it, loudly
            logger.exception("the session with %s failed", self.url)
            self._reconnects = False
            self._last_failure = ConnectionLost(f"the session failed: {error!r}")
            if self._link is not None:
                self.lose(self._link, self._last_failure)
            self._joined.set()  # who waits for it learns that it will not come
        self._over.set()

    async def _watch(self, link: Link) -> None:
        """Ask a quiet Router whether it lives; returns when the connection is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, link.tick_at - time.monotonic())):
                await self._lost.wait()
                return
        try:
            with self._lock:
                link.tick_locked(time.monotonic())
            self.flush(link)
        except WampyError as error:
            self.lose(link, error)

    async def _come_back(self) -> None:
        """Reconnect, join, register and subscribe again; with growing pauses between attempts."""
        pauses = pauses_s(self._address, random.random)
        while not self._is_closing:
            self._lost.clear()
            try:
                link = await self._connect(time.monotonic() + min(ATTEMPT_S, self._timeout_s))
            except WampyError as error:
                if self._last_failure is None or str(self._last_failure) != str(error):
                    logger.warning("reconnecting to %s failed: %s", self.url, error)
                self._last_failure = error
                await asyncio.sleep(next(pauses))
                continue
            self._last_failure = None
            self._use(link)
            self._hooks.call(self._on_join)
            self._restore_in_background()  # calls on_reconnect
            return

    def _use(self, link: Link) -> None:
        self._link = link
        if link.is_alive:
            self._joined.set()
        else:
            self._lost.set()

    def _restore_in_background(self) -> None:
        """Register and subscribe again; overridden by who knows how."""
        raise NotImplementedError

    # ------------------------------------------------------------------ requests

    async def post(
        self,
        make: Request,
        pending: Waiter | None,
        deadline: float,
        *,
        waits_for_join: bool = True,
    ) -> Link:
        """Send a request; wait for the connection to come back, if it is lost, until the deadline.

        Raises:
            SessionClosed: not begun, or ended.
            ConnectionLost: lost, and it does not come back, or is not waited for.
            RequestTimeout: it did not come back in time, or takes no more.
            SerializationError, MessageTooLong, LocalProtocolError: the message cannot be sent.
        """
        self.check_usable()
        while True:
            link = self._open_link()
            if link is None:
                await self._await_join(deadline, waits_for_join)
                continue
            await self.drained(link, deadline)
            if self._open_link() is link:
                break
        with self._lock:
            message = make(link.protocol)
            try:
                link.post_locked(message)
            except WampyError:
                if message.request_id is not None:
                    link.protocol.withdraw(message.request_id)
                raise
            if pending is not None:
                pending.link = link
                pending.request_id = message.request_id
                link.pending[message.request_id] = pending
        self.flush(link)
        if not isinstance(pending, AsyncWaiter):
            # Who sends many and waits for nothing would have the loop to himself.
            await asyncio.sleep(0)
        return link

    def _open_link(self) -> Link | None:
        link = self._link
        return link if link is not None and link.is_open() else None

    async def drained(self, link: Link, deadline: float) -> None:
        """Wait while too much waits to be sent.

        Raises:
            RequestTimeout: until the deadline.
        """
        transport: Any = link.transport
        if not await is_set_in_time(transport.may_write, deadline):
            raise RequestTimeout(f"the router at {self.url} takes nothing more")

    async def _await_join(self, deadline: float, waits_for_join: bool) -> None:
        if self._is_closing:
            raise SessionClosed("the session has ended")
        if not self._is_begun:
            raise SessionClosed("the session has not begun: await begin() first")
        if not self._reconnects or not waits_for_join:
            error = self._last_failure or (self._link.error if self._link else None)
            raise ConnectionLost(f"not connected to {self.url}: {error or 'connection lost'}")
        if not await is_set_in_time(self._joined, deadline):
            why = f": {self._last_failure}" if self._last_failure else ""
            raise RequestTimeout(f"not connected to {self.url} in time{why}")

    async def answer_to(
        self, waiter: AsyncWaiter, deadline: float, timeout_s: float, what: str
    ) -> Any:
        """Wait for the answer to a request that was posted; give the message.

        Raises:
            RequestError: what the Router answered.
            RequestTimeout: no answer in time.
        """
        link = waiter.link
        assert link is not None
        try:
            is_there = await is_done_in_time(waiter.future, deadline)
        except asyncio.CancelledError:
            self.give_up(link, waiter.request_id)
            raise
        if not is_there:
            self.give_up(link, waiter.request_id)
            raise self.timeout_of(what, timeout_s)
        if waiter.error is not None:
            raise waiter.take_error()
        return waiter.message

    async def request(self, make: Request, waiter: AsyncWaiter, timeout_s: float, what: str) -> Any:
        """Send a request and wait for its answer; give the message."""
        deadline = time.monotonic() + timeout_s
        await self.post(make, waiter, deadline)
        return await self.answer_to(waiter, deadline, timeout_s, what)

    def give_up(self, link: Link, request_id: int, mode: CancelMode = "killnowait") -> None:
        """Forget a request; CANCEL it if it is a call."""
        with self._lock:
            link.give_up_locked(request_id, mode)
        self.flush(link)

    def give_up_later(self, link: Link, request_id: int) -> None:
        """Have a request given up in a moment; for ``__del__``, in whatever thread that runs."""
        if self._loop is not None and not self.is_unusable:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and so is the connection
                self._loop.call_soon_threadsafe(self.give_up, link, request_id)

    def ask_to_cancel(self, link: Link, request_id: int) -> bool:
        """CANCEL a call and wait on. Returns False when it has its answer."""
        self.check_usable()
        with self._lock:
            is_asked = link.ask_to_cancel_locked(request_id)
        self.flush(link)
        return is_asked

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """End for good: GOODBYE, then the tasks and the connection. Idempotent, bounded.

        Who is cancelled meanwhile has ended it all the same, and waits for nothing more.
        """
        if self._is_closing or self.is_unusable:
            return
        self._is_closing = True
        tasks: list[asyncio.Task[Any] | None] = [self._keeper, self._restorer]
        try:
            # First, lest it comes with another connection.
            await _ended(tasks)
            link = self._link
            if link is not None and link.is_open():
                farewell = link.farewell = AsyncWaiter()
                with self._lock:
                    link.post_locked(link.protocol.goodbye())
                self.flush(link)
                await is_done_in_time(farewell.future, time.monotonic() + FAREWELL_S)
        finally:
            link = self._link
            if link is not None:
                self.lose(link, SessionClosed("the session has ended"))
            self._joined.set()
            tasks = [*self._tasks_dispatcher.stop(), *tasks]
            try:
                if link is not None:
                    await cast(AsyncTransport, link.transport).wait_gone()
                await _ended(tasks)
                await self._hooks.wait(FAREWELL_S)
            finally:
                await _ended([self._hooks.task])
                self._over.set()


async def _ended(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel tasks, but for the one that asks, and wait a moment until they have ended."""
    here = asyncio.current_task()
    left = [task for task in tasks if task is not None and task is not here and not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=FAREWELL_S)
