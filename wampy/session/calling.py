"""How a Session calls: and waits, gets a future, or takes and gives parts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wampy.durations import seconds_of
from wampy.errors import ApplicationError, RequestTimeout, as_declared
from wampy.session.establishing import Establishing
from wampy.session.futures import (
    CallFuture,
    CallResult,
    ProgressiveResults,
    ProgressWaiter,
    Waiter,
    payload_of,
    value_of,
    whole_of,
)


class Calling(Establishing):
    """The Caller's part of a Session. Thread-safe."""

    def call(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a procedure and wait for its result.

        Args:
            uri: of the procedure.
            *args: for it.
            timeout: seconds, the wait for a lost connection included; default: the Session's.
            options: CALL.Options.
            **kwargs: for it.

        Returns:
            the value; None for none; a CallResult for several, or for values by name.

        Raises:
            NoSuchProcedure, Unavailable, InvalidArgument and other RequestErrors: the answer.
            what ``@error`` has declared for the answer's URI.
            RequestTimeout: no answer in time; the call is cancelled.
            Interrupted: a handler calls, and its own caller has canceled; this call is, too.
            ConnectionLost: the connection broke; whether the call was carried out is unknown.
            SessionClosed: not begun, or ended.
            SerializationError, MessageTooLong, LocalProtocolError: nothing was sent.
        """
        return value_of(self._call(uri, args, kwargs, timeout, options))

    def call_result(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> CallResult:
        """Call a procedure; give all of its result: ``args``, ``kwargs`` and ``details``.

        Otherwise as ``call``.
        """
        return whole_of(self._call(uri, args, kwargs, timeout, options))

    def _call(
        self,
        uri: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        options: Mapping[str, Any] | None,
    ) -> Any:
        try:
            return self.request(
                lambda protocol: protocol.call(uri, args, kwargs, options, timeout),
                Waiter(),
                self._timeout_s if timeout is None else seconds_of(timeout),
                uri,
            )
        except ApplicationError as error:
            raise as_declared(error)  # noqa: B904 - it is the same, or has it as its cause

    def call_async(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> CallFuture:
        """Call a procedure; the future has its result. Blocks only while not joined.

        ``future.cancel()`` cancels the call at the Router, and finishes the future at once.

        Raises:
            SessionClosed, ConnectionLost, SerializationError, MessageTooLong, LocalProtocolError:
            nothing was sent. All else is in the future.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        future = CallFuture(self, uri, timeout_s)
        try:
            self.post(
                lambda protocol: protocol.call(uri, args, kwargs, options, timeout),
                future,
                future.deadline,
            )
        except RequestTimeout as error:
            future.resolve(None, error)
        except BaseException:
            self.leave(future)  # nobody has it
            raise
        return future

    def call_progress(
        self,
        uri: str,
        /,
        *args: Any,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProgressiveResults:
        """Call a procedure that gives its result in parts; iterate over them.

        The timeout counts from part to part. Raises what ``call`` raises, while iterating too.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        wanted = {**(options or {}), "receive_progress": True}
        waiter = ProgressWaiter()
        try:
            link = self.post(
                lambda protocol: protocol.call(uri, args, kwargs, wanted),
                waiter,
                time.monotonic() + timeout_s,
            )
            return ProgressiveResults(self, link, waiter.request_id, waiter, uri, timeout_s)
        except BaseException:
            self.leave(waiter)  # nobody has them
            raise

    def call_parts(
        self,
        uri: str,
        parts: Iterable[Any],
        /,
        *,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a procedure that takes its arguments in parts; wait for its result.

        The parts are sent as the iterable gives them; where the answer comes before the last of
        them, it is asked for no more. What the iterable raises cancels the call.

        Args:
            uri: of the procedure; registered as ``progressive``.
            parts: one argument each, or CallResults for several or for arguments by name.
            timeout: seconds to wait for the result after the last part; default: the Session's.
            options: CALL.Options.

        Raises:
            LocalProtocolError: the Router does not announce ``progressive_call_invocations``.
            and what ``call`` raises.
        """
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
        waiter = Waiter()
        self._send_parts(uri, iter(parts), waiter, timeout_s, options or {})
        try:
            message = self.answer_to(waiter, time.monotonic() + timeout_s, timeout_s, uri)
        except ApplicationError as error:
            raise as_declared(error)  # noqa: B904 - as in _call
        return value_of(message)

    def _send_parts(
        self,
        uri: str,
        parts: Iterator[Any],
        waiter: Waiter,
        timeout_s: float,
        options: Mapping[str, Any],
    ) -> None:
        """Send parts until there are no more, or the answer is there."""
        nothing = CallResult()
        part, following = next(parts, nothing), next(parts, nothing)
        link = None
        try:
            while not waiter.is_done:
                wanted = {**options, "progress": following is not nothing}
                request = uri, *payload_of(part), wanted
                deadline = time.monotonic() + timeout_s
                if link is None:
                    link = self.post(lambda made: made.call_parts(*request), waiter, deadline)  # noqa: B023 - called at once
                else:
                    self.post_part(link, waiter, request, deadline)
                if following is nothing:
                    return
                part, following = following, next(parts, nothing)
        except BaseException:
            self.leave(waiter)
            raise
