"""What the tests of a Realm share: an Outbox that records, and sessions that say things."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

from wampy.messages import (
    Call,
    Cancel,
    Error,
    Message,
    Publish,
    Register,
    Subscribe,
    Unregister,
    Unsubscribe,
    Yield,
)
from wampy.router.authorization import ACTIONS, Permission, Role
from wampy.router.calls import Refusal
from wampy.router.realm import Realm, RealmLimits
from wampy.router.sessions import RouterSession

EVERYTHING = frozenset(ACTIONS)
OPEN = Role(
    "open",
    (Permission("", "prefix", EVERYTHING), Permission("wamp.", "prefix", EVERYTHING)),
)


def allow(uri: str, *actions: str, match: str = "exact", disclose: bool = True) -> Permission:
    return Permission(uri, match, frozenset(actions or ACTIONS), disclose)


class RecordingOutbox:
    """Keeps what is sent; nothing may be sent to a session that has left.

    Attributes:
        sent: by session id, not taken yet.
        deaf: ids of sessions that take neither EVENT nor INVOCATION.
        closed: the last message of those that were cut off.
    """

    realm: Realm

    def __init__(self) -> None:
        self.sent: dict[int, list[Any]] = {}
        self.deaf: set[int] = set()
        self.closed: dict[int, Any] = {}

    def send(self, session: RouterSession, message: Any) -> Refusal | None:
        assert session.id in self.realm.sessions, f"{message} for one that has left"
        if session.id in self.deaf and message.WAMP_CODE in (36, 68):
            return Refusal("wamp.error.unavailable", "it is deaf")
        self.sent.setdefault(session.id, []).append(message)
        return None

    def close(self, session: RouterSession, last: Any) -> None:
        assert session.id not in self.closed, "closed twice"
        self.closed[session.id] = last
        self.realm.leave(session, self.realm._now)


class Client:
    """One session of a Realm, seen from its client."""

    def __init__(self, routing: Routing, session: RouterSession) -> None:
        self.routing = routing
        self.session = session
        self.id = session.id
        self._requests = itertools.count(1)

    def say(self, message: Message) -> list[Any]:
        """Send a message; gives what came until now."""
        self.routing.realm.receive(self.session, message, self.routing.now)
        return self.heard()

    def heard(self) -> list[Any]:
        """Take what came and was not taken yet."""
        return self.routing.outbox.sent.pop(self.id, [])

    def one(self) -> Any:
        """Take the only message that came."""
        (message,) = self.heard()
        return message

    @property
    def last_message(self) -> Any:
        """What it was cut off with; None: it was not."""
        return self.routing.outbox.closed.get(self.id)

    def register(self, uri: str, **options: Any) -> int:
        """Register, successfully; gives the id."""
        answers = self.say(
            Register(request_id=next(self._requests), procedure=uri, options=options)
        )
        return next(one.registration_id for one in answers if one.name == "REGISTERED")

    def try_register(self, uri: str, **options: Any) -> Any:
        self.heard()
        self.say_later(Register(request_id=next(self._requests), procedure=uri, options=options))
        return self.one()

    def say_later(self, message: Message) -> None:
        """Send a message; what came stays to be taken."""
        self.routing.realm.receive(self.session, message, self.routing.now)

    def unregister(self, registration_id: int) -> list[Any]:
        return self.say(
            Unregister(request_id=next(self._requests), registration_id=registration_id)
        )

    def subscribe(self, uri: str, **options: Any) -> int:
        """Subscribe, successfully; gives the id. What came with it is still to be taken."""
        self.say_later(Subscribe(request_id=next(self._requests), topic=uri, options=options))
        sent = self.routing.outbox.sent[self.id]
        found = next(one for one in sent if one.name == "SUBSCRIBED")
        sent.remove(found)
        return int(found.subscription_id)

    def unsubscribe(self, subscription_id: int) -> list[Any]:
        return self.say(
            Unsubscribe(request_id=next(self._requests), subscription_id=subscription_id)
        )

    def call(self, uri: str, *args: Any, options: Any = None, **kwargs: Any) -> int:
        """Call; gives the request id."""
        request_id = next(self._requests)
        self.more(request_id, uri, *args, options=options, **kwargs)
        return request_id

    def more(
        self, request_id: int, uri: str, *args: Any, options: Any = None, **kwargs: Any
    ) -> None:
        """Send a CALL with that request id."""
        self.say_later(
            Call(
                request_id=request_id,
                procedure=uri,
                args=args,
                kwargs=kwargs,
                options=options or {},
            )
        )

    def result_of(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        """Call the Router itself; gives its result, or the URI of the error."""
        self.heard()
        request_id = self.call(uri, *args, **kwargs)
        answers = self.heard()
        (answer,) = (one for one in answers if one.name in ("RESULT", "ERROR"))
        assert answer.request_id == request_id
        if answer.name == "ERROR":
            return answer.error
        return answer.args[0]

    def cancel(self, request_id: int, mode: Any = None) -> None:
        options = {} if mode is None else {"mode": mode}
        self.say_later(Cancel(request_id=request_id, options=options))

    def answer(self, invocation: Any, *args: Any, **options: Any) -> None:
        """YIELD."""
        self.say_later(Yield(request_id=invocation.request_id, args=args, options=options))

    def fail(self, invocation: Any, error: str = "com.error", **details: Any) -> None:
        self.say_later(
            Error(
                request_type=68, request_id=invocation.request_id, error=error, details=details,
                args=["why"],
            )
        )  # fmt: skip

    def publish(self, topic: str, *args: Any, **options: Any) -> int:
        """Publish; gives the request id."""
        request_id = next(self._requests)
        self.say_later(Publish(request_id=request_id, topic=topic, args=args, options=options))
        return request_id

    def leave(self) -> None:
        self.routing.realm.leave(self.session, self.routing.now)


class Routing:
    """A Realm, its Outbox, and a clock that stands still."""

    def __init__(self, *roles: Role, seed: int = 1, **limits: Any) -> None:
        self.now = 100.0
        self.outbox = RecordingOutbox()
        self.roles = {role.name: role for role in (OPEN, *roles)}
        self.realm = Realm(
            "realm1",
            self.outbox,
            roles=self.roles,
            limits=RealmLimits(**limits),
            random=Random(seed),
        )
        self.outbox.realm = self.realm
        self._ids = itertools.count(1001)

    def join(
        self,
        authid: str = "joe",
        role: str = "open",
        features: tuple[str, ...] = ("call_canceling",),
        client: Any = None,
        authmethod: str = "ticket",
    ) -> Client:
        """Let a session join; ``features`` are those of its Callee, ``client`` is its secret."""
        session = RouterSession(
            id=next(self._ids),
            authid=authid,
            authrole=role,
            authmethod=authmethod,
            authprovider="static",
            client=client,
            roles={"callee": {"features": dict.fromkeys(features, True)}},
            transport={"type": "test"},
        )
        self.realm.join(session, self.now)
        return Client(self, session)

    def clients(self, count: int, **given: Any) -> list[Client]:
        return [self.join(**given) for _ in range(count)]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        due_at = self.realm.next_deadline()
        if due_at is not None and due_at <= self.now:
            self.realm.deadline_passed(self.now)

    def assert_idle(self) -> None:
        """No call is under way, and no place of a Callee is taken."""
        dealer = self.realm.dealer
        assert dealer.pending == 0
        assert self.realm.next_deadline() is None
        assert not dealer._due
        for session in self.realm.sessions.values():
            assert not session.calls
            assert not session.invocations
        for registration in dealer.registrations.values():
            assert all(callee.active == 0 for callee in registration.callees)

    def assert_empty(self) -> None:
        """Nothing is left of anybody."""
        self.assert_idle()
        realm = self.realm
        assert not realm.sessions
        assert not realm.dealer.registrations
        assert not realm.broker.subscriptions
        for table in (realm.dealer.table, realm.broker.table):
            assert len(table) == 0
            assert not table._lengths
            assert not table._split
            assert not table._of_length
