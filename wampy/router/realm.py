"""A Realm: sessions, and what they may do with its Dealer and its Broker. The only entrance.

Rules:

- pure: messages in, messages out through the Outbox; time is an argument, in monotonic seconds;
- what comes from a session is handled in the order in which it came, also behind a message that an
  authorizer has yet to decide on;
- a session that breaks the protocol is closed with a reason; nobody else notices;
- when a session has left, nothing of it is left here.

Spec: Basic Profile, "Sessions"; Advanced Profile, "Authorization", "Session Meta API".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from wampy.messages import Abort, Error, Goodbye, Publish, Result
from wampy.router.authentication.authenticator import ANONYMOUS
from wampy.router.authorization import Decision, Role
from wampy.router.broker import Broker, Subscription
from wampy.router.calls import Outbox, Registration
from wampy.router.dealer import Dealer
from wampy.router.meta import MetaApi, MetaError
from wampy.router.rates import Rates

if TYPE_CHECKING:
    from random import Random

    from wampy.router.sessions import RouterSession

#: Seconds that an authorizer gets.
_AUTHORIZER_S = 5.0
#: Messages that wait behind it, of one session.
_MOST_PARKED = 1000

_FEATURES = {
    "broker": (
        "publisher_exclusion",
        "publisher_identification",
        "subscriber_blackwhite_listing",
        "pattern_based_subscription",
        "subscription_meta_api",
        "subscription_revocation",
        "session_meta_api",
        "event_retention",
        "event_history",
        "payload_passthru_mode",
    ),
    "dealer": (
        "progressive_call_results",
        "progressive_call_invocations",
        "call_canceling",
        "call_timeout",
        "caller_identification",
        "pattern_based_registration",
        "shared_registration",
        "registration_meta_api",
        "registration_revocation",
        "session_meta_api",
        "testament_meta_api",
        "payload_passthru_mode",
    ),
}


class Payloads(Protocol):
    """How the Realm looks into a payload: only where it is meant for the Router itself."""

    def decode(self, message: Any) -> tuple[list[Any], dict[str, Any]]:
        """Give Arguments and ArgumentsKw of a message."""
        ...


class PlainPayloads:
    """For payloads that are decoded already."""

    @staticmethod
    def decode(message: Any) -> tuple[list[Any], dict[str, Any]]:
        """Give Arguments and ArgumentsKw."""
        return list(message.args or ()), dict(message.kwargs or {})


def _client_key(session: RouterSession) -> tuple[str, str | None] | None:
    """Give what a client is known by after a reconnect; None: it did not say.

    An anonymous one gets another authid each time.
    """
    if session.client is None:
        return None
    return session.client, None if session.authmethod == ANONYMOUS else session.authid


@dataclass(frozen=True, slots=True)
class RealmLimits:
    """What one session may hold, and what the Realm keeps.

    Attributes:
        pending_calls, registrations, subscriptions: of one session.
        retained: topics whose last event is retained.
        history: patterns whose events are kept: (uri, match, how many).
    """

    pending_calls: int = 1000
    registrations: int = 10_000
    subscriptions: int = 10_000
    retained: int = 10_000
    history: tuple[tuple[str, str, int], ...] = ()


class Realm:
    """One Realm of a Router; not thread-safe.

    Args:
        name: of the Realm.
        outbox: where messages go.
        roles: by name; a session whose role is none of them may do nothing.
        limits: of each session.
        random: for ids and the policy ``random``.
        payloads: how to look into one.
        wall_offset_s: what to add to monotonic seconds to get Unix time.
    """

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        *,
        roles: Mapping[str, Role],
        limits: RealmLimits,
        random: Random,
        payloads: Payloads | None = None,
        wall_offset_s: float = 0.0,
    ) -> None:
        self.name = name
        self.outbox = outbox
        self.payloads: Payloads = payloads or PlainPayloads()
        self.sessions: dict[int, RouterSession] = {}
        #: Who told a secret to be known by after a reconnect; by that, and by who it is.
        self._clients: dict[tuple[str, str | None], RouterSession] = {}
        #: Gives what else ``stats`` is to tell: what only the server knows.
        self.more_stats: Callable[[], dict[str, Any]] = dict
        self._rates = Rates(0.0, 0, 0)
        self._roles = roles
        self._wall_offset_s = wall_offset_s
        self._now = 0.0
        self.dealer = Dealer(
            outbox,
            random,
            most_calls=limits.pending_calls,
            most_registrations=limits.registrations,
            changed=self._registration_changed,
        )
        self.broker = Broker(
            outbox,
            random,
            most_subscriptions=limits.subscriptions,
            most_retained=limits.retained,
            history=limits.history,
            changed=self._subscription_changed,
        )
        self._meta = MetaApi(self)
        self._handlers: dict[int, Callable[[RouterSession, Any], None]] = {
            8: self._error,
            16: self._publish,
            32: self._subscribe,
            34: self.broker.unsubscribe,
            48: self._call,
            49: self.dealer.cancel,
            64: self._register,
            66: self.dealer.unregister,
            70: self.dealer.answer,
        }

    # ------------------------------------------------------------------ sessions

    def join(self, session: RouterSession, now: float) -> dict[str, Any]:
        """Take a session in; gives WELCOME.Details, which the server sends before all else."""
        self._now = now
        self._replace_former(session)
        session.role = self._roles.get(session.authrole) or Role(session.authrole, ())
        self.sessions[session.id] = session
        self._tell("wamp.session.on_join", [session.details()])
        return {
            "realm": self.name,
            "authid": session.authid,
            "authrole": session.authrole,
            "authmethod": session.authmethod,
            "authprovider": session.authprovider,
            "roles": {
                role: {"features": dict.fromkeys(features, True)}
                for role, features in _FEATURES.items()
            },
        }

    def _replace_former(self, session: RouterSession) -> None:
        """End the former session of a client that has reconnected: it is a ghost.

        A client has one connection at a time. Who it is has to be the same too: the secret alone
        takes nothing from anybody.
        """
        key = _client_key(session)
        if key is None:
            return
        former = self._clients.get(key)
        if former is not None and former is not session:
            details = {"message": "the same client has joined anew"}
            self.outbox.close(former, Goodbye(details=details, reason="wamp.close.killed"))
        self._clients[key] = session

    def leave(self, session: RouterSession, now: float) -> None:
        """Forget a session: its callers and callees are told, its testaments published."""
        if self.sessions.pop(session.id, None) is None:
            return
        self._now = now
        key = _client_key(session)
        if key is not None and self._clients.get(key) is session:
            del self._clients[key]
        session.parked = None
        self.broker.leave(session)
        self.dealer.leave(session)
        for scope in ("detached", "destroyed"):
            for topic, args, kwargs, options in session.testaments.pop(scope, []):
                if session.role.may(topic, "publish"):
                    message = Publish(request_id=1, topic=topic, args=args, kwargs=kwargs)
                    self.broker.publish_for(session, message, options)
        details = [session.id, session.authid, session.authrole]
        self._tell("wamp.session.on_leave", details)

    def receive(self, session: RouterSession, message: Any, now: float) -> None:
        """Take one message of a session that has joined."""
        self._now = now
        if session.parked is not None and not self._is_answer_to_us(session, message):
            if len(session.parked) >= _MOST_PARKED:
                self._violated(session, "too much while an authorizer is asked")
                return
            session.parked.append(message)
            return
        handler = self._handlers.get(message.WAMP_CODE)
        if handler is None:
            self._violated(session, f"{message.name} is not for a Router, or not at this time")
        else:
            handler(session, message)

    @staticmethod
    def _is_answer_to_us(session: RouterSession, message: Any) -> bool:
        """Whether it answers the Router itself, which may wait for just that."""
        if message.WAMP_CODE not in (8, 70):
            return False
        call = session.invocations.get(message.request_id)
        return call is not None and call.answered is not None

    def _violated(self, session: RouterSession, text: str) -> None:
        abort = Abort(details={"message": text}, reason="wamp.error.protocol_violation")
        self.outbox.close(session, abort)

    # ------------------------------------------------------------------ time, and the end

    def next_deadline(self) -> float | None:
        """When ``deadline_passed`` is due, or None."""
        return self.dealer.next_deadline()

    def deadline_passed(self, now: float) -> None:
        """Let calls end whose time is over."""
        self._now = now
        self.dealer.deadline_passed(now)

    def drain(self, now: float) -> None:
        """Take no new calls any more; those that are pending go on."""
        self._now = now
        self.dealer.is_draining = True

    @property
    def pending_calls(self) -> int:
        """How many invocations are not answered yet."""
        return self.dealer.pending

    def take_rates(self, now: float) -> None:
        """Look at the counters; to be called every second or so."""
        self._rates.take(now, self.dealer.calls, self.broker.events)

    def stats(self) -> dict[str, Any]:
        """Count what there is, what there has been, and how much of it a second."""
        calls_per_s, events_per_s = self._rates.per_s
        return {
            "sessions": len(self.sessions),
            "registrations": len(self.dealer.registrations),
            "subscriptions": len(self.broker.subscriptions),
            "pending_calls": self.dealer.pending,
            "calls": self.dealer.calls,
            "publications": self.broker.publications,
            "events": self.broker.events,
            "calls_per_s": calls_per_s,
            "events_per_s": events_per_s,
            **self.more_stats(),
        }

    # ------------------------------------------------------------------ requests

    def _call(self, session: RouterSession, message: Any) -> None:
        if message.request_id in session.calls:
            if not self.dealer.call_more(session, message):
                self._violated(session, f"CALL {message.request_id} is under way already")
            return
        if session.cut_off and self.dealer.is_too_late(session, message):
            return
        decision = session.role.decide(message.procedure, "call")
        if decision is Decision.ALLOWED:
            self._call_allowed(session, message)
        else:
            self._not_allowed(decision, session, message, 48, message.procedure, "call")

    def _call_allowed(self, session: RouterSession, message: Any) -> None:
        if message.procedure in self._meta.procedures:
            self._call_meta(session, message)
        else:
            self.dealer.call(session, message, self._now)
        if message.options:
            self._cut_off_if_over(session, message)

    @staticmethod
    def _cut_off_if_over(session: RouterSession, message: Any) -> None:
        """Ignore what is yet to come of a progressive call that has its answer."""
        if message.options.get("progress") is True and message.request_id not in session.calls:
            session.cut_off_call(message.request_id)

    def _call_meta(self, session: RouterSession, message: Any) -> None:
        try:
            args, kwargs = self.payloads.decode(message)
            result = self._meta.call(session, message.procedure, args, kwargs)
        except MetaError as error:
            self._refuse(session, 48, message.request_id, error.uri, str(error))
            return
        self.outbox.send(session, Result(request_id=message.request_id, args=[result]))

    def _publish(self, session: RouterSession, message: Any) -> None:
        decision = session.role.decide(message.topic, "publish")
        if decision is Decision.ALLOWED:
            self.broker.publish(session, message)
        else:
            self._not_allowed(decision, session, message, 16, message.topic, "publish")

    def _subscribe(self, session: RouterSession, message: Any) -> None:
        decision = session.role.decide(message.topic, "subscribe")
        if decision is Decision.ALLOWED:
            self.broker.subscribe(session, message, self._now)
        else:
            self._not_allowed(decision, session, message, 32, message.topic, "subscribe")

    def _register(self, session: RouterSession, message: Any) -> None:
        if message.procedure in self._meta.procedures:
            text = f"{message.procedure} is the Router's own"
            error = "wamp.error.procedure_already_exists"
            self._refuse(session, 64, message.request_id, error, text)
            return
        decision = session.role.decide(message.procedure, "register")
        if decision is Decision.ALLOWED:
            self.dealer.register(session, message, self._now)
        else:
            self._not_allowed(decision, session, message, 64, message.procedure, "register")

    def _error(self, session: RouterSession, message: Any) -> None:
        if message.request_type != 68:
            self._violated(session, "an ERROR answers an INVOCATION only")
        else:
            self.dealer.answer_error(session, message)

    # ------------------------------------------------------------------ authorization

    def _not_allowed(
        self,
        decision: Decision,
        session: RouterSession,
        message: Any,
        request_type: int,
        uri: str,
        action: str,
    ) -> None:
        if decision is Decision.ASK:
            self._ask(session, message, request_type, uri, action)
        else:
            text = (
                f"role {session.authrole!r} may not {action} {uri}; "
                f"a permission of that role has to allow it"
            )
            self._deny(session, message, request_type, "wamp.error.not_authorized", text)

    def _deny(
        self, session: RouterSession, message: Any, request_type: int, error: str, text: str
    ) -> None:
        if request_type == 16 and (message.options or {}).get("acknowledge") is not True:
            return  # nobody waits for an answer, and none may be sent
        if request_type == 48 and message.options:
            self._cut_off_if_over(session, message)
        self._refuse(session, request_type, message.request_id, error, text)

    def _ask(
        self, session: RouterSession, message: Any, request_type: int, uri: str, action: str
    ) -> None:
        """Ask the role's authorizer; the session's later messages wait behind this one."""
        session.parked = deque()
        authorizer = session.role.authorizer
        assert authorizer is not None

        def answered(answer: Any) -> None:
            if self.sessions.get(session.id) is not session:
                return
            allowed = self._is_allowed(answer)
            if allowed:
                self._allowed(session, message, request_type)
            elif allowed is None:
                text = f"the authorizer {authorizer} failed"
                error = "wamp.error.authorization_failed"
                self._deny(session, message, request_type, error, text)
            else:
                text = f"{authorizer} does not let role {session.authrole!r} {action} {uri}"
                self._deny(session, message, request_type, "wamp.error.not_authorized", text)
            parked, session.parked = session.parked, None
            while parked and session.id in self.sessions:
                self.receive(session, parked.popleft(), self._now)
                if session.parked is not None:
                    # Another one that has to be asked about.
                    session.parked.extend(parked)  # type: ignore[unreachable]
                    return

        options = dict(message.options or {})
        args = [session.details(), uri, action, options]
        if not self.dealer.call_internally(authorizer, args, answered, self._now, _AUTHORIZER_S):
            answered(None)

    def _is_allowed(self, answer: Any) -> bool | None:
        """Read an authorizer's answer; None: it is none."""
        if answer is None or answer.WAMP_CODE != 70:
            return None
        args, _ = self.payloads.decode(answer)
        said = args[0] if args else None
        if isinstance(said, dict):
            said = said.get("allow")
        return said if isinstance(said, bool) else None

    def _allowed(self, session: RouterSession, message: Any, request_type: int) -> None:
        if request_type == 48:
            self._call_allowed(session, message)
        elif request_type == 16:
            self.broker.publish(session, message)
        elif request_type == 32:
            self.broker.subscribe(session, message, self._now)
        else:
            self.dealer.register(session, message, self._now)

    def _refuse(
        self, session: RouterSession, request_type: int, request_id: int, error: str, text: str
    ) -> None:
        self.outbox.send(
            session,
            Error(request_type=request_type, request_id=request_id, error=error, args=[text]),
        )

    # ------------------------------------------------------------------ what it tells

    def registration_details(self, registration: Registration) -> dict[str, Any]:
        """Give what the meta API tells of a registration."""
        return {
            "id": registration.id,
            "created": self._stamp(registration.created_at),
            "uri": registration.uri,
            "match": registration.match,
            "invoke": registration.policy,
        }

    def subscription_details(self, subscription: Subscription) -> dict[str, Any]:
        """Give what the meta API tells of a subscription."""
        return {
            "id": subscription.id,
            "created": self._stamp(subscription.created_at),
            "uri": subscription.uri,
            "match": subscription.match,
        }

    def _stamp(self, at: float) -> str:
        return datetime.fromtimestamp(at + self._wall_offset_s, UTC).isoformat()

    def _registration_changed(
        self, kind: str, registration: Registration, session: RouterSession
    ) -> None:
        topic = f"wamp.registration.on_{kind}"
        if kind == "create":
            self._tell(topic, [session.id, self.registration_details(registration)])
        else:
            self._tell(topic, [session.id, registration.id])

    def _subscription_changed(
        self, kind: str, subscription: Subscription, session: RouterSession
    ) -> None:
        topic = f"wamp.subscription.on_{kind}"
        if kind == "create":
            self._tell(topic, [session.id, self.subscription_details(subscription)])
        else:
            self._tell(topic, [session.id, subscription.id])

    def _tell(self, topic: str, args: list[Any]) -> None:
        """Publish an event of the meta API, if anybody listens."""
        if self.broker.table.all(topic):
            self.broker.publish_for(None, Publish(request_id=1, topic=topic, args=args), {})
