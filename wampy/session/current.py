"""What a handler can learn of what it serves: who calls, whether anybody still wants the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wampy.dispatch import CURRENT
from wampy.durations import seconds_of
from wampy.errors import Interrupted, LocalProtocolError
from wampy.session.futures import CallResult, Waiter
from wampy.session.jobs import EventJob, InvocationJob

if TYPE_CHECKING:
    from wampy.messages import Event, Invocation


def current_call() -> CallContext:
    """Give the call that this thread, or task, serves.

    Threads that a handler starts itself serve none: give them the CallContext.

    Raises:
        LocalProtocolError: it serves none.
    """
    job = CURRENT.get()
    if type(job) is not InvocationJob:
        raise LocalProtocolError("current_call(): no handler of a procedure runs here")
    return CallContext(job)


def current_event() -> EventContext:
    """Give the event that this thread, or task, handles.

    Raises:
        LocalProtocolError: it handles none.
    """
    job = CURRENT.get()
    if type(job) is not EventJob:
        raise LocalProtocolError("current_event(): no handler of an event runs here")
    return EventContext(job)


class CallContext:
    """One call, seen from its handler. Thread-safe; of use until the handler has ended."""

    def __init__(self, job: InvocationJob) -> None:
        self._job = job

    def __repr__(self) -> str:
        return f"<CallContext {self.procedure}>"

    @property
    def _message(self) -> Invocation:
        message: Invocation = self._job.message
        return message

    @property
    def details(self) -> Mapping[str, Any]:
        """INVOCATION.Details, as the Router gave them."""
        return self._message.details or {}

    @property
    def procedure(self) -> str:
        """The URI that was called: for a pattern not the same as what is registered."""
        uri = self.details.get("procedure")
        return uri if isinstance(uri, str) else self._job.registration.uri

    @property
    def caller(self) -> int | None:
        """The Session that calls; None where the Router does not disclose it."""
        return self.details.get("caller")

    @property
    def caller_authid(self) -> str | None:
        """Who calls; None where the Router does not disclose it."""
        return self.details.get("caller_authid")

    @property
    def caller_authrole(self) -> str | None:
        """The role of who calls; None where the Router does not disclose it."""
        return self.details.get("caller_authrole")

    @property
    def wants_progress(self) -> bool:
        """Whether the caller takes progressive results."""
        return self.details.get("receive_progress") is True

    def progress(self, *args: Any, **kwargs: Any) -> None:
        """Send a part of the result; nothing where the caller does not want that.

        The same as ``yield`` in a handler, for one that cannot yield there. In a thread it waits
        while too much waits to be sent; in a task it cannot, and what is sent waits in memory:
        there, yield.

        Raises:
            SerializationError, MessageTooLong: it cannot be sent.
            Interrupted: it waited, and the caller canceled.
            RequestTimeout: it waited, and the Router takes nothing more.
        """
        if self.wants_progress:
            job = self._job
            job.engine.answer_progress(job.link, job, CallResult(list(args), kwargs))

    @property
    def is_canceled(self) -> bool:
        """Whether nobody wants the result any more: the caller canceled, or the link is lost."""
        return self._job.is_unwanted

    def check_canceled(self) -> None:
        """Raise where nobody wants the result any more: for loops that wait for nothing of wampy.

        Raises:
            Interrupted: see ``is_canceled``.
        """
        if self.is_canceled:
            self._job.is_told = True
            raise Interrupted

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than anybody wants the result. Blocks; for threads, not for tasks.

        Raises:
            Interrupted: the caller canceled.
        """
        self.check_canceled()
        self._job.engine.wait_for(None, Waiter(), time.monotonic() + seconds_of(seconds, "seconds"))


class EventContext:
    """One event, seen from its handler."""

    def __init__(self, job: EventJob) -> None:
        self._job = job

    def __repr__(self) -> str:
        return f"<EventContext {self.topic}>"

    @property
    def _message(self) -> Event:
        message: Event = self._job.message
        return message

    @property
    def details(self) -> Mapping[str, Any]:
        """EVENT.Details, as the Router gave them."""
        return self._message.details or {}

    @property
    def topic(self) -> str:
        """The topic it was published to: for a pattern not the same as what is subscribed."""
        uri = self.details.get("topic")
        return uri if isinstance(uri, str) else self._job.subscription.uri

    @property
    def publication(self) -> int:
        """The publication's id."""
        return self._message.publication_id

    @property
    def publisher(self) -> int | None:
        """The Session that published it; None where the Router does not disclose it."""
        return self.details.get("publisher")

    @property
    def publisher_authid(self) -> str | None:
        """Who published it; None where the Router does not disclose it."""
        return self.details.get("publisher_authid")

    @property
    def publisher_authrole(self) -> str | None:
        """The role of who published it; None where the Router does not disclose it."""
        return self.details.get("publisher_authrole")

    @property
    def is_retained(self) -> bool:
        """Whether it had been kept for whoever subscribes later."""
        return self.details.get("retained") is True
