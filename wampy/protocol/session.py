"""A client's Session without IO: what may be said when, request ids, answers matched by id.

Rules:

- messages in, small typed results out; no socket, no clock, no lock: the caller has those;
- transitions are one literal, total table keyed (state, event), in ``states.py``; after a protocol
  error the state is CLOSED for good, and a Session that reconnects makes a new ClientProtocol;
- a request of the wrong shape is refused here, or by its ``construct()``; it costs no request id
  once it is withdrawn;
- answers are matched by request type and id; one to a request given up is dropped, however late,
  so is a second answer to a call; one to a request that was never made is the Router's error;
- a registration or subscription that the Router revokes (Request 0) never ends the Session.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from wampy.auth import Anonymous, Authentication
from wampy.errors import (
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    join_rejected,
    request_error,
)
from wampy.ids import MAX_ID, IdSequence, is_id
from wampy.messages import (
    Abort,
    Call,
    Cancel,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Interrupt,
    Invocation,
    Message,
    Publish,
    Published,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregister,
    Unregistered,
    Unsubscribe,
    Unsubscribed,
    Welcome,
    Yield,
)
from wampy.messages.hello import CLIENT
from wampy.messages.outgoing import match_in
from wampy.messages.welcome import MAX_MESSAGE_BYTES
from wampy.options import (
    CallOptions,
    CancelMode,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
    check_cancel_mode,
    check_options,
)
from wampy.protocol.passthru import Arguments, is_packed, pack
from wampy.protocol.received import (
    Challenged,
    Dropped,
    EventReceived,
    Interrupted,
    Invoked,
    Joined,
    Left,
    Received,
    Rejected,
    Reply,
    Revoked,
)
from wampy.protocol.roles import DEFAULT_ROLES, has_feature, timeout_unit_s
from wampy.protocol.states import SENT, TRANSITIONS, SessionEvent, SessionState
from wampy.uris import check_uri

#: Looked up for each message: what hangs on a class is found ten times as slowly.
_ESTABLISHED = SessionState.ESTABLISHED
_CALL = Call.WAMP_CODE
_INVOCATION = Invocation.WAMP_CODE
#: Which requests each answer may answer.
_ANSWERS: dict[type[Message], int] = {
    Result: Call.WAMP_CODE,
    Registered: Register.WAMP_CODE,
    Unregistered: Unregister.WAMP_CODE,
    Subscribed: Subscribe.WAMP_CODE,
    Unsubscribed: Unsubscribe.WAMP_CODE,
    Published: Publish.WAMP_CODE,
}


#: Requests for which an ERROR may come although nothing is expected any more: a CANCEL that crossed
#: the result of its call, and a PUBLISH without ``acknowledge`` at a Router that complains anyway.
_UNANSWERED = frozenset((Cancel.WAMP_CODE, Publish.WAMP_CODE))

#: So many requests that were given up are remembered one by one. Of those before them only the
#: highest id is: an answer up to it that nobody waits for is dropped unseen.
_GIVEN_UP_KEPT = 10_000


class ClientProtocol:
    """The client's side of one Session; not thread-safe.

    Args:
        realm: the Realm to join.
        authentication: who we are; None is anonymous.
        agent: what HELLO tells of our software.
        roles: what HELLO tells of what we can do.
        client: a secret that tells the built-in Router that a Session after a reconnect is by the
            same client as the one before; None: say nothing of it.
    """

    def __init__(
        self,
        realm: str,
        authentication: Authentication | None = None,
        *,
        agent: str = "wampy",
        roles: Mapping[str, Any] | None = None,
        client: str | None = None,
    ) -> None:
        self.state = SessionState.NEW
        self.session_id: int | None = None
        #: WELCOME.Details, once there is a Session.
        self.details: Mapping[str, Any] = {}
        #: What CALL.Options.timeout counts; None: this Router keeps no time.
        self._timeout_unit_s: float | None = None
        self._realm = realm
        # A copy: some methods remember their handshake, and a program may make several Sessions.
        self._authentication = copy.copy(authentication or Anonymous())
        self._agent = agent
        self._roles = DEFAULT_ROLES if roles is None else roles
        self._client = client
        #: Of requests.
        self.ids = IdSequence()
        self._pending: dict[int, int] = {}
        self._given_up: dict[int, None] = {}
        #: The highest request id that _given_up has had to forget.
        self._forgotten = 0

    @property
    def channel_binding(self) -> str | None:
        """By what joining is to be bound to the TLS connection; None: it is not."""
        return self._authentication.channel_binding

    @property
    def max_message_bytes(self) -> int | None:
        """How long a message the Router takes, as it has told in WELCOME; None: it has not."""
        told = self.details.get(MAX_MESSAGE_BYTES)
        return told if type(told) is int and told > 0 else None

    def bind(self, channel_id: bytes) -> None:
        """Take note of the TLS connection, before HELLO; where ``channel_binding`` says so."""
        self._authentication.bind(channel_id)

    # ------------------------------------------------------------------ what we say

    def hello(self) -> Hello:
        """Begin the Session.

        Raises:
            LocalProtocolError: it has begun already, the Realm's name is no URI, or joining is to
                be bound to a connection that is not known.
        """
        check_uri(self._realm)
        self._enter(SessionEvent.SEND_HELLO)
        details = {
            "agent": self._agent,
            "roles": self._roles,
            **self._authentication.hello_details(),
        }
        if self._client is not None:
            details[CLIENT] = self._client
        return Hello(realm=self._realm, details=details)

    def goodbye(self, reason: str = "wamp.close.normal") -> Goodbye:
        """End the Session; the Router answers with its own GOODBYE.

        Raises:
            LocalProtocolError: there is no Session, or the reason is no URI.
        """
        check_uri(reason)
        self._enter(SessionEvent.SEND_GOODBYE)
        return Goodbye(details={}, reason=reason)

    def abort(self, reason: str, message: str) -> Abort:
        """End the Session at once, for a reason; allowed in every state."""
        self.state = SessionState.CLOSED
        return Abort(details={"message": message}, reason=reason)

    def call(
        self,
        procedure: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> Call:
        """Ask for a procedure to be called; answered by one Reply, or several progressive ones.

        Args:
            procedure: its URI.
            args: by position.
            kwargs: by name.
            options: CALL.Options.
            timeout_s: how long the answer is waited for: told to a Router that keeps the time, too.

        Raises:
            LocalProtocolError: no URI, an option of a wrong type, or there is no Session.
        """
        check_uri(procedure)
        options = check_options("CALL.Options", CallOptions, options)
        if timeout_s is not None and "timeout" not in options:
            timeout = self._timeout_option(timeout_s)
            if timeout is not None:
                options = {**options, "timeout": timeout}
        if options and is_packed(options):
            args, kwargs = self._pack("CALL.Options", "dealer", options, args, kwargs)
        return Call(
            request_id=self._request(_CALL),
            options=options,
            procedure=procedure,
            args=args,
            kwargs=kwargs,
        )

    def call_parts(
        self,
        procedure: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> Call:
        """Begin a call whose arguments come in parts; ``options`` say whether more follow.

        Raises:
            LocalProtocolError: this Router takes no such calls; and as ``call``.
        """
        if not has_feature(self.details, "dealer", "progressive_call_invocations"):
            raise LocalProtocolError(
                "the router does not take calls in parts: "
                "it does not announce progressive_call_invocations"
            )
        return self.call(procedure, args, kwargs, options)

    def call_part(
        self,
        request_id: int,
        procedure: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> Call:
        """Send a further part of a call.

        Raises:
            LocalProtocolError: no such call is pending; and as ``call``.
        """
        if self._pending.get(request_id) != _CALL:
            raise LocalProtocolError(f"no call with request id {request_id} is pending")
        options = check_options("CALL.Options", CallOptions, options)
        if is_packed(options):
            args, kwargs = self._pack("CALL.Options", "dealer", options, args, kwargs)
        self._enter(SessionEvent.SEND_REQUEST)
        return Call(
            request_id=request_id, options=options, procedure=procedure, args=args, kwargs=kwargs
        )

    def _timeout_option(self, timeout_s: float) -> int | None:
        """Give a timeout as the Router takes it; None for one that keeps no time."""
        if self._timeout_unit_s is None or not 0 < timeout_s < MAX_ID / 1000:
            return None
        return math.ceil(timeout_s / self._timeout_unit_s)

    def _pack(
        self,
        what: str,
        role: str,
        options: Mapping[str, Any],
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
    ) -> Arguments:
        """Pack a payload for a Router that passes such on."""
        if not has_feature(self.details, role, "payload_passthru_mode"):
            raise LocalProtocolError(
                f"{what} has ppt_ options, but the router does not announce payload_passthru_mode"
            )
        return pack(what, options, args, kwargs)

    def ask_to_cancel(self, request_id: int, mode: CancelMode = "kill") -> Cancel:
        """Cancel a call and wait on for its answer.

        A Router may answer a CANCEL late or never, so the caller keeps its own time.

        Raises:
            LocalProtocolError: the mode is none of the spec's, or no such call is pending.
        """
        check_cancel_mode(mode)
        if self._pending.get(request_id) != _CALL:
            raise LocalProtocolError(f"no call with request id {request_id} is pending")
        self._enter(SessionEvent.SEND_REQUEST)
        return Cancel(request_id=request_id, options={"mode": mode})

    def cancel(self, request_id: int, mode: CancelMode = "killnowait") -> Cancel:
        """Cancel a call that is pending, and give it up. Raises as ``ask_to_cancel``."""
        message = self.ask_to_cancel(request_id, mode)
        self._forget(request_id)
        return message

    def give_up(self, request_id: int, mode: CancelMode = "killnowait") -> Cancel | None:
        """Wait for this answer no more; gives the CANCEL to be sent if it was a call."""
        kind = self._pending.get(request_id)
        if kind == _CALL and self.state is _ESTABLISHED:
            return self.cancel(request_id, mode)
        if kind is not None:
            self._forget(request_id)
        return None

    def withdraw(self, request_id: int) -> None:
        """Take back a request that was made but never sent: its id is used again.

        Only for the request made last, before any other; ids on the wire have no gaps. Any other
        has been sent, and stays as it is.
        """
        if request_id == self.ids.last:
            self._pending.pop(request_id, None)
            self.ids.take_back(request_id)

    def publish(
        self,
        topic: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Publish:
        """Publish an event; answered by a Reply only with ``acknowledge`` in the options."""
        check_uri(topic)
        options = check_options("PUBLISH.Options", PublishOptions, options)
        is_acknowledged = bool(options.get("acknowledge"))
        if is_packed(options):
            args, kwargs = self._pack("PUBLISH.Options", "broker", options, args, kwargs)
        return Publish(
            request_id=self._request(Publish.WAMP_CODE if is_acknowledged else None),
            options=options,
            topic=topic,
            args=args,
            kwargs=kwargs,
        )

    def subscribe(self, topic: str, options: Mapping[str, Any] | None = None) -> Subscribe:
        """Ask for the events of a topic, or of a pattern with ``match`` in the options."""
        options = check_options("SUBSCRIBE.Options", SubscribeOptions, options)
        check_uri(topic, match_in("SUBSCRIBE.Options", options))
        request_id = self._request(Subscribe.WAMP_CODE)
        return Subscribe(request_id=request_id, options=options, topic=topic)

    def unsubscribe(self, subscription_id: int) -> Unsubscribe:
        """Ask for no more events of a subscription."""
        request_id = self._request(Unsubscribe.WAMP_CODE)
        return Unsubscribe(request_id=request_id, subscription_id=subscription_id)

    def register(self, procedure: str, options: Mapping[str, Any] | None = None) -> Register:
        """Ask for the calls of a procedure, or of a pattern with ``match`` in the options."""
        options = check_options("REGISTER.Options", RegisterOptions, options)
        check_uri(procedure, match_in("REGISTER.Options", options))
        request_id = self._request(Register.WAMP_CODE)
        return Register(request_id=request_id, options=options, procedure=procedure)

    def unregister(self, registration_id: int) -> Unregister:
        """Ask for no more calls of a registration."""
        request_id = self._request(Unregister.WAMP_CODE)
        return Unregister(request_id=request_id, registration_id=registration_id)

    def yield_(
        self,
        request_id: int,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Yield:
        """Answer an invocation with its result, or a part of it; the state is not looked at.

        Raises:
            LocalProtocolError: the options do not go together.
        """
        if options and is_packed(options):
            args, kwargs = self._pack("YIELD.Options", "dealer", options, args, kwargs)
        return Yield(request_id=request_id, options=options, args=args, kwargs=kwargs)

    def invocation_error(
        self,
        request_id: int,
        uri: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Error:
        """Answer an invocation with an error; the state is not looked at.

        Raises:
            LocalProtocolError: ``uri`` is no URI.
        """
        check_uri(uri)
        return Error(
            request_type=_INVOCATION,
            request_id=request_id,
            details=details,
            error=uri,
            args=args,
            kwargs=kwargs,
        )

    # ------------------------------------------------------------------ what we hear

    def receive(self, message: Message) -> Received:
        """Take a message of the Router and say what it means.

        Raises:
            RemoteProtocolError: it may not come now, answers what was never asked, or does not
                prove what it has to; CLOSED then.
            LocalProtocolError: a CHALLENGE that we cannot answer; CLOSED then.
        """
        kind = type(message)
        if kind is Result or kind is Invocation or kind is Event:
            # The three that come all the time, ahead of the table's detour.
            if self.state is not _ESTABLISHED:
                self._enter(SessionEvent.TRAFFIC, message)
            if kind is Result:
                return self._result(message)  # type: ignore[arg-type]
            if kind is Invocation:
                return Invoked(message)  # type: ignore[arg-type]
            return EventReceived(message)  # type: ignore[arg-type]
        return self._receive_rare(message)

    def _receive_rare(self, message: Message) -> Received:
        match message:
            case Welcome():
                self._enter(SessionEvent.WELCOME)
                try:
                    self._authentication.welcomed(message.details or {})
                except ProtocolError:
                    self.state = SessionState.CLOSED
                    raise
                self.session_id = message.session_id
                self.details = message.details or {}
                self._timeout_unit_s = timeout_unit_s(self.details)
                return Joined(message)
            case Challenge():
                self._enter(SessionEvent.CHALLENGE)
                try:
                    return Challenged(self._authentication.authenticate(message))
                except ProtocolError:
                    self.state = SessionState.CLOSED
                    raise
            case Abort():
                self._enter(SessionEvent.ABORT)
                return Rejected(join_rejected(message.reason, message.details or {}))
            case Goodbye():
                is_answer = self.state is SessionState.CLOSING
                self._enter(SessionEvent.GOODBYE)
                reply = Goodbye(details={}, reason="wamp.close.goodbye_and_out")
                return Left(message, None if is_answer else reply)
        self._enter(SessionEvent.TRAFFIC, message)
        match message:
            case Error():
                return self._error(message)
            case Interrupt():
                return Interrupted(message)
            case Unregistered(request_id=0, details=details):
                return Revoked(registration_id=_id_in(details, "registration"))
            case Unsubscribed(request_id=0, details=details):
                return Revoked(subscription_id=_id_in(details, "subscription"))
        kind = _ANSWERS.get(type(message))
        if kind is None:
            raise self._broken(f"{message.name} is not for a client to receive")
        request_id: int = message.request_id  # type: ignore[attr-defined]
        if not self._settle(request_id, kind, message):
            return Dropped(message)
        return Reply(request_id, message)

    def _result(self, message: Result) -> Received:
        request_id = message.request_id
        if message.details and message.details.get("progress"):
            if self._pending.get(request_id) == _CALL:
                return Reply(request_id, message, None, False)
            if request_id in self._given_up:
                # More will follow, so it stays given up.
                return Dropped(message)
        elif self._pending.get(request_id) == _CALL:
            del self._pending[request_id]
            return Reply(request_id, message)
        self._settle(request_id, _CALL, message)
        return Dropped(message)

    def _error(self, message: Error) -> Received:
        request_id, kind = message.request_id, message.request_type
        if kind == Cancel.WAMP_CODE:
            # Some Routers name it, and not the CALL, as the request.
            kind = _CALL
        if message.request_type in _UNANSWERED and self._is_settled(request_id):
            return Dropped(message)
        if not self._settle(request_id, kind, message):
            return Dropped(message)
        error = request_error(message.error, message.args or (), message.kwargs, message.details)
        return Reply(request_id, None, error)

    def _is_settled(self, request_id: int) -> bool:
        """Whether a request with this id was made, and nothing is expected for it."""
        return (
            request_id <= self.ids.last
            and request_id not in self._pending
            and request_id not in self._given_up
        )

    def _settle(self, request_id: int, kind: int, message: Message) -> bool:
        """Take the request off the books; False when it had been given up, or answered before.

        Raises:
            RemoteProtocolError: there was no such request.
        """
        if self._pending.get(request_id) == kind:
            del self._pending[request_id]
            return True
        if request_id in self._given_up:
            del self._given_up[request_id]
            return False
        if kind == _CALL and self._is_settled(request_id):
            # Crossbar answers a call twice when its callee dies just after it has answered. That
            # is no reason to end a Session with everything that is pending in it.
            return False
        if request_id <= self._forgotten and request_id not in self._pending:
            return False
        raise self._broken(f"{message.name} answers request {request_id}, which is not pending")

    # ------------------------------------------------------------------ bookkeeping

    def _request(self, kind: int | None) -> int:
        if self.state is not _ESTABLISHED:
            self._enter(SessionEvent.SEND_REQUEST)
        request_id = self.ids.next()
        if kind is not None:
            self._pending[request_id] = kind
        return request_id

    def _forget(self, request_id: int) -> None:
        """Remember that its answer is to be dropped; for a bounded number of requests."""
        del self._pending[request_id]
        self._given_up[request_id] = None
        if len(self._given_up) > _GIVEN_UP_KEPT:
            oldest = next(iter(self._given_up))
            del self._given_up[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def _enter(self, event: SessionEvent, message: Message | None = None) -> None:
        new = TRANSITIONS[self.state, event]
        if new is not None:
            self.state = new
        elif event in SENT:
            raise LocalProtocolError(f"cannot {event.value}: the session is {self.state.value}")
        else:
            what = event.value if message is None else message.name
            raise self._broken(f"{what} while the session is {self.state.value}")

    def _broken(self, text: str) -> RemoteProtocolError:
        self.state = SessionState.CLOSED
        return RemoteProtocolError(text)


def _id_in(details: Mapping[str, Any] | None, key: str) -> int | None:
    """Give the ID that a revocation names; None where it names none, or no ID."""
    value = (details or {}).get(key)
    return value if is_id(value) else None


__all__ = [
    "DEFAULT_ROLES",
    "TRANSITIONS",
    "Challenged",
    "ClientProtocol",
    "Dropped",
    "EventReceived",
    "Interrupted",
    "Invoked",
    "Joined",
    "Left",
    "Received",
    "Rejected",
    "Reply",
    "Revoked",
    "SessionEvent",
    "SessionState",
]
