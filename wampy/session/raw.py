"""Messages by hand: what ``Session.send``, ``recv`` and ``send_and_receive`` do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from wampy.errors import (
    ConnectionLost,
    LocalProtocolError,
    RequestError,
    RequestTimeout,
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
    from wampy.session.link import Link
    from wampy.session.session import Session


class Inbox(Waiter):
    """A request whose answer goes to whoever calls ``recv``."""

    __slots__ = ("code", "session")
    takes_progress = True

    def __init__(self, session: Session, code: int) -> None:
        super().__init__()
        self.session = session
        self.code = code

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Put the answer into the inbox."""
        self.is_done = True
        _note_locked(self.link, message)
        self.session.keep_locked(answer(self.code, self.request_id, message, error))
        return False


class InboxWaiter(Waiter):
    """A thread in ``recv``."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take."""
        return self.is_done or bool(self.session.inbox)


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


def send(session: Session, message: Message) -> Message:
    """See ``Session.send``."""
    pending = Inbox(session, message.WAMP_CODE) if is_answered(message) else None
    return _post(session, message, pending, session.timeout_s)


def exchange(session: Session, message: Message, timeout_s: float) -> Message | None:
    """See ``Session.send_and_receive``."""
    if not is_answered(message):
        _post(session, message, None, timeout_s)
        return None
    waiter = ByHand()
    deadline = time.monotonic() + timeout_s
    sent = _post(session, message, waiter, timeout_s)
    try:
        got = session.answer_to(waiter, deadline, timeout_s, message.name)
    except RequestError as error:
        got = answer(sent.WAMP_CODE, waiter.request_id, None, error)
    logger.info('received "%s" message', got.name)
    return got  # type: ignore[no-any-return]


def receive(session: Session, timeout_s: float) -> Message:
    """See ``Session.recv``."""
    deadline = time.monotonic() + timeout_s
    session.check_usable()
    waiter = InboxWaiter(session)
    try:
        while True:
            with session._lock:
                if session.inbox:
                    got = session.inbox[0]
                    del session.inbox[0]  # on lines without a call: see engine, interruptions
                    break
                if waiter not in session.inbox_waiters:
                    session.inbox_waiters.append(waiter)
            link = session._link
            if link is None or not link.is_alive:
                raise ConnectionLost(f"not connected to {session.url}")
            if not session.wait_for(link, waiter, deadline) and not session.inbox:
                raise RequestTimeout(f"no message within {timeout_s:g} s")
    finally:
        with session._lock:
            if waiter in session.inbox_waiters:
                session.inbox_waiters.remove(waiter)
    if isinstance(got, Exception):
        raise got
    message: Message = got
    logger.info('received "%s" message', message.name)
    return message


class ByHand(Waiter):
    """A thread in ``send_and_receive``."""

    __slots__ = ()

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Take the answer."""
        _note_locked(self.link, message)
        return super().settle(message, error)


def _note_locked(link: Link | None, message: Any) -> None:
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


def _post(session: Session, message: Message, pending: Waiter | None, timeout_s: float) -> Message:
    sent: list[Message] = []

    def make(protocol: ClientProtocol) -> Any:
        sent.append(_made(protocol, message))
        logger.info('sending "%s" message', message.name)
        return sent[-1]

    session.post(make, pending, time.monotonic() + timeout_s)
    return sent[-1]


def _made(protocol: ClientProtocol, message: Message) -> Message:
    """Make the message again, through the protocol: it gives the request id and minds the state."""
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
