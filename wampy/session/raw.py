"""Messages by hand: what ``Session.send``, ``recv`` and ``send_and_receive`` do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from wampy.errors import (
    ConnectionLost,
    LocalProtocolError,
    RequestError,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import (
    Call,
    Cancel,
    Error,
    Message,
    Publish,
    Register,
    Registered,
    Subscribe,
    Subscribed,
    Unregister,
    Unsubscribe,
    Yield,
)
from wampy.session.connecting import logger
from wampy.session.futures import Waiter

if TYPE_CHECKING:
    from wampy.protocol.session import ClientProtocol
    from wampy.session.answering import Answering
    from wampy.session.link import Link
    from wampy.session.session import Session

# ---------------------------------------------------------------------- of both Sessions


class Inbox(Waiter):
    """A request whose answer goes to whoever calls ``recv``."""

    __slots__ = ("code", "engine")
    takes_progress = True

    def __init__(self, engine: Answering, code: int) -> None:
        super().__init__()
        self.engine = engine
        self.code = code

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Put the answer into the inbox."""
        self.is_done = True
        note_locked(self.link, message)
        self.engine.keep_locked(answer(self.code, self.request_id, message, error))
        return False


class Remaking:
    """Makes a message again, through the protocol: it gives the request id and minds the state.

    Attributes:
        sent: the message as it was made last.
    """

    def __init__(self, message: Message) -> None:
        self._message = message
        self.sent = message

    def __call__(self, protocol: ClientProtocol) -> Any:
        """Make it."""
        self.sent = _made(protocol, self._message)
        logger.info('sending "%s" message', self.sent.name)
        return self.sent


def answer(code: int, request_id: int, message: Any, error: WampyError | None) -> Any:
    """Give the message that answered a request: ERROR for an error; what is no message as it is."""
    if isinstance(error, RequestError):
        return Error(
            request_type=code,
            request_id=request_id,
            details=error.details,
            error=error.uri,
            args=list(error.args),
            kwargs=error.kwargs,
        )
    return error if error is not None else message


def received(got: Any) -> Message:
    """Give a message to who waited for it; raise what is none."""
    if isinstance(got, Exception):
        raise got
    message: Message = got
    logger.info('received "%s" message', message.name)
    return message


def nothing_more(url: str, link: Link | None, *, is_over: bool) -> WampyError:
    """Make the error that says that no message will come: the connection that had them is gone."""
    if is_over:
        return SessionClosed("the session has ended")
    error = link.error if link is not None else None
    return ConnectionLost(f"not connected to {url}" + (f": {error}" if error else ""))


def nothing_in(timeout_s: float) -> RequestTimeout:
    """Make the error that says that no message came."""
    return RequestTimeout(f"no message within {timeout_s:g} s")


def note_locked(link: Link | None, message: Any) -> None:
    """Remember what was registered and subscribed by hand: what comes for it goes to ``recv``."""
    if link is None:
        return
    if isinstance(message, Registered):
        link.raw_registrations.add(message.registration_id)
    elif isinstance(message, Subscribed):
        link.raw_subscriptions.add(message.subscription_id)


def is_answered(message: Message) -> bool:
    """Whether the Router answers such a message."""
    if isinstance(message, Publish):
        return bool((message.options or {}).get("acknowledge"))
    return isinstance(message, Call | Subscribe | Unsubscribe | Register | Unregister)


def _made(protocol: ClientProtocol, message: Message) -> Message:
    match message:
        case Call():
            return protocol.call(message.procedure, message.args, message.kwargs, message.options)
        case Publish():
            return protocol.publish(message.topic, message.args, message.kwargs, message.options)
        case Subscribe():
            return protocol.subscribe(message.topic, message.options)
        case Unsubscribe():
            return protocol.unsubscribe(message.subscription_id)
        case Register():
            return protocol.register(message.procedure, message.options)
        case Unregister():
            return protocol.unregister(message.registration_id)
        case Cancel() | Yield() | Error():
            return message
    raise LocalProtocolError(f"{message.name} is not a message to send by hand")


# ---------------------------------------------------------------------- of the blocking one


class InboxWaiter(Waiter):
    """A thread in ``recv``."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.link = session._link

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take, or nothing more to wait for."""
        return self.is_done or bool(self.session._inbox) or self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone, and with it what was asked for by hand."""
        return self.link is None or not self.link.is_alive


class ByHand(Waiter):
    """A thread in ``send_and_receive``."""

    __slots__ = ()

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Take the answer."""
        note_locked(self.link, message)
        return super().settle(message, error)


def send(session: Session, message: Message) -> Message:
    """See ``Session.send``."""
    pending = Inbox(session, message.WAMP_CODE) if is_answered(message) else None
    remaking = Remaking(message)
    session.post(remaking, pending, time.monotonic() + session.timeout_s)
    return remaking.sent


def exchange(session: Session, message: Message, timeout_s: float) -> Message | None:
    """See ``Session.send_and_receive``."""
    waiter = ByHand() if is_answered(message) else None
    deadline = time.monotonic() + timeout_s
    session.post(Remaking(message), waiter, deadline)
    if waiter is None:
        return None
    try:
        got = session.answer_to(waiter, deadline, timeout_s, message.name)
    except RequestError as error:
        got = answer(message.WAMP_CODE, waiter.request_id, None, error)
    return received(got)


def receive(session: Session, timeout_s: float) -> Message:
    """See ``Session.recv``."""
    deadline = time.monotonic() + timeout_s
    session.check_usable()
    waiter = InboxWaiter(session)
    with session._lock:
        session._receivers.append(waiter)
    try:
        while True:
            try:
                got = session._inbox.popleft()
                break
            except IndexError:
                if waiter.is_lost:
                    is_over = session._closing.is_set()
                    raise nothing_more(session.url, waiter.link, is_over=is_over) from None
                if not session.wait_for(waiter.link, waiter, deadline):
                    raise nothing_in(timeout_s) from None
    finally:
        with session._lock:
            session._receivers.remove(waiter)
    return received(got)
