"""The Session: blocking, thread-safe, without an event loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

from wampy.auth import Anonymous, Ticket
from wampy.errors import (
    ConnectionLost,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import Message
from wampy.protocol.session import ClientProtocol
from wampy.serializers import SERIALIZERS
from wampy.session import raw
from wampy.session.establishing import Establishing
from wampy.session.futures import CallFuture, ProgressiveResults, ProgressWaiter, Waiter, value_of
from wampy.session.handles import Registration, Subscription
from wampy.session.link import Link
from wampy.uris import check_uri

#: Seconds after which a quiet connection is asked whether it lives, and how long it may be silent.
PING_INTERVAL_S = 10.0
PING_TIMEOUT_S = 5.0


class Session(Establishing):
    """A WAMP Session with a Router, over one connection at a time.

    Connects when it is made; ``begin`` joins the Realm. As a context manager it does both, and ends
    the Session. Thread-safe: any thread may call any method at any time. Every wait is bounded.

    A lost connection fails the calls that wait for an answer with ConnectionLost, and is made again
    in the background; what was registered and subscribed is registered and subscribed again. A call
    made meanwhile waits for that until its timeout, a publish fails at once.

    Args:
        router: a URL (``ws://``, ``wss://``, ``tcp://host:port``, ``tcps://host:port`` or
            ``unix:///path``; the last three are RawSocket), or an object with a ``url``, such as
            ``wampy.testing.routers.Crossbar``.
        realm: default: the router object's, else ``realm1``.
        authid: who joins; with ``ticket``. Without: anonymous.
        ticket: the secret; never sent in the clear beyond this machine, in no log and no ``repr``.
        reconnect: False: a lost connection stays lost.
        timeout: seconds that a request waits when nobody says how long, connecting included.
        serializer: ``msgpack``, ``json``, or ``cbor`` (needs the extra of that name); default: what
            the Router takes, in this order.
        on_join: called after each join; the first time within ``begin``, later in a thread of its
            own. Must not wait for long.
        on_leave: called when a joined Session was lost or has ended, in a thread of its own.
        ping_interval: seconds of silence after which the Router is asked whether it lives; 0: off.
        ca: a file of certificates to trust instead of the system's, for ``wss`` and ``tcps``.

    Raises:
        ConnectFailed: no connection comes about; says which URL and why.
    """

    def __init__(
        self,
        router: Any,
        realm: str | None = None,
        *,
        authid: str | None = None,
        ticket: str | None = None,
        reconnect: bool = True,
        timeout: float = 30.0,
        serializer: str | None = None,
        on_join: Callable[[], Any] | None = None,
        on_leave: Callable[[], Any] | None = None,
        ping_interval: float = PING_INTERVAL_S,
        ca: str | None = None,
    ) -> None:
        url = router if isinstance(router, str) else getattr(router, "url", None)
        if not isinstance(url, str):
            raise TypeError(f"a router is a URL or has a `url`, got {router!r}")
        if (authid is None) != (ticket is None):
            raise TypeError("authid and ticket go together")
        if serializer is not None and serializer not in SERIALIZERS:
            hint = ": pip install 'wampy-stack[cbor]'" if serializer == "cbor" else ""
            raise ValueError(f"no serializer {serializer!r}, but {', '.join(SERIALIZERS)}{hint}")
        self.realm: str = realm or getattr(router, "realm", None) or "realm1"
        auth = Anonymous() if authid is None or ticket is None else Ticket(authid, ticket)
        super().__init__(
            url,
            protocol=lambda: ClientProtocol(self.realm, auth),
            serializers=tuple(SERIALIZERS) if serializer is None else (serializer,),
            has_secret=ticket is not None,
            reconnects=reconnect,
            timeout_s=timeout,
            ping=(ping_interval, min(PING_TIMEOUT_S, ping_interval)),
            ca=ca,
            on_join=on_join,
            on_leave=on_leave,
        )
        #: What came for messages sent by hand; bounded, the oldest go first.
        self.inbox: deque[Any] = deque(maxlen=10_000)
        self.inbox_waiters: list[Waiter] = []
        self._link = self._open(time.monotonic() + timeout)

    def __repr__(self) -> str:
        return f"<Session {self.id or 'not joined'} {self.url} {self.realm}>"

    @property
    def id(self) -> int | None:
        """The Session's id, or None while it is not joined."""
        link = self._link
        return link.protocol.session_id if link is not None and link.is_joined else None

    @property
    def is_joined(self) -> bool:
        """Whether the Session is joined now."""
        link = self._link
        return link is not None and link.is_joined

    # ------------------------------------------------------------------ beginning and end

    def begin(self, timeout: float | None = None) -> None:
        """Join the Realm: HELLO, WELCOME. Does nothing on a Session that has begun.

        Args:
            timeout: seconds; default: the Session's.

        Raises:
            NoSuchRealm, NotAuthenticated, JoinRejected: the Router refuses.
            ConnectFailed, ConnectionLost, RequestTimeout: it does not answer.
            SessionClosed: the Session has ended.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout is None else timeout)
        with self._lock:
            if self._closing.is_set():
                raise SessionClosed("the session has ended")
            if self._is_begun:
                return
            if not self._turn.take_locked():
                raise SessionClosed("another thread begins the session at this moment")
            link = self._link
        try:
            link = self._join_first(link, deadline)
        finally:
            with self._lock:
                self._turn.release_locked(is_urgent=False)
        self._is_begun = True
        if self._on_join is not None:
            self._guarded(self._on_join)
        with self._lock:
            self._start_thread_locked()

    def _join_first(self, link: Link | None, deadline: float) -> Link:
        """Join over the connection made at the start, or over a new one where that has gone."""
        if link is not None and link.is_alive:
            try:
                self._join(link, deadline)
            except ConnectionLost:
                # It stood there unused, and the Router did not wait: only now do we notice.
                link.close()
            except WampyError as error:
                self._abandon(link, error)
                raise
            else:
                return link
        link = self._open(deadline)
        with self._lock:
            self._link = link
        try:
            self._join(link, deadline)
        except WampyError as error:
            self._abandon(link, error)
            raise
        return link

    def _abandon(self, link: Link, error: WampyError) -> None:
        self.lose(link, error)
        link.close()

    def end(self) -> None:
        """Leave: GOODBYE, then close. What waits for an answer gets SessionClosed.

        Waits at most a few seconds. Idempotent. Handlers that run are left to end.
        """
        self._close()

    def __enter__(self) -> Self:
        """Begin."""
        try:
            self.begin()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """End."""
        self.end()

    # ------------------------------------------------------------------ calls

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
            RequestTimeout: no answer in time; the call is cancelled.
            ConnectionLost: the connection broke; whether the call was carried out is unknown.
            SessionClosed: not begun, or ended.
            SerializationError, MessageTooLong, LocalProtocolError: nothing was sent.
        """
        message = self.request(
            lambda protocol: protocol.call(uri, args, kwargs, options),
            Waiter(),
            self._timeout_s if timeout is None else timeout,
            uri,
        )
        return value_of(message)

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
        timeout_s = self._timeout_s if timeout is None else timeout
        future = CallFuture(self, uri, timeout_s)
        try:
            self.post(
                lambda protocol: protocol.call(uri, args, kwargs, options), future, future.deadline
            )
        except RequestTimeout as error:
            future.resolve(None, error)
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
        timeout_s = self._timeout_s if timeout is None else timeout
        wanted = {**(options or {}), "receive_progress": True}
        waiter = ProgressWaiter()
        link = self.post(
            lambda protocol: protocol.call(uri, args, kwargs, wanted),
            waiter,
            time.monotonic() + timeout_s,
        )
        return ProgressiveResults(self, link, waiter.request_id, waiter, uri, timeout_s)

    # ------------------------------------------------------------------ topics

    def publish(
        self,
        topic: str,
        /,
        *args: Any,
        acknowledge: bool = False,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> int | None:
        """Publish an event.

        Args:
            topic: where.
            *args: of the event.
            acknowledge: wait until the Router has taken it; without, a refusal goes unnoticed.
            timeout: seconds to wait for that.
            options: PUBLISH.Options.
            **kwargs: of the event.

        Returns:
            the publication's id when acknowledged, else None.

        Raises:
            ConnectionLost: not joined at this moment.
            RequestError, RequestTimeout: when acknowledged.
            SessionClosed, SerializationError, MessageTooLong, LocalProtocolError: nothing was sent.
        """
        timeout_s = self._timeout_s if timeout is None else timeout
        wanted = {**(options or {}), "acknowledge": True} if acknowledge else options
        waiter = Waiter() if acknowledge else None
        deadline = time.monotonic() + timeout_s
        link = self.post(
            lambda protocol: protocol.publish(topic, args, kwargs, wanted),
            waiter,
            deadline,
            waits_for_join=False,
        )
        if waiter is None:
            if not link.is_alive:
                raise ConnectionLost(str(link.error))
            return None
        message = self.answer_to(waiter, deadline, timeout_s, topic)
        published: int = message.publication_id
        return published

    def subscribe(
        self,
        topic: str,
        handler: Callable[..., Any],
        match: str = "exact",
        *,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Subscription:
        """Have a handler called for each event of a topic; returns when the Router has confirmed.

        Args:
            topic: a URI, or a pattern.
            handler: called with the event's arguments, for one event after the other; may be
                ``async def``. What it raises is logged.
            match: ``exact``, ``prefix`` or ``wildcard``.
            timeout: seconds; default: the Session's.
            options: SUBSCRIBE.Options.

        Raises:
            RequestError, RequestTimeout, ConnectionLost, SessionClosed, LocalProtocolError.
        """
        check_uri(topic, match)
        wanted = dict(options or {})
        if match != "exact":
            wanted["match"] = match
        subscription = Subscription(self, topic, handler, wanted)
        self.set_up([subscription], self._timeout_s if timeout is None else timeout)
        return subscription

    # ------------------------------------------------------------------ procedures

    def register(
        self,
        uri: str,
        handler: Callable[..., Any],
        *,
        invoke: str = "single",
        match: str = "exact",
        concurrency: int | None = None,
        expected: tuple[type[BaseException], ...] = (),
        debug: bool = False,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Registration:
        """Offer a procedure; returns when the Router has confirmed it.

        Args:
            uri: of the procedure, or a pattern.
            handler: called with the call's arguments; may be ``async def``; one that yields gives
                progressive results. What it raises goes to the caller, by name and text.
            invoke: ``single``, ``roundrobin``, ``random``, ``first`` or ``last``.
            match: ``exact``, ``prefix`` or ``wildcard``.
            concurrency: how many calls of it run at once; default: as many as handlers run at all.
            expected: exceptions that are the caller's fault, logged as a WARNING only.
            debug: whether tracebacks travel to the caller.
            timeout: seconds; default: the Session's.
            options: REGISTER.Options.

        Raises:
            ProcedureAlreadyExists: somebody else offers it, and one of you as ``single``.
            RequestError, RequestTimeout, ConnectionLost, SessionClosed, LocalProtocolError.
        """
        check_uri(uri, match)
        wanted = dict(options or {})
        if invoke != "single":
            wanted["invoke"] = invoke
        if match != "exact":
            wanted["match"] = match
        registration = Registration(
            self, uri, handler, wanted, limit=concurrency, expected=expected, is_debug=debug
        )
        self.set_up([registration], self._timeout_s if timeout is None else timeout)
        return registration

    # ------------------------------------------------------------------ messages by hand

    @property
    def timeout_s(self) -> float:
        """How long a request waits when nobody says how long, in seconds."""
        return self._timeout_s

    def keep_locked(self, message: Any) -> None:
        """Keep a message, or an error, for ``recv``."""
        self.inbox.append(message)
        for waiter in self.inbox_waiters:
            waiter.wake()

    def send(self, message: Message) -> Message:
        """Send a message; what answers it comes by ``recv``.

        Args:
            message: CALL, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, REGISTER, UNREGISTER, CANCEL, or YIELD
                and ERROR for an INVOCATION that came by ``recv``. The request id of the first six
                is given here, for the spec wants them in order.

        Returns:
            the message as it was sent.

        Raises:
            LocalProtocolError: not a message that a Client sends now.
            and what ``call`` raises when nothing was sent.
        """
        return raw.send(self, message)

    def recv(self, timeout: float | None = None) -> Message:
        """Wait for the next message that belongs to one sent by ``send``.

        Raises:
            RequestTimeout: none came in time.
        """
        return raw.receive(self, self._timeout_s if timeout is None else timeout)

    def send_and_receive(self, message: Message, timeout: float | None = None) -> Message | None:
        """Send a message and wait for its answer: RESULT, PUBLISHED, …, or ERROR.

        Returns None for one that is never answered, such as a PUBLISH without ``acknowledge``.

        Raises:
            RequestTimeout: no answer in time.
            ConnectionLost: the connection broke.
        """
        return raw.exchange(self, message, self._timeout_s if timeout is None else timeout)
