"""What a Session gives for ``subscribe`` and ``register``: undone by hand, restored by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Lane
from wampy.errors import WampyError

if TYPE_CHECKING:
    from wampy.session.session import Session


class Handle:
    """What Registration and Subscription share.

    ``is_active`` tells whether the Router knows it now; ``error`` why not, where it refused.
    """

    def __init__(
        self,
        session: Session,
        uri: str,
        handler: Callable[..., Any],
        options: Mapping[str, Any],
        limit: int | None,
    ) -> None:
        self._session = session
        self.uri = uri
        self.handler = handler
        self.options = dict(options)
        self.is_active = False
        self.error: WampyError | None = None
        #: What the Router calls it; None while it does not know it.
        self.id: int | None = None
        self.lane = Lane(uri, limit, is_async=is_async(handler))

    def __repr__(self) -> str:
        state = f"id {self.id}" if self.is_active else "inactive"
        return f"<{type(self).__name__} {self.uri} {state}>"


class Registration(Handle):
    """A procedure that this Session offers.

    Args:
        is_control: answered by the thread that reads, however busy the handlers are; the handler
            must not wait.
        expected: exceptions that are the caller's fault: a WARNING without a traceback.
        is_debug: whether tracebacks travel to the caller.
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
        expected: tuple[type[BaseException], ...] = (),
        is_debug: bool = False,
    ) -> None:
        super().__init__(session, uri, handler, options, limit)
        self.is_control = is_control
        self.expected = expected
        self.is_debug = is_debug

    def unregister(self, timeout: float | None = None) -> None:
        """Withdraw the procedure; returns when the Router has confirmed it. Idempotent.

        What was routed here before is still answered. While the Session is not joined, it only is
        not registered again.

        Raises:
            RequestTimeout, ConnectionLost: as ``Session.call``.
        """
        self._session._unregister(self, timeout)


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

    def unsubscribe(self, timeout: float | None = None) -> None:
        """Listen no more; returns when the Router has confirmed it. Idempotent.

        Raises:
            RequestTimeout, ConnectionLost: as ``Session.call``.
        """
        self._session._unsubscribe(self, timeout)


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - its type is wanted, not whether it has one
    )
