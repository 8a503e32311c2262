"""What a Session gives for ``subscribe`` and ``register``: undone by hand, restored by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Lane
from wampy.errors import ConnectionLost, WampyError
from wampy.options import check_concurrency, check_handler, checked_expected
from wampy.session.arguments import Arguments
from wampy.session.futures import Waiter

if TYPE_CHECKING:
    from wampy.protocol.session import ClientProtocol
    from wampy.session.link import Link
    from wampy.session.session import Session


class Handle:
    """What Registration and Subscription share.

    ``is_active`` tells whether the Router knows it now; ``error`` why not, where it refused.

    Raises:
        TypeError, ValueError: what is said of the handler makes no sense.
    """

    def __init__(
        self,
        session: Session,
        uri: str,
        handler: Callable[..., Any],
        options: Mapping[str, Any],
        limit: int | None,
    ) -> None:
        check_handler(uri, handler)
        self._session = session
        self.uri = uri
        self.handler = handler
        self.options = dict(options)
        self.is_active = False
        #: Whether the Router took it away: it is not asked for again, for that was on purpose.
        self.is_revoked = False
        self.error: WampyError | None = None
        #: Whether the next request takes it away from a former Session of ours.
        self.replaces_ghost = False
        #: What the Router calls it; None while it does not know it.
        self.id: int | None = None
        self.lane = Lane(uri, limit, is_async=is_async(handler))
        #: What its hints say of its arguments; None where there is nothing to check.
        self.arguments = Arguments.of(handler)

    def request(self, protocol: ClientProtocol) -> Any:
        """Make the message that asks the Router for it."""
        raise NotImplementedError

    def bind_locked(self, link: Link, message: Any) -> None:
        """Take the Router's confirmation, before anything that comes after it."""
        raise NotImplementedError

    @property
    def is_missing(self) -> bool:
        """Whether it is to be asked for again: the Router does not know it, and should."""
        return not self.is_active and not self.is_revoked

    def undo_late_locked(self, link: Link, message: Any) -> None:
        """Undo what the Router has confirmed when nobody waited for it any more."""

    def is_bound_locked(self, link: Link) -> bool:
        """Whether it was confirmed on this very connection."""
        raise NotImplementedError

    def prepare_undoing(self) -> Callable[[ClientProtocol], Any] | None:
        """Give what makes the message that undoes it; None when there is nothing to undo."""
        raise NotImplementedError

    def undone(self, link: Link | None) -> None:
        """Forget it: the Router has confirmed, or is gone."""
        raise NotImplementedError

    def __repr__(self) -> str:
        state = "revoked" if self.is_revoked else "inactive"
        if self.is_active:
            state = f"id {self.id}"
        return f"<{type(self).__name__} {self.uri} {state}>"


class Registration(Handle):
    """A procedure that this Session offers.

    Args:
        is_control: answered by the thread that reads, however busy the handlers are; the handler
            must not wait.
        expected: exceptions that are the caller's fault: a WARNING without a traceback.
        is_debug: whether tracebacks travel to the caller.
        is_progressive: whether calls come in parts; the handler gets CallParts.
    """

    def __init__(
        self,
        session: Session,
        uri: str,
        handler: Callable[..., Any],
        options: Mapping[str, Any],
        *,
        limit: int | None = None,
        is_control: bool = False,
        expected: type[BaseException] | tuple[type[BaseException], ...] = (),
        is_debug: bool = False,
        is_progressive: bool = False,
    ) -> None:
        check_concurrency(uri, limit)
        super().__init__(session, uri, handler, options, limit)
        self.is_control = is_control
        self.expected = checked_expected(uri, expected)
        self.is_debug = is_debug
        self.is_progressive = is_progressive

    def request(self, protocol: ClientProtocol) -> Any:
        """Make REGISTER."""
        if self.replaces_ghost:
            self.replaces_ghost = False
            return protocol.register(self.uri, {**self.options, "force_reregister": True})
        return protocol.register(self.uri, self.options)

    def bind_locked(self, link: Link, message: Any) -> None:
        """Take REGISTERED."""
        self.id = message.registration_id
        self.is_active = True
        self.is_revoked = False
        self.error = None
        link.registrations[message.registration_id] = self

    def undo_late_locked(self, link: Link, message: Any) -> None:
        """Send UNREGISTER, unless another Registration of ours has the same id."""
        if message.registration_id not in link.registrations:
            link.post_locked(link.protocol.unregister(message.registration_id))

    def is_bound_locked(self, link: Link) -> bool:
        """Whether it was confirmed on this very connection."""
        return self.id is not None and link.registrations.get(self.id) is self

    def prepare_undoing(self) -> Callable[[ClientProtocol], Any] | None:
        """Give what makes UNREGISTER; calls are answered until that is confirmed."""
        registration_id = self.id
        if not self.is_active or registration_id is None:
            return None
        return lambda protocol: protocol.unregister(registration_id)

    def undone(self, link: Link | None) -> None:
        """Forget it."""
        with self._session._lock:
            if link is not None and self.id is not None:
                link.registrations.pop(self.id, None)
            self.is_active = False
            self.id = None

    def unregister(self, timeout: float | None = None) -> None:
        """Withdraw the procedure; returns when the Router has confirmed it. Idempotent.

        What was routed here before is still answered. While the Session is not joined, it only is
        not registered again.

        Raises:
            RequestTimeout, ConnectionLost: as ``Session.call``.
        """
        self._session._undo(self, timeout)


class Subscription(Handle):
    """A topic that this Session listens to; its events are handled one by one, in order."""

    def __init__(
        self,
        session: Session,
        uri: str,
        handler: Callable[..., Any],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(session, uri, handler, options, 1)

    def request(self, protocol: ClientProtocol) -> Any:
        """Make SUBSCRIBE."""
        return protocol.subscribe(self.uri, self.options)

    def bind_locked(self, link: Link, message: Any) -> None:
        """Take SUBSCRIBED: the same id for several handlers of one topic."""
        self.id = message.subscription_id
        self.is_active = True
        self.is_revoked = False
        self.error = None
        link.subscriptions.setdefault(message.subscription_id, []).append(self)

    def undo_late_locked(self, link: Link, message: Any) -> None:
        """Send UNSUBSCRIBE, unless others have this subscription or are about to."""
        subscription_id = message.subscription_id
        if subscription_id in link.subscriptions or subscription_id in link.raw_subscriptions:
            return
        for pending in link.pending.values():
            other = getattr(pending, "handle", None)
            if (
                isinstance(other, Subscription)
                and other.uri == self.uri
                and other.options.get("match") == self.options.get("match")
            ):
                return  # it has the same id: who comes last undoes it
        link.post_locked(link.protocol.unsubscribe(subscription_id))

    def is_bound_locked(self, link: Link) -> bool:
        """Whether it was confirmed on this very connection."""
        return self.id is not None and self in link.subscriptions.get(self.id, ())

    def prepare_undoing(self) -> Callable[[ClientProtocol], Any] | None:
        """Stop hearing events; give what makes UNSUBSCRIBE, for the last handler of the topic."""
        with self._session._lock:
            link, subscription_id = self._session._link, self.id
            was_active, self.is_active, self.id = self.is_active, False, None
            if link is None or subscription_id is None or not was_active:
                return None
            handlers = link.subscriptions.get(subscription_id, [])
            if self in handlers:
                handlers.remove(self)
            if handlers:
                return None
            link.subscriptions.pop(subscription_id, None)
        return lambda protocol: protocol.unsubscribe(subscription_id)

    def undone(self, link: Link | None) -> None:
        """Nothing is left to forget."""

    def unsubscribe(self, timeout: float | None = None) -> None:
        """Listen no more; returns when the Router has confirmed it. Idempotent.

        Raises:
            RequestTimeout, ConnectionLost: as ``Session.call``.
        """
        self._session._undo(self, timeout)


class SetUp(Waiter):
    """Waits for the confirmation of a Handle, and binds it the moment it comes."""

    __slots__ = ("handle",)

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Bind, then wake the thread."""
        if error is None and self.link is not None:
            self.handle.bind_locked(self.link, message)
        return super().settle(message, error)

    def heir(self) -> Waiter:
        """Give what undoes it."""
        return GivenUp(self.handle)


class GivenUp(Waiter):
    """In place of a SetUp that nobody waits for any more: a late confirmation is undone."""

    __slots__ = ("handle",)

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle

    def settle(self, message: Any, error: WampyError | None) -> bool:
        """Undo it; what is posted here goes out after the read that brought the confirmation."""
        link = self.link
        if error is None and link is not None and link.is_open():
            self.handle.undo_late_locked(link, message)
        return super().settle(message, error)

    def heir(self) -> Waiter:
        """Give itself."""
        return self


def check_bound_locked(handles: Sequence[Handle], link: Link | None) -> None:
    """See that what was confirmed is still there, before it is kept.

    Between the confirmation and this, the connection may have been lost: what is not kept yet was
    not marked then, and would be neither there nor restored.

    Raises:
        ConnectionLost: it was; all of them are inactive.
    """
    is_alive = link is not None and link.is_alive
    if all(
        not handle.is_active or (is_alive and link is not None and handle.is_bound_locked(link))
        for handle in handles
    ):
        return
    for handle in handles:
        handle.is_active, handle.id = False, None
    error = link.error if link is not None else None
    raise ConnectionLost(str(error or "the connection was lost with what it had confirmed"))


#: inspect.CO_COROUTINE and CO_ASYNC_GENERATOR; asking inspect itself touches much memory that
#: processes share.
_COROUTINE = 0x80 | 0x200


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, or an asynchronous generator."""
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    if code is not None:
        return bool(code.co_flags & _COROUTINE)
    import inspect

    call = getattr(handler, "__call__", None)  # noqa: B004 - its kind is wanted
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (handler, call)
    )
