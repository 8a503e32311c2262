"""How a Session answers INVOCATIONs: results, progress, errors."""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections import deque
from sys import is_finalizing
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from wampy.dispatch import Dispatcher
from wampy.errors import Interrupted, LocalProtocolError, RequestTimeout, SessionClosed
from wampy.protocol.passthru import is_packed
from wampy.session.futures import CallResult
from wampy.session.link import ROOM_S, STALL_S
from wampy.session.locking import SessionLock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wampy.messages import Yield
    from wampy.options import CancelMode
    from wampy.protocol.session import ClientProtocol
    from wampy.session.futures import Waiter
    from wampy.session.handles import Handle, Registration, Subscription
    from wampy.session.jobs import InvocationJob
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

RUNTIME_ERROR = "wamp.error.runtime_error"
_TEXT_CHARACTERS = 500


def yield_of(
    protocol: ClientProtocol, request_id: int, value: Any, *, is_part: bool = False
) -> Yield:
    """Give the YIELD that carries what a handler gave, packed where that says so.

    Raises:
        LocalProtocolError: it cannot be packed as it says.
    """
    options: dict[str, Any] = {"progress": True} if is_part else {}
    if type(value) is not CallResult:
        return protocol.yield_(request_id, (value,), None, options)
    if is_packed(value.details):
        told = value.details.items()
        options.update((key, item) for key, item in told if key.startswith("ppt_"))
    return protocol.yield_(request_id, value.args, value.kwargs, options)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # a program's own __repr__
        return f"<{type(value).__name__}>"


class Answering:
    """What Jobs use of a Session. Thread-safe; an answer nobody can take any more is dropped."""

    # As in a Link. What derives from this may have more attributes, as any object.
    __slots__ = (
        "__weakref__",
        "_dropped_count",
        "_inbox",
        "_is_forked",
        "_link",
        "_lock",
        "_receivers",
        "dispatcher",
        "registrations",
        "subscriptions",
        "url",
    )
    #: Of the Router.
    url: str
    #: Whether plain handlers run in an event loop, which has other things to do as well.
    is_in_loop = False

    def __init__(self) -> None:
        self._lock = SessionLock()
        self.dispatcher = Dispatcher()
        self._dropped_count = 0
        self._link: Link | None = None
        self.registrations: list[Registration] = []
        self.subscriptions: list[Subscription] = []
        #: Made before a fork, seen after it: its threads are in the other process.
        self._is_forked = False
        # What came for messages sent by hand; bounded, the oldest go first.
        self._inbox: deque[Any] = deque(maxlen=10_000)
        self._receivers: list[Waiter] = []
        _all.add(self)

    @property
    def is_unusable(self) -> bool:
        """Whether this is the child of a fork, or the end of the interpreter."""
        return self._is_forked or is_finalizing()

    def check_usable(self) -> None:
        """Refuse to work in a child of the process that made this, and at the interpreter's end.

        Raises:
            SessionClosed: it is one of these.
        """
        if self._is_forked:
            raise SessionClosed(
                f"the session with {self.url} was made before a fork, and is the parent process's; "
                "make one in this process"
            )
        if is_finalizing():
            # Threads have stopped where they were, some with a lock in their hands.
            raise SessionClosed(f"the session with {self.url} ends with the interpreter")

    def give_up(self, link: Link, request_id: int, mode: CancelMode = "killnowait") -> None:
        """Forget a request; CANCEL it if it is a call. Does not block."""
        raise NotImplementedError

    def take_back(self, handles: Sequence[Handle]) -> None:
        """Undo what was asked for, and is not wanted any more. Does not wait for the Router."""
        link = self._link
        with self._lock:
            self.registrations = [one for one in self.registrations if one not in handles]
            self.subscriptions = [one for one in self.subscriptions if one not in handles]
            asked = dict(link.pending) if link is not None else {}
        if link is None:
            return
        for request_id, pending in asked.items():
            if getattr(pending, "handle", None) in handles:
                self.give_up(link, request_id)
        for handle in handles:
            request = handle.prepare_undoing()
            if request is not None:
                with self._lock:
                    if link.is_open():
                        link.post_locked(request(link.protocol))
                handle.undone(link)
        self.flush(link)

    def _forget(self) -> None:
        """Let go of everything, in the child of a fork: threads and connection are the parent's."""
        self._is_forked = True
        self._lock.forget()
        if self._link is not None:
            self._link.forget()

    @property
    def timeout_s(self) -> float:
        """How long a request waits when nobody says how long, in seconds."""
        raise NotImplementedError

    def timeout_of(self, what: str, timeout_s: float) -> RequestTimeout:
        """Make the error that says that there was no answer."""
        seconds = f"{round(timeout_s, 3):g} s"
        return RequestTimeout(f"{what}: no answer from {self.url} within {seconds}")

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
                link.post_locked(yield_of(link.protocol, request_id, result))
            except Exception as error:  # LocalProtocolError, or what a program's own value raises
                failure: Exception | None = error
            else:
                failure = None
        if failure is not None:
            text = self.tell_unsent(job, "the result", failure)
            with self._lock:
                link.invocations[request_id] = job
            self.answer_error(link, job, RUNTIME_ERROR, [text], {})
            return
        if not job.is_inline:
            self.flush(link)

    def tell_unsent(self, job: InvocationJob, what: str, failure: BaseException) -> str:
        """Count and log what a handler gave and nobody can send; give the text for its caller."""
        self.dispatcher.count_error()
        uri = job.registration.uri
        logger.error("%s of %s cannot be sent: %s", what, uri, failure)
        return f"{type(failure).__name__}: {what} of {uri} cannot be sent: {failure}"

    def answer_progress(self, link: Link, job: InvocationJob, part: Any) -> None:
        """Send a part of a result. In a thread it waits first while too much waits to be sent.

        Raises:
            LocalProtocolError: it cannot be sent.
            Interrupted: the caller canceled meanwhile; once.
            RequestTimeout: there was no room for STALL_S.
        """
        if link.is_full:
            self._await_room(link, job)
        request_id = job.message.request_id
        with self._lock:
            if not link.is_joined or request_id not in link.invocations:
                return
            try:
                link.post_locked(yield_of(link.protocol, request_id, part, is_part=True))
            except LocalProtocolError as error:
                job.unsent = weakref.ref(error)
                raise
        self.flush(link)

    def _await_room(self, link: Link, job: InvocationJob) -> None:
        """Wait in a handler's thread. Whoever reads may run the handler, but has given the turn up.

        A task must not wait here, see ``part_sent``; nor a control procedure, which runs in the
        thread that has the turn.
        """
        if self.is_in_loop or job.task is not None or job.registration.is_control:
            return
        deadline = time.monotonic() + STALL_S
        while link.is_full:
            if job.is_interrupted and not job.is_told:
                job.is_told = True
                raise Interrupted
            now = self._check_room(deadline)
            link.throttle(now + ROOM_S)

    def _check_room(self, deadline: float) -> float:
        """Give the time. Raises RequestTimeout: it is too late."""
        now = time.monotonic()
        if now > deadline:
            raise RequestTimeout(f"the router at {self.url} takes nothing more")
        return now

    async def part_sent(self, link: Link) -> None:
        """Let others have the loop, and wait while too much waits to be sent.

        An ``async def`` handler may yield for ever without a wait of its own.

        Raises:
            RequestTimeout: there was no room for STALL_S.
        """
        import asyncio  # which is there, where this is called

        await asyncio.sleep(0)
        deadline = time.monotonic() + STALL_S
        while link.is_full:
            self._check_room(deadline)
            await asyncio.sleep(ROOM_S)

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
            except Exception as error:  # LocalProtocolError, or what a program's own value raises
                # Something in it cannot be sent: then at least its text, and why not more.
                text = f"{uri}: {', '.join(map(_shown, args))}"
                text = f"{text[:_TEXT_CHARACTERS]} (cannot be sent as it is: {error})"
                link.post_error_locked(request_id, RUNTIME_ERROR, [text], {})
        if not job.is_inline:
            self.flush(link)


#: All there are in this process.
_all: WeakSet[Answering] = WeakSet()


def _note_fork() -> None:
    """Take the Sessions of the parent out of use, in its child."""
    for session in tuple(_all):
        session._forget()


os.register_at_fork(after_in_child=_note_fork)
