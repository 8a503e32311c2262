"""The Jobs of a Session: an INVOCATION, an EVENT; what a handler's end means for the caller."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Coroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Job
from wampy.errors import (
    Interrupted,
    LocalProtocolError,
    RemoteProtocolError,
    RequestError,
    declared_uri,
)
from wampy.protocol.passthru import is_packed
from wampy.session.arguments import misfit
from wampy.session.futures import arguments_of
from wampy.session.parts import CallParts
from wampy.session.yielding import Taker, exhaust, exhaust_async, exhaust_in_turns

if TYPE_CHECKING:
    from wampy.session.answering import Answering
    from wampy.session.futures import Waiter
    from wampy.session.handles import Registration, Subscription
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

RUNTIME_ERROR = "wamp.error.runtime_error"
INVALID_ARGUMENT = "wamp.error.invalid_argument"
CANCELED = "wamp.error.canceled"


class InvocationJob(Job):
    """One call of a procedure of ours."""

    __slots__ = (
        "engine",
        "is_interrupted",
        "is_told",
        "link",
        "message",
        "parts",
        "registration",
        "unsent",
        "wait",
    )
    is_call = True

    def __init__(
        self, engine: Answering, link: Link, registration: Registration, message: Any
    ) -> None:
        Job.__init__(self, registration.lane)  # ``super()`` takes twice as long
        self.engine = engine
        self.link = link
        self.registration = registration
        self.message = message
        #: Whether the caller wants no result any more, and whether the handler has been told.
        self.is_interrupted = False
        self.is_told = False
        #: Where the call comes in parts.
        self.parts = CallParts(self) if registration.is_progressive else None
        #: The error that said that a part cannot be sent; weak, for the error holds on to this.
        self.unsent: weakref.ref[LocalProtocolError] | None = None
        #: What the handler's thread waits for now, and of which Session.
        self.wait: tuple[Answering, Waiter] | None = None

    def interrupt(self) -> None:
        """Take note of an INTERRUPT: a handler that waits for something of wampy goes on."""
        self.is_interrupted = True
        wait = self.wait
        if wait is not None:
            engine, waiter = wait
            engine.interrupt(waiter)

    def run(self) -> Coroutine[Any, Any, Any] | None:
        """Call the handler, and answer."""
        message, registration = self.message, self.registration
        try:
            args, kwargs = message.args or (), message.kwargs
            if message.details and is_packed(message.details):
                args, kwargs = self._unpacked()
            if self.parts is not None:
                args, kwargs = (self.parts,), {}
            elif registration.arguments is not None:
                args, kwargs = registration.arguments.convert(registration.uri, args, kwargs)
            if kwargs:
                result = registration.handler(*args, **kwargs)
            else:
                result = registration.handler(*args)
            kind = type(result)
            if kind is CoroutineType:
                return result  # type: ignore[no-any-return]
            if kind is GeneratorType or kind is AsyncGeneratorType:
                result = run_through(self.engine, result, CallTaker(self))
                if type(result) is CoroutineType:
                    return result
        except BaseException as error:  # whatever a handler raises is for the caller to know
            self.finish(None, error)
        else:
            self.finish(result, None)
        return None

    @property
    def is_unwanted(self) -> bool:
        """Whether nobody wants the result any more: the caller canceled, or the link is lost."""
        return self.is_interrupted or not self.link.is_alive

    def _unpacked(self) -> Any:
        try:
            return arguments_of(self.message)
        except RemoteProtocolError as error:
            raise RequestError(INVALID_ARGUMENT, [str(error)]) from error

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Answer, whatever the handler's end is like: a caller that gets nothing waits in vain."""
        try:
            if error is None:
                self.engine.answer(self.link, self, result)
                return
            uri, args, kwargs = self._describe(error)
        except Exception as failure:  # of the exception's own methods, or of ours
            logger.exception("%s: its end cannot be told", self.registration.uri)
            name = type(error or failure).__name__
            uri, args, kwargs = RUNTIME_ERROR, [f"{name}, which cannot be told"], {}
        self.engine.answer_error(self.link, self, uri, args, kwargs)

    def _describe(self, error: BaseException) -> tuple[str, list[Any], dict[str, Any]]:
        """Say what the caller gets for an exception: the error's name and its text."""
        registration = self.registration
        if isinstance(error, RequestError):
            # The handler says what the caller gets, or passes on what it got itself.
            return error.uri, list(error.args), dict(error.kwargs or {})
        if is_cancelled(error):
            return CANCELED, ["the call was canceled"], {}
        if self.unsent is not None and self.unsent() is error:
            text = self.engine.tell_unsent(self, "a part of the result", error)
            return RUNTIME_ERROR, [text], {}
        declared = declared_uri(error)
        if declared is not None:
            logger.warning("%s: %s: %s", registration.uri, declared, text_of(error))
            kwargs = getattr(error, "kwargs", None)
            return declared, list(error.args), dict(kwargs) if isinstance(kwargs, dict) else {}
        name, words = type(error).__name__, text_of(error)
        text = f"{name}: {words}" if words else name
        kwargs = {}
        if registration.is_debug:
            import traceback

            kwargs["traceback"] = "".join(traceback.format_exception(error))
        if isinstance(error, registration.expected):
            logger.warning("%s: %s", registration.uri, text)
            return RUNTIME_ERROR, [text], kwargs
        if isinstance(error, TypeError):
            given, named = self._given()
            found = misfit(registration.handler, given, named, error)
            if found is not None:
                told, parameter = found
                if parameter is not None:
                    kwargs["parameter"] = parameter
                return INVALID_ARGUMENT, [f"{registration.uri}: {told}"], kwargs
        self.engine.dispatcher.count_error()
        logger.error("%s raised", registration.uri, exc_info=error)
        return RUNTIME_ERROR, [text], kwargs

    def _given(self) -> Any:
        """Give what the handler was called with, as far as its number and names go."""
        if self.parts is not None:
            return (self.parts,), {}
        args, kwargs = self._unpacked()
        return args or (), kwargs or {}


class CallTaker(Taker):
    """Takes what a handler yields: progress where its caller wants that, else the last part only.

    Nothing is collected, so that a handler may yield for ever.
    """

    __slots__ = ("_is_wanted", "_job", "_last")

    def __init__(self, job: InvocationJob) -> None:
        self._job = job
        self._is_wanted = bool((job.message.details or {}).get("receive_progress"))
        self._last: Any = None

    def take(self, part: Any) -> None:
        """Send a part, or keep it as the last.

        Raises:
            Interrupted: nobody wants the result any more.
            LocalProtocolError: it cannot be sent.
        """
        job = self._job
        # A task is cancelled besides, when it gives the loop its turn: told twice, what it does
        # to clean up would be cut short.
        if not job.link.is_alive or (job.is_interrupted and job.task is None):
            job.is_told = True
            raise Interrupted
        if self._is_wanted:
            job.engine.answer_progress(job.link, job, part)
        else:
            self._last = part

    async def turn(self) -> None:
        """Let others have the loop, and wait while too much waits to be sent."""
        await self._job.engine.part_sent(self._job.link)

    def result(self, returned: Any) -> Any:
        """Give the call's result."""
        return self._last if returned is None else returned


def run_through(engine: Answering, parts: Any, taker: Taker) -> Any:
    """Run a generator, of either kind; give what it comes to, or a coroutine that will."""
    if type(parts) is AsyncGeneratorType:
        return exhaust_async(parts, taker)
    if engine.is_in_loop:
        return exhaust_in_turns(parts, taker)
    return exhaust(parts, taker)


def run_plainly(engine: Answering, result: Any) -> Coroutine[Any, Any, Any] | None:
    """Do what is left of a handler whose result nobody gets, such as one of events."""
    kind = type(result)
    if kind is GeneratorType or kind is AsyncGeneratorType:
        result = run_through(engine, result, Taker())
    return result if type(result) is CoroutineType else None


class EventJob(Job):
    """One event for one Subscription."""

    __slots__ = ("engine", "message", "subscription")

    def __init__(self, engine: Answering, subscription: Subscription, message: Any) -> None:
        super().__init__(subscription.lane)
        self.engine = engine
        self.subscription = subscription
        self.message = message

    def run(self) -> Coroutine[Any, Any, Any] | None:
        """Call the handler."""
        if not self.subscription.is_active:
            return None
        message, subscription = self.message, self.subscription
        try:
            args, kwargs = arguments_of(message)
            args, kwargs = args or (), kwargs or {}
            if subscription.arguments is not None:
                args, kwargs = subscription.arguments.convert(subscription.uri, args, kwargs)
            return run_plainly(self.engine, subscription.handler(*args, **kwargs))
        except BaseException as error:  # a handler's failure is its own; the next event comes
            self.finish(None, error)
        return None

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Log what went wrong: an event has nobody to answer to."""
        if error is not None and not is_cancelled(error):
            self.engine.dispatcher.count_error()
            logger.error("handler of %s raised", self.subscription.uri, exc_info=error)


class CallbackJob(Job):
    """One run of a function of ours: a timer."""

    __slots__ = ("callback", "engine")

    def __init__(self, engine: Answering, lane: Any, callback: Any) -> None:
        super().__init__(lane)
        self.engine = engine
        self.callback = callback

    def run(self) -> Coroutine[Any, Any, Any] | None:
        """Call it."""
        try:
            return run_plainly(self.engine, self.callback())
        except BaseException as error:  # as for events
            self.finish(None, error)
        return None

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Log what went wrong."""
        if error is not None and not is_cancelled(error):
            self.engine.dispatcher.count_error()
            logger.error("%s raised", self.lane.name, exc_info=error)


def is_cancelled(error: BaseException) -> bool:
    """Whether it is a CancelledError, of asyncio or concurrent.futures; imports neither."""
    return type(error).__name__ == "CancelledError"


def text_of(error: BaseException) -> str:
    """Give an exception's text, where it has one that can be made."""
    try:
        return str(error)
    except Exception:  # a program's own __str__
        return "(its text cannot be made)"
