"""How a Session answers INVOCATIONs: results, progress, errors."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Dispatcher
from wampy.errors import LocalProtocolError, RequestTimeout, WampyError
from wampy.protocol.passthru import is_packed
from wampy.session.futures import CallResult

if TYPE_CHECKING:
    from wampy.session.futures import Waiter
    from wampy.session.jobs import InvocationJob
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

RUNTIME_ERROR = "wamp.error.runtime_error"
_TEXT_CHARACTERS = 500


def payload_of(value: Any) -> tuple[list[Any], dict[str, Any] | None]:
    """Give what a value is sent as: one argument, or what a CallResult says."""
    if type(value) is CallResult:
        return value.args, value.kwargs
    return [value], None


def options_of(value: Any) -> dict[str, Any]:
    """Give YIELD.Options for what a handler gave: how it is packed, if at all."""
    if type(value) is CallResult and is_packed(value.details):
        return {key: item for key, item in value.details.items() if key.startswith("ppt_")}
    return {}


class Answering:
    """What Jobs use of a Session. Thread-safe; an answer nobody can take any more is dropped."""

    #: Of the Router.
    url: str
    #: Whether plain handlers run in an event loop, which has other things to do as well.
    is_in_loop = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.dispatcher = Dispatcher()
        self._dropped_count = 0
        # What came for messages sent by hand; bounded, the oldest go first.
        self._inbox: deque[Any] = deque(maxlen=10_000)
        self._receivers: list[Waiter] = []

    @property
    def timeout_s(self) -> float:
        """How long a request waits when nobody says how long, in seconds."""
        raise NotImplementedError

    def timeout_of(self, what: str, timeout_s: float) -> RequestTimeout:
        """Make the error that says that there was no answer."""
        return RequestTimeout(f"{what}: no answer from {self.url} within {timeout_s:g} s")

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Wait until the waiter has something, or the deadline; False at that."""
        raise NotImplementedError

    def interrupt(self, waiter: Waiter) -> None:
        """Let a handler's thread that waits go on, with Interrupted."""
        raise NotImplementedError

    def keep_locked(self, message: Any) -> None:
        """Keep a message, or an error, for who receives messages by hand."""
        self._inbox.append(message)
        for waiter in self._receivers:
            waiter.wake()

    def welcomed_locked(self, link: Link) -> None:
        """Take note that a Link is joined."""
        raise NotImplementedError

    def flush(self, link: Link) -> None:
        """Send what waits."""
        raise NotImplementedError

    def drop_event(self, topic: str) -> None:
        """Count an event that found no room in the queue; say so now and then."""
        self._dropped_count += 1
        if self._dropped_count & (self._dropped_count - 1) == 0:
            logger.warning(
                "events dropped, the queue is full: %d so far, the last of %s",
                self._dropped_count,
                topic,
            )

    def answer(self, link: Link, job: InvocationJob, result: Any) -> None:
        """Send the result of a handler; an error that names it where it cannot be sent."""
        request_id = job.message.request_id
        with self._lock:
            if not link.answered_locked(request_id):
                return
            try:
                link.post_yield_locked(request_id, *payload_of(result), options_of(result))
            except LocalProtocolError as error:
                failure: WampyError | None = error
            else:
                failure = None
        if failure is not None:
            self.dispatcher.count_error()
            logger.error("the result of %s cannot be sent: %s", job.registration.uri, failure)
            text = (
                f"{type(failure).__name__}: the result of {job.registration.uri} "
                f"cannot be sent: {failure}"
            )
            with self._lock:
                link.invocations[request_id] = job
            self.answer_error(link, job, RUNTIME_ERROR, [text], {})
            return
        if not job.is_inline:
            self.flush(link)

    def answer_progress(self, link: Link, job: InvocationJob, part: Any) -> None:
        """Send a part of a result.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        with self._lock:
            if not link.is_joined or job.message.request_id not in link.invocations:
                return
            options = {**options_of(part), "progress": True}
            link.post_yield_locked(job.message.request_id, *payload_of(part), options)
        self.flush(link)

    async def part_sent(self, link: Link) -> None:
        """Let others have the loop: an ``async def`` handler may yield for ever without a wait."""
        import asyncio  # which is there, where this is called

        await asyncio.sleep(0)

    def answer_error(
        self,
        link: Link,
        job: InvocationJob,
        uri: str,
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> None:
        """Send an error; without its arguments where those cannot be sent."""
        request_id = job.message.request_id
        with self._lock:
            if not link.answered_locked(request_id):
                return
            try:
                link.post_error_locked(request_id, uri, args, kwargs)
            except WampyError as error:
                # Something in it cannot be sent: then at least its text, and why not more.
                text = f"{uri}: {', '.join(map(repr, args))}"
                text = f"{text[:_TEXT_CHARACTERS]} (cannot be sent as it is: {error})"
                link.post_error_locked(request_id, RUNTIME_ERROR, [text], {})
        if not job.is_inline:
            self.flush(link)
