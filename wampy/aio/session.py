"""The AsyncSession: what Session is, for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

from wampy.aio import raw
from wampy.aio.establishing import AsyncEstablishing
from wampy.aio.futures import (
    AsyncCallFuture,
    AsyncProgressiveResults,
    AsyncProgressWaiter,
    AsyncWaiter,
)
from wampy.aio.handles import AsyncRegistration, AsyncSubscription
from wampy.aio.waiting import is_set_in_time
from wampy.auth import Authentication
from wampy.durations import seconds_of
from wampy.errors import (
    ApplicationError,
    ConnectionLost,
    RequestTimeout,
    SessionClosed,
    as_declared,
)
from wampy.messages import Message
from wampy.session.configuring import (
    PING_INTERVAL_S,
    method_of,
    registration_options,
    session_options,
    subscription_options,
)
from wampy.session.futures import CallResult, payload_of, value_of, whole_of

if TYPE_CHECKING:
    from wampy.aio.meta import AsyncMeta
    from wampy.session.questions import Scope


class AsyncSession(AsyncEstablishing):
    """A WAMP Session with a Router, for asyncio; the names are those of ``Session``.

    ``begin`` connects and joins; ``async with`` begins, and ends the Session. It belongs to the
    loop in which it began, and is not thread-safe. Every wait is bounded, and who is cancelled in
    a wait for a result cancels the call.

    Handlers may be ``async def``; plain ones run in the loop and must not wait. Arguments, hints,
    progress, errors, reconnects: as with ``Session``. In a handler ``current_call()`` works, its
    ``wait`` aside; a call that its caller cancels ends the task.

    Args:
        router, realm, authid, ticket, auth, reconnect, timeout, serializer, ping_interval, ca,
            certificate, key, proxy: as for ``Session``.
        on_join, on_leave, on_reconnect: as for ``Session``; called in the loop, or ``async def``.

    Raises:
        ConnectFailed, LocalProtocolError, TypeError, ValueError: an argument is wrong.
    """

    def __init__(
        self,
        router: Any,
        realm: str | None = None,
        *,
        authid: str | None = None,
        ticket: str | None = None,
        auth: Authentication | Sequence[Authentication] | None = None,
        reconnect: bool = True,
        timeout: float = 30.0,
        serializer: str | None = None,
        on_join: Callable[[], Any] | None = None,
        on_leave: Callable[[], Any] | None = None,
        on_reconnect: Callable[[], Any] | None = None,
        ping_interval: float = PING_INTERVAL_S,
        ca: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        proxy: str | None = None,
    ) -> None:
        self.realm, options = session_options(
            router,
            realm,
            method_of(auth, authid, ticket),
            serializer=serializer,
            reconnect=reconnect,
            timeout=timeout,
            ping_interval=ping_interval,
            files=(ca, certificate, key, proxy),
            hooks=(on_join, on_leave, on_reconnect),
        )
        super().__init__(**options)

    def __repr__(self) -> str:
        return f"<AsyncSession {self.id or 'not joined'} {self.url} {self.realm}>"

    @property
    def id(self) -> int | None:
        """The Session's id, or None while it is not joined."""
        return self._link.protocol.session_id if self.is_joined and self._link else None

    @property
    def details(self) -> Mapping[str, Any]:
        """WELCOME.Details of the Session; empty while it is not joined."""
        return self._link.protocol.details if self.is_joined and self._link else {}

    @property
    def is_joined(self) -> bool:
        """Whether the Session is joined now."""
        return self._link is not None and self._link.is_joined

    # ------------------------------------------------------------------ beginning and end

    async def begin(self, timeout: float | None = None) -> None:
        """Connect and join the Realm. Does nothing on a Session that has begun.

        Waits for ``on_join``, too, as long as there is time left.

        Raises:
            what ``Session`` and ``Session.begin`` raise.
        """
        self.check_usable()
        self._check_end()
        if self._is_begun:
            return
        if self._is_beginning:
            raise SessionClosed("another task begins the session at this moment")
        deadline = time.monotonic() + (self._timeout_s if timeout is None else seconds_of(timeout))
        self._is_beginning = True
        self._loop = asyncio.get_running_loop()
        try:
            link = await self._connect(deadline)
        finally:
            self._is_beginning = False
        try:
            self._check_end()
        except SessionClosed as error:
            self.lose(link, error)
            raise
        self._is_begun = True
        self._use(link)
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self._hooks.call(self._on_join)
        # The first time it belongs to the beginning; what lasts longer goes on beside it.
        await self._hooks.wait(max(0.0, deadline - time.monotonic()))

    def _check_end(self) -> None:
        if self._is_closing:
            raise SessionClosed("the session has ended")

    async def drain(self, timeout: float = 10.0) -> bool:
        """Give up what this Session offers and listens to, without losing a call; then ``end`` it.

        As ``Session.drain``.
        """
        timeout = seconds_of(timeout)
        deadline = time.monotonic() + timeout
        try:
            await self.tear_down([*self.registrations, *self.subscriptions], timeout)
        except RequestTimeout:
            return False
        return await self._tasks_dispatcher.wait_idle(max(0.0, deadline - time.monotonic()))

    async def end(self) -> None:
        """Leave: GOODBYE, then close. What waits for an answer gets SessionClosed.

        As ``Session.end``; but handlers that run are cancelled: ``drain`` first, if they must not.
        Hooks have a second to end, and are cancelled then.
        """
        await self.close()

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the Session is over for good; whether it is. As ``Session.wait_closed``."""
        if self._is_forked:
            return True
        deadline = None if timeout is None else time.monotonic() + seconds_of(timeout)
        return await is_set_in_time(self._over, deadline)

    async def __aenter__(self) -> Self:
        """Begin."""
        try:
            await self.begin()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        """End."""
        await self.end()

    # ------------------------------------------------------------------ calls

    async def call(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a procedure and wait for its result; as ``Session.call``."""
        return value_of(await self._call(AsyncWaiter(), uri, args, kwargs, timeout, options))

    async def call_result(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> CallResult:
        """Call a procedure; give all of its result: ``args``, ``kwargs`` and ``details``."""
        return whole_of(await self._call(AsyncWaiter(), uri, args, kwargs, timeout, options))

    async def _call(
        self,
        waiter: AsyncWaiter,
        uri: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
        options: Mapping[str, Any] | None,
    ) -> Any:
        try:
            return await self.request(
                lambda protocol: protocol.call(uri, args, kwargs, options, timeout),
                waiter,
                self._timeout_s if timeout is None else seconds_of(timeout),
                uri,
            )
        except ApplicationError as error:
            raise as_declared(error)  # noqa: B904 - it is the same, or has it as its cause

    def call_async(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> AsyncCallFuture:
        """Call a procedure; ``await`` the future for its result, or cancel it.

        As ``Session.call_async``, but all errors are in the future.
        """
        waiter = AsyncWaiter()

        async def call() -> Any:
            return value_of(await self._call(waiter, uri, args, kwargs, timeout, options))

        task = asyncio.get_running_loop().create_task(call())
        return AsyncCallFuture(self, waiter, task)

    def call_progress(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> AsyncProgressiveResults:
        """Call a procedure that gives its result in parts; ``async for`` over them.

        The timeout counts from part to part. The call is made with the first step; as
        ``Session.call_progress`` otherwise.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        wanted = {**(options or {}), "receive_progress": True}
        waiter = AsyncProgressWaiter()
        return AsyncProgressiveResults(
            self,
            waiter,
            lambda: self.post(
                lambda protocol: protocol.call(uri, args, kwargs, wanted),
                waiter,
                time.monotonic() + timeout_s,
            ),
            uri,
            timeout_s,
        )

    async def call_parts(
        self,
        uri: str,
        parts: Iterable[Any] | AsyncIterable[Any],
        /,
        *,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a procedure that takes its arguments in parts; wait for its result.

        As ``Session.call_parts``; the parts may come from an asynchronous iterable.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        waiter = AsyncWaiter()
        iterator = _each(parts)
        nothing = CallResult()
        part = await anext(iterator, nothing)
        following = await anext(iterator, nothing)
        try:
            while not waiter.is_done:
                wanted = {**(options or {}), "progress": following is not nothing}
                await self._send_part(uri, part, wanted, waiter, time.monotonic() + timeout_s)
                if following is nothing:
                    break
                part, following = following, await anext(iterator, nothing)
        except BaseException:
            if waiter.link is not None:
                self.give_up(waiter.link, waiter.request_id)
            raise
        try:
            message = await self.answer_to(waiter, time.monotonic() + timeout_s, timeout_s, uri)
        except ApplicationError as error:
            raise as_declared(error)  # noqa: B904 - as in _call
        return value_of(message)

    async def _send_part(
        self, uri: str, part: Any, wanted: Mapping[str, Any], waiter: AsyncWaiter, deadline: float
    ) -> None:
        request = uri, *payload_of(part), wanted
        link = waiter.link
        if link is None:
            await self.post(lambda protocol: protocol.call_parts(*request), waiter, deadline)
            return
        if link.is_open():
            await self.drained(link, deadline)
        with self._lock:
            if not waiter.is_done and link.is_open():
                link.post_locked(link.protocol.call_part(waiter.request_id, *request))
        self.flush(link)
        # Otherwise nobody reads, or learns of the end, as long as the parts need no waiting.
        await asyncio.sleep(0)

    # ------------------------------------------------------------------ topics

    async def publish(
        self,
        topic: str,
        /,
        *args: Any,
        acknowledge: bool = False,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        """Publish an event; as ``Session.publish``."""
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        wanted = {**(options or {}), "acknowledge": True} if acknowledge else options
        waiter = AsyncWaiter() if acknowledge else None
        deadline = time.monotonic() + timeout_s
        link = await self.post(
            lambda protocol: protocol.publish(topic, args, kwargs, wanted),
            waiter,
            deadline,
            waits_for_join=False,
        )
        if waiter is None:
            if not link.is_alive:
                raise ConnectionLost(str(link.error))
            return None
        message = await self.answer_to(waiter, deadline, timeout_s, topic)
        published: int = message.publication_id
        return published

    async def subscribe(
        self,
        topic: str,
        handler: Callable[..., Any],
        match: str = "exact",
        *,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> AsyncSubscription:
        """Have a handler called for each event of a topic; as ``Session.subscribe``."""
        wanted = subscription_options(topic, match, options)
        subscription = AsyncSubscription(cast(Any, self), topic, handler, wanted)
        await self.set_up(
            [subscription], self._timeout_s if timeout is None else seconds_of(timeout)
        )
        return subscription

    # ------------------------------------------------------------------ procedures

    async def register(
        self,
        uri: str,
        handler: Callable[..., Any],
        *,
        invoke: str = "single",
        match: str = "exact",
        concurrency: int | None = None,
        expected: type[BaseException] | tuple[type[BaseException], ...] = (),
        replace: bool = False,
        progressive: bool = False,
        debug: bool = False,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> AsyncRegistration:
        """Offer a procedure; as ``Session.register``."""
        registration = AsyncRegistration(
            cast(Any, self),
            uri,
            handler,
            registration_options(uri, match, invoke, options, is_replacing=replace),
            limit=concurrency,
            expected=expected,
            is_debug=debug,
            is_progressive=progressive,
        )
        await self.set_up(
            [registration], self._timeout_s if timeout is None else seconds_of(timeout)
        )
        return registration

    async def _undo(self, handle: Any, timeout: float | None) -> None:
        await self.undo(handle, timeout)

    # ------------------------------------------------------------------ the Router's own

    @cached_property
    def meta(self) -> AsyncMeta:
        """The meta API: ``await session.meta.registrations.lookup(uri)``."""
        from wampy.aio.meta import AsyncMeta  # most Sessions never ask

        return AsyncMeta(self._answered)

    async def add_testament(
        self,
        topic: str,
        /,
        *args: Any,
        scope: Scope = "destroyed",
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Have an event published when this Session is gone; as ``Session.add_testament``."""
        from wampy.session import questions

        await self._answered(questions.add_testament(topic, args, kwargs, scope, options))

    async def flush_testaments(self, scope: Scope = "destroyed") -> int | None:
        """Forget this Session's testaments; as ``Session.flush_testaments``."""
        from wampy.session import questions

        return await self._answered(questions.flush_testaments(scope))

    # ------------------------------------------------------------------ messages by hand

    async def send(self, message: Message) -> Message:
        """Send a message; what answers it comes by ``recv``. As ``Session.send``."""
        return await raw.send(self, message)

    async def recv(self, timeout: float | None = None) -> Message:
        """Wait for the next message that belongs to one sent by ``send``; as ``Session.recv``.

        Cancelled, it takes none away from who comes after it.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        return await raw.receive(self, timeout_s)

    async def send_and_receive(
        self, message: Message, timeout: float | None = None
    ) -> Message | None:
        """Send a message and wait for its answer; as ``Session.send_and_receive``."""
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        return await raw.exchange(self, message, timeout_s)


async def _each(parts: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part
