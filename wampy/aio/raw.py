"""Messages by hand, as ``wampy.session.raw`` has them for the blocking Session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wampy.aio.futures import AsyncWaiter
from wampy.aio.waiting import is_done_in_time
from wampy.errors import RequestError, WampyError
from wampy.messages import Message
from wampy.session import raw

if TYPE_CHECKING:
    from wampy.aio.engine import AsyncEngine


class AsyncByHand(AsyncWaiter):
    """A coroutine in ``send_and_receive``."""

    __slots__ = ()

    def settle(self, message: object, error: WampyError | None) -> bool:
        """Take the answer."""
        raw.note_locked(self.link, message)
        return super().settle(message, error)


async def send(engine: AsyncEngine, message: Message) -> Message:
    """See ``AsyncSession.send``."""
    pending = raw.Inbox(engine, message.WAMP_CODE) if raw.is_answered(message) else None
    remaking = raw.Remaking(message)
    await engine.post(remaking, pending, time.monotonic() + engine.timeout_s)
    return remaking.sent


async def exchange(engine: AsyncEngine, message: Message, timeout_s: float) -> Message | None:
    """See ``AsyncSession.send_and_receive``."""
    waiter = AsyncByHand() if raw.is_answered(message) else None
    deadline = time.monotonic() + timeout_s
    await engine.post(raw.Remaking(message), waiter, deadline)
    if waiter is None:
        return None
    try:
        got = await engine.answer_to(waiter, deadline, timeout_s, message.name)
    except RequestError as error:
        got = raw.answer(message.WAMP_CODE, waiter.request_id, None, error)
    return raw.received(got)


async def receive(engine: AsyncEngine, timeout_s: float) -> Message:
    """See ``AsyncSession.recv``."""
    deadline = time.monotonic() + timeout_s
    engine.check_usable()
    link = engine._link
    while not engine._inbox:
        if link is None or not link.is_alive:
            raise raw.nothing_more(engine.url, link, is_over=engine._is_closing)
        # A new one each time: another coroutine may have taken what this one was woken for.
        waiter = AsyncWaiter()
        engine._receivers.append(waiter)
        try:
            if not await is_done_in_time(waiter.future, deadline):
                raise raw.nothing_in(timeout_s)
        finally:
            engine._receivers.remove(waiter)
    return raw.received(engine._inbox.popleft())
