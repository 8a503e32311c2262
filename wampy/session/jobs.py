"""The Jobs of a Session: an INVOCATION, an EVENT; what a handler's end means for the caller."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from wampy.dispatch import Job
from wampy.errors import Interrupted, RemoteProtocolError, RequestError, declared_uri
from wampy.protocol.passthru import is_packed
from wampy.session.futures import arguments_of
from wampy.session.parts import CallParts

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
        "wait",
    )
    is_call = True

    def __init__(
        self, engine: Answering, link: Link, registration: Registration, message: Any
    ) -> None:
        super().__init__(registration.lane)
        self.engine = engine
        self.link = link
        self.registration = registration
        self.message = message
        #: Whether the caller wants no result any more, and whether the handler has been told.
        self.is_interrupted = False
        self.is_told = False
        #: Where the call comes in parts.
        self.parts = CallParts(self) if registration.is_progressive else None
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
            if kind is GeneratorType:
                if self.engine.is_in_loop:
                    return self._exhaust_in_loop(result)
                result = self._exhaust(result)
            elif kind is AsyncGeneratorType:
                return self._exhaust_async(result)
        except BaseException as error:  # whatever a handler raises is for the caller to know
            self.finish(None, error)
        else:
            self.engine.answer(self.link, self, result)
        return None

    def _unpacked(self) -> Any:
        try:
            return arguments_of(self.message)
        except RemoteProtocolError as error:
            raise RequestError(INVALID_ARGUMENT, [str(error)]) from error

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Answer."""
        if error is None:
            self.engine.answer(self.link, self, result)
        else:
            uri, args, kwargs = self._describe(error)
            self.engine.answer_error(self.link, self, uri, args, kwargs)

    def _exhaust(self, parts: GeneratorType[Any, Any, Any]) -> Any:
        """Run a handler that yields: each part is progress if the caller wants that, else kept."""
        is_wanted = bool((self.message.details or {}).get("receive_progress"))
        kept: list[Any] = []
        while True:
            try:
                part = next(parts)
            except StopIteration as end:
                return end.value if is_wanted or not kept else kept
            if self.is_interrupted:
                parts.close()
                raise Interrupted
            if is_wanted:
                self.engine.answer_progress(self.link, self, part)
            else:
                kept.append(part)

    async def _exhaust_in_loop(self, parts: GeneratorType[Any, Any, Any]) -> Any:
        """Run such a handler step by step: the loop goes on with other things between two parts."""
        is_wanted = bool((self.message.details or {}).get("receive_progress"))
        kept: list[Any] = []
        try:
            while True:
                try:
                    part = next(parts)
                except StopIteration as end:
                    return end.value if is_wanted or not kept else kept
                if is_wanted:
                    self.engine.answer_progress(self.link, self, part)
                else:
                    kept.append(part)
                await self.engine.part_sent(self.link)
        finally:
            parts.close()

    async def _exhaust_async(self, parts: AsyncGeneratorType[Any, Any]) -> Any:
        """Run an ``async def`` handler that yields, likewise."""
        is_wanted = bool((self.message.details or {}).get("receive_progress"))
        kept: list[Any] = []
        try:
            async for part in parts:
                if is_wanted:
                    self.engine.answer_progress(self.link, self, part)
                else:
                    kept.append(part)
                await self.engine.part_sent(self.link)
        finally:
            await parts.aclose()
        return kept or None

    def _describe(self, error: BaseException) -> tuple[str, list[Any], dict[str, Any]]:
        """Say what the caller gets for an exception: the error's name and its text."""
        registration = self.registration
        if isinstance(error, RequestError):
            # The handler says what the caller gets, or passes on what it got itself.
            return error.uri, list(error.args), dict(error.kwargs or {})
        if is_cancelled(error):
            return CANCELED, ["the call was canceled"], {}
        declared = declared_uri(error)
        if declared is not None:
            logger.warning("%s: %s: %s", registration.uri, declared, error)
            kwargs = getattr(error, "kwargs", None)
            return declared, list(error.args), dict(kwargs) if isinstance(kwargs, dict) else {}
        name = type(error).__name__
        text = f"{name}: {error}" if str(error) else name
        kwargs = {}
        if registration.is_debug:
            import traceback

            kwargs["traceback"] = "".join(traceback.format_exception(error))
        if isinstance(error, registration.expected):
            logger.warning("%s: %s", registration.uri, text)
            return RUNTIME_ERROR, [text], kwargs
        if isinstance(error, TypeError) and self._is_misfit(error):
            return INVALID_ARGUMENT, [f"{registration.uri}: {error}"], kwargs
        self.engine.dispatcher.count_error()
        logger.error("%s raised", registration.uri, exc_info=error)
        return RUNTIME_ERROR, [text], kwargs

    def _is_misfit(self, error: TypeError) -> bool:
        """Whether the arguments do not fit the handler: it raised before any line of it ran."""
        trace = error.__traceback__
        if trace is None or trace.tb_next is not None:
            return False
        import inspect

        try:
            inspect.signature(self.registration.handler).bind(
                *(self.message.args or ()), **(self.message.kwargs or {})
            )
        except TypeError:
            return True
        except ValueError:
            return False
        return False


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
            result = subscription.handler(*args, **kwargs)
            if type(result) is CoroutineType:
                return result
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
            result = self.callback()
            if type(result) is CoroutineType:
                return result
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
