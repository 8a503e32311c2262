"""The Session: blocking, thread-safe, without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from wampy.auth import Authentication
from wampy.durations import seconds_of
from wampy.errors import (
    ConnectionLost,
    RequestTimeout,
    SessionClosed,
    WampyError,
)
from wampy.messages import Message
from wampy.session import raw
from wampy.session.calling import Calling
from wampy.session.configuring import (
    PING_INTERVAL_S,
    method_of,
    registration_options,
    session_options,
    subscription_options,
)
from wampy.session.connecting import logger
from wampy.session.futures import (
    Waiter,
)
from wampy.session.handles import Registration, Subscription
from wampy.session.link import Link
from wampy.session.reading import HOLDERS

if TYPE_CHECKING:
    from wampy.session.meta import Meta
    from wampy.session.questions import Scope


class Session(Calling):
    """A WAMP Session with a Router, over one connection at a time.

    Connects when it is made; ``begin`` joins the Realm. As a context manager it does both, and ends
    the Session. Thread-safe: any thread may call any method at any time. Every wait is bounded.

    A lost connection fails the calls that wait for an answer with ConnectionLost, and is made again
    in the background; what was registered and subscribed is registered and subscribed again. A call
    made meanwhile waits for that until its timeout, a publish fails at once. In a child process
    that was forked meanwhile every use is SessionClosed, and ``end`` does nothing.

    A Session that has begun lives until ``end``, with its threads and its connection, also when
    nobody refers to it any more: use ``with``, or end it. An exception that comes out of a wait,
    such as KeyboardInterrupt, leaves it whole: the call is cancelled, a registration undone. In a
    signal handler ``end`` may be called; what would have to wait there for what it interrupted is
    a LocalProtocolError at once, also in a callback of a future.

    Args:
        router: a URL (``ws://``, ``wss://``, ``tcp://host:port``, ``tcps://host:port`` or
            ``unix:///path``; the last three are RawSocket), or an object with a ``url``, such as
            ``wampy.testing.routers.Crossbar``.
        realm: default: the router object's, else ``realm1``.
        authid: who joins; with ``ticket``. Without, and without ``auth``: anonymous.
        ticket: the secret; never sent in the clear beyond this machine, in no log and no ``repr``.
        auth: how to join, in place of these: one of ``wampy.auth``, or several of them, which are
            offered in this order.
        reconnect: False: a lost connection stays lost.
        timeout: seconds that a request waits when nobody says how long, connecting included. This
            and all other timeouts are from 0; infinite is as long as the system can wait.
        serializer: ``msgpack``, ``json``, or ``cbor`` (needs the extra of that name); default: what
            the Router takes, in this order.
        on_join: called after each join; the first time within ``begin``, later in a thread of its
            own. Must not wait for long.
        on_leave: called when a joined Session was lost or has ended, in a thread of its own.
        on_reconnect: called after ``on_join`` when a lost Session is joined again and what it had
            registered and subscribed is so again, or the Router refuses it; in the same thread.
        ping_interval: seconds of silence after which the Router is asked whether it lives; 0: off.
        ca: a file of certificates to trust instead of the system's, for ``wss`` and ``tcps``.
        certificate: a file (PEM) with a certificate to show there, its chain behind it.
        key: the file of its private key, without a pass phrase; default: the certificate's file.
        proxy: for ``ws`` and ``wss``, ``http://user:password@host:port``; and with python-socks
            (extra ``proxy``) ``socks4``, ``socks4a``, ``socks5``, ``socks5h``. The environment is
            not asked.

    Raises:
        ConnectFailed: no connection comes about; says which URL and why.
        TypeError, ValueError: an argument is wrong; every timeout that is no number, or negative.
    """

    def __init__(
        self,
        router: Any,
        realm: str | None = None,
        *,
        authid: str | None = None,
        ticket: str | None = None,
        auth: Authentication | Sequence[Authentication] | None = None,
        reconnect: bool = True,
        timeout: float = 30.0,
        serializer: str | None = None,
        on_join: Callable[[], Any] | None = None,
        on_leave: Callable[[], Any] | None = None,
        on_reconnect: Callable[[], Any] | None = None,
        ping_interval: float = PING_INTERVAL_S,
        ca: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        proxy: str | None = None,
    ) -> None:
        self.realm, wanted = session_options(
            router,
            realm,
            method_of(auth, authid, ticket),
            serializer=serializer,
            reconnect=reconnect,
            timeout=timeout,
            ping_interval=ping_interval,
            files=(ca, certificate, key, proxy),
            hooks=(on_join, on_leave, on_reconnect),
        )
        super().__init__(**wanted)
        self._link = self._open(time.monotonic() + self._timeout_s)

    def __repr__(self) -> str:
        return f"<Session {self.id or 'not joined'} {self.url} {self.realm}>"

    @property
    def id(self) -> int | None:
        """The Session's id, or None while it is not joined."""
        link = self._link
        return link.protocol.session_id if link is not None and link.is_joined else None

    @property
    def details(self) -> Mapping[str, Any]:
        """WELCOME.Details of the Session: who it is to the Router (``authid``, ``authrole``, …).

        Empty while it is not joined.
        """
        link = self._link
        return link.protocol.details if link is not None and link.is_joined else {}

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
        deadline = time.monotonic() + (self._timeout_s if timeout is None else seconds_of(timeout))
        self.check_usable()
        try:
            with self._lock:
                if self._closing.is_set():
                    raise SessionClosed("the session has ended")
                if self._is_begun:
                    return
                if not self._turn.take_locked():
                    raise SessionClosed("another thread begins the session at this moment")
            self._join_first(deadline)
            with self._lock:
                if not any(thread.is_alive() for thread in self._threads):
                    self._start_thread_locked()
                self._is_begun = True
                self._turn.release_locked(is_urgent=False)
        except BaseException:
            with self._lock:
                self._turn.leave_locked(None)
            raise
        if self._on_join is not None:
            self._guarded(self._on_join)

    def _join_first(self, deadline: float) -> None:
        """Join over the connection made at the start, or over a new one where that has gone."""
        link = self._link
        if link is not None and link.is_joined:
            return  # interrupted when it was about to say so
        if link is not None and link.is_alive:
            try:
                self._join(link, deadline)
                return
            except ConnectionLost:
                # It stood there unused, and the Router did not wait: only now do we notice.
                link.close()
            except BaseException as error:
                self._abandon(link, error)
                raise
        link = self._open(deadline)
        with self._lock:
            self._link = link
        try:
            self._join(link, deadline)
        except BaseException as error:
            self._abandon(link, error)
            raise

    def _abandon(self, link: Link, error: BaseException) -> None:
        """Close a connection over which joining failed, or was interrupted: next time another."""
        if not isinstance(error, WampyError):
            error = ConnectionLost(f"joining was interrupted by {error!r}")
        self.lose(link, error)
        link.close()

    def drain(self, timeout: float = 10.0) -> bool:
        """Give up what this Session offers and listens to, without losing a call; then ``end`` it.

        Unregisters and unsubscribes everything, waits until the Router has confirmed that, then for
        the handlers: nothing that was routed here before is lost. The Session stays joined. Not to
        be called by a handler, which would wait for itself.

        Args:
            timeout: seconds, for all of it.

        Returns:
            whether all was confirmed and all handlers have ended.
        """
        timeout = seconds_of(timeout)
        deadline = time.monotonic() + timeout
        self.check_usable()
        with self._lock:
            handles = [*self.registrations, *self.subscriptions]
        try:
            self.tear_down(handles, timeout)
        except RequestTimeout as error:
            logger.warning("draining: %s", error)
            return False
        return self.wait_idle(max(0.0, deadline - time.monotonic()))

    def end(self) -> None:
        """Leave: GOODBYE, then close. What waits for an answer gets SessionClosed.

        Waits at most a few seconds. Idempotent: all is done when it returns, also where an earlier
        one was interrupted. A signal handler may call it; where it has interrupted the Session at
        work, the end comes as soon as that goes on, and not before it returns. At the end of the
        interpreter it does nothing. Handlers that run are left to end, and their
        callers get ``wamp.error.canceled``: a callee calls ``drain`` first.
        """
        self._close()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the Session is over for good; whether it is.

        It is when ``end`` was called, or, with ``reconnect=False``, when the connection is lost.

        Args:
            timeout: seconds; None: as long as it takes.
        """
        if self._is_forked:
            return True
        deadline = None if timeout is None else time.monotonic() + seconds_of(timeout)
        return self._changes.wait_for(lambda: self._is_over, deadline)

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
        timeout_s = self._timeout_s if timeout is None else seconds_of(timeout)
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
                ``async def``. What it raises is logged; what it returns or yields goes nowhere.
            match: ``exact``, ``prefix`` or ``wildcard``.
            timeout: seconds; default: the Session's.
            options: SUBSCRIBE.Options.

        Raises:
            TypeError: the handler is no function; nothing was sent.
            RequestError, RequestTimeout, ConnectionLost, SessionClosed, LocalProtocolError.
        """
        wanted = subscription_options(topic, match, options)
        subscription = Subscription(self, topic, handler, wanted)
        self.set_up([subscription], self._timeout_s if timeout is None else seconds_of(timeout))
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
        expected: type[BaseException] | tuple[type[BaseException], ...] = (),
        replace: bool = False,
        progressive: bool = False,
        debug: bool = False,
        timeout: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Registration:
        """Offer a procedure; returns when the Router has confirmed it.

        Args:
            uri: of the procedure, or a pattern.
            handler: called with the call's arguments; may be ``async def``. One that yields gives
                each part to a caller that wants progress, and to others what it returns, or the
                last part where it returns nothing. What it raises goes to the caller, by name and
                text.
            invoke: ``single``, ``roundrobin``, ``random``, ``first`` or ``last``.
            match: ``exact``, ``prefix`` or ``wildcard``.
            concurrency: how many calls of it run at once; default: as many as handlers run at all.
            expected: a class of exceptions, or several, that are the caller's fault: logged as a
                WARNING only.
            replace: whether who offers it now loses it: for what a Session left behind. The
                Router's, and not of the spec: Crossbar and the built-in Router do it.
            progressive: whether calls of it may come in parts (``call_parts``): the handler gets
                one argument, CallParts, and iterates over it.
            debug: whether tracebacks travel to the caller.
            timeout: seconds; default: the Session's.
            options: REGISTER.Options.

        Raises:
            TypeError, ValueError: the handler is no function, ``concurrency`` no number from 1,
                or ``expected`` no class of exceptions; nothing was sent.
            ProcedureAlreadyExists: somebody else offers it, and one of you as ``single``.
            RequestError, RequestTimeout, ConnectionLost, SessionClosed, LocalProtocolError.
        """
        registration = Registration(
            self,
            uri,
            handler,
            registration_options(uri, match, invoke, options, is_replacing=replace),
            limit=concurrency,
            expected=expected,
            is_debug=debug,
            is_progressive=progressive,
        )
        self.set_up([registration], self._timeout_s if timeout is None else seconds_of(timeout))
        return registration

    # ------------------------------------------------------------------ the Router's own

    @cached_property
    def meta(self) -> Meta:
        """The meta API: ``session.meta.registrations.lookup(uri)``, see ``wampy.session.meta``."""
        from wampy.session.meta import Meta  # most Sessions never ask

        return Meta(self._answered)

    def add_testament(
        self,
        topic: str,
        /,
        *args: Any,
        scope: Scope = "destroyed",
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Have an event published when this Session is gone, however it goes.

        It belongs to the Session as the Router knows it: after a reconnect add it again, in
        ``on_join``.

        Args:
            topic: where.
            *args: of the event.
            scope: ``destroyed``: when the Session is; ``detached``: when its transport is.
            options: PUBLISH.Options.
            **kwargs: of the event.

        Raises:
            what ``call`` raises.
        """
        from wampy.session import questions

        self._answered(questions.add_testament(topic, args, kwargs, scope, options))

    def flush_testaments(self, scope: Scope = "destroyed") -> int | None:
        """Forget this Session's testaments; give how many, where the Router tells.

        Raises:
            what ``call`` raises.
        """
        from wampy.session import questions

        return self._answered(questions.flush_testaments(scope))

    # ------------------------------------------------------------------ messages by hand

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
            ConnectionLost, SessionClosed: none will come; or one that was sent is not answered.
        """
        return raw.receive(self, self._timeout_s if timeout is None else seconds_of(timeout))

    def send_and_receive(self, message: Message, timeout: float | None = None) -> Message | None:
        """Send a message and wait for its answer: RESULT, PUBLISHED, …, or ERROR.

        Returns None for one that is never answered, such as a PUBLISH without ``acknowledge``.

        Raises:
            RequestTimeout: no answer in time.
            ConnectionLost: the connection broke.
        """
        return raw.exchange(
            self, message, self._timeout_s if timeout is None else seconds_of(timeout)
        )


HOLDERS.add(Session.begin.__code__)
