"""A Realm under random sessions, messages and time: what must hold, holds in every order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.wampy.router.routing import Client, Routing, allow
from wampy.messages import Result
from wampy.router.authorization import Decision, Permission, Role

ROLES = (
    Role(
        "blind",
        (
            allow("", match="prefix"),
            allow("a.secret", "call", "publish"),
            Permission("b.", "prefix", frozenset(("call", "subscribe")), disclose=False),
        ),
    ),
    Role("asking", (allow("a.", match="prefix"),), authorizer="auth"),
)
URIS = st.sampled_from(["a.b", "a.b", "a.secret", "b.b", "a.b.c", "auth"])
PATTERNS = st.one_of(
    st.tuples(URIS, st.just("exact")),
    st.sampled_from([("a", "prefix"), ("", "prefix"), ("a.b", "prefix")]),
    st.sampled_from([("a.", "wildcard"), (".b", "wildcard"), (".", "wildcard")]),
)
WHO = st.integers(0, 20)
FEATURES = st.sampled_from([(), ("call_canceling",)])
TIMEOUTS = st.sampled_from([None, 1, 500, 3000])
IDS, AUTHIDS = range(1001, 1007), ("joe", "ann")
LISTS = st.fixed_dictionaries(
    {},
    optional={
        "exclude": st.lists(st.sampled_from(IDS), max_size=2),
        "exclude_authid": st.lists(st.sampled_from(AUTHIDS), max_size=1),
        "exclude_authrole": st.lists(st.sampled_from(["open", "blind"]), max_size=1),
        "eligible": st.lists(st.sampled_from(IDS), max_size=4),
        "eligible_authid": st.lists(st.sampled_from(AUTHIDS), max_size=2),
        "eligible_authrole": st.lists(st.sampled_from(["open", "blind", "asking"]), max_size=2),
    },
)


def is_matched(uri: str, match: str, topic: str) -> bool:
    if match == "prefix":
        return topic.startswith(uri)
    if match == "exact":
        return uri == topic
    parts = topic.split("."), uri.split(".")
    return len(parts[0]) == len(parts[1]) and all(
        mine in ("", one) for one, mine in zip(*parts, strict=True)
    )


@dataclass
class Asked:
    """A call, as its caller knows it."""

    uri: str
    receives_progress: bool
    is_open: bool
    answers: int = 0


@dataclass
class Member:
    """A session, its calls, and what it has to answer."""

    client: Client
    calls: dict[int, Asked] = field(default_factory=dict)
    invocations: dict[int, Any] = field(default_factory=dict)
    #: By registration.
    concurrency: dict[int, int | None] = field(default_factory=dict)


class RealmMachine(RuleBasedStateMachine):
    """Several sessions that do whatever they like, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.routing = Routing(
            *ROLES, pending_calls=6, registrations=4, history=(("a", "prefix", 3),)
        )
        self.members: list[Member] = []
        self.publications: list[tuple[Client, str, dict[str, Any]]] = []
        self.events: list[tuple[int, int, int]] = []

    def one(self, who: int) -> Member:
        return self.members[who % len(self.members)]

    def take(self) -> None:
        """Take what came to anybody, and check it."""
        for member in self.members:
            for message in member.client.heard():
                getattr(self, "took_" + message.name.lower(), self.took_other)(member, message)
        sessions = self.routing.realm.sessions
        self.members = [one for one in self.members if one.client.id in sessions]

    def took_other(self, member: Member, message: Any) -> None:
        assert message.name in {
            "REGISTERED", "UNREGISTERED", "SUBSCRIBED", "UNSUBSCRIBED", "PUBLISHED", "INTERRUPT",
        }  # fmt: skip

    def took_invocation(self, member: Member, message: Any) -> None:
        member.invocations[message.request_id] = message
        name = message.details.get("procedure")
        assert name is None or member.client.session.role.may(name, "register")
        at_once = sum(
            one.registration_id == message.registration_id for one in member.invocations.values()
        )
        most = member.concurrency.get(message.registration_id)
        assert most is None or at_once <= most

    def took_result(self, member: Member, message: Any) -> None:
        call = member.calls[message.request_id]
        assert call.answers == 0
        if (message.details or {}).get("progress"):
            assert call.receives_progress
        else:
            call.answers += 1

    def took_error(self, member: Member, message: Any) -> None:
        if message.request_type == 48:
            call = member.calls[message.request_id]
            assert call.answers == 0
            call.answers += 1

    def took_event(self, member: Member, message: Any) -> None:
        session = member.client.session
        topic = message.details.get("topic")
        assert topic is None or session.role.may(topic, "subscribe")
        if topic is not None and topic.startswith("wamp."):
            return
        number = message.args[0]
        publisher, topic, options = self.publications[number]
        self.events.append((number, session.id, message.subscription_id))
        assert session.role.decide(topic, "subscribe") is not Decision.DENIED
        is_said = options.get("disclose_me") and publisher.session.role.discloses(topic)
        assert ("publisher" in message.details) == bool(is_said)
        assert self.is_meant(number, member)

    def is_meant(self, number: int, member: Member) -> bool:
        publisher, _, options = self.publications[number]
        session = member.client.session
        if session is publisher.session and options.get("exclude_me") is not False:
            return False
        for suffix, value in (
            ("", session.id), ("_authid", session.authid), ("_authrole", session.authrole)
        ):  # fmt: skip
            if value in options.get("exclude" + suffix, ()):
                return False
            if value not in options.get("eligible" + suffix, (value,)):
                return False
        return True

    # ------------------------------------------------------------------ sessions

    @initialize(has_authorizer=st.booleans())
    def begin(self, has_authorizer: bool) -> None:
        for role in ("open", "open", "blind", "asking"):
            self.join("joe", role, ("call_canceling",))
        if has_authorizer:
            self.one(0).client.register("auth")
        for who, pattern in enumerate((("a.b", "exact"), ("a.", "wildcard"), ("a", "prefix"))):
            self.register(who, pattern, "roundrobin", None, False)
            self.subscribe(who, pattern)
        self.register(2, ("a.b", "exact"), "roundrobin", 1, False)

    @precondition(lambda self: len(self.members) < 7)
    @rule(
        authid=st.sampled_from(AUTHIDS),
        role=st.sampled_from(["open", "open", "blind", "asking"]),
        features=FEATURES,
    )
    def join(self, authid: str, role: str, features: tuple[str, ...]) -> None:
        self.members.append(Member(self.routing.join(authid, role, features)))
        self.take()

    @precondition(lambda self: len(self.members) > 2)
    @rule(who=WHO, how=st.sampled_from(["leave", "violation", "kill"]), killer=WHO)
    def leave(self, who: int, how: str, killer: int) -> None:
        client = self.one(who).client
        if how == "leave":
            client.leave()
        elif how == "violation":
            client.say_later(Result(request_id=1))
        elif self.one(killer).client.session.authrole == "open":
            self.called(self.one(killer), "wamp.session.kill", client.id)
        self.take()

    @precondition(lambda self: self.members)
    @rule(who=WHO, is_deaf=st.booleans())
    def take_nothing(self, who: int, is_deaf: bool) -> None:
        change = set.add if is_deaf else set.discard
        change(self.routing.outbox.deaf, self.one(who).client.id)

    # ------------------------------------------------------------------ calls

    @precondition(lambda self: self.members)
    @rule(
        who=WHO,
        pattern=PATTERNS,
        policy=st.sampled_from(["single", "roundrobin", "roundrobin", "random", "first", "last"]),
        concurrency=st.sampled_from([None, 1, 2]),
        force=st.booleans(),
    )
    def register(
        self, who: int, pattern: tuple[str, str], policy: str, concurrency: Any, force: bool
    ) -> None:
        member = self.one(who)
        session, (uri, match) = member.client.session, pattern
        options = {"match": match, "invoke": policy, "force_reregister": force}
        if concurrency is not None:
            options["concurrency"] = concurrency
        before = set(session.registrations)
        with contextlib.suppress(StopIteration):  # refused, or parked
            member.client.register(uri, **options)
        for new in set(session.registrations) - before:
            member.concurrency[new] = concurrency
        self.take()

    @precondition(lambda self: self.members)
    @rule(who=WHO, which=WHO)
    def unregister(self, who: int, which: int) -> None:
        client = self.one(who).client
        ids = [*client.session.registrations, 99]
        client.unregister(ids[which % len(ids)])
        self.take()

    @precondition(lambda self: self.members)
    @rule(
        who=WHO,
        uri=st.one_of(URIS, st.just("wamp.session.count")),
        progress=st.booleans(),
        receives=st.booleans(),
        timeout=TIMEOUTS,
    )
    def call(self, who: int, uri: str, progress: bool, receives: bool, timeout: Any) -> None:
        options = {"progress": progress, "receive_progress": receives, "timeout": timeout}
        self.called(self.one(who), uri, options=options)
        self.take()

    @precondition(lambda self: self.members)
    @rule(
        who=WHO,
        uris=st.lists(URIS, min_size=1, max_size=4),
        receives=st.booleans(),
        timeout=TIMEOUTS,
        hows=st.lists(st.tuples(WHO, WHO, st.sampled_from(["yield", "error", "progress"]))),
    )
    def call_and_answer(
        self, who: int, uris: list[str], receives: bool, timeout: Any, hows: Any
    ) -> None:
        for uri in uris:
            if self.members:
                self.call(who, uri, False, receives, timeout)
        for callee, which, how in hows:
            if any(member.invocations for member in self.members):
                self.answer(callee, which, how, True)

    def called(self, member: Member, uri: str, *args: Any, options: Any = None) -> None:
        options = options or {}
        asked = Asked(uri, options.get("receive_progress") is True, options.get("progress") is True)
        request_id = next(member.client._requests)
        member.calls[request_id] = asked
        member.client.more(request_id, uri, *args, options=options)

    @precondition(lambda self: self.members)
    @rule(who=WHO, which=WHO, progress=st.booleans())
    def call_more(self, who: int, which: int, progress: bool) -> None:
        member = self.one(who)
        ids = [number for number, call in member.calls.items() if call.is_open]
        if ids:
            number = ids[which % len(ids)]
            member.calls[number].is_open = progress
            uri = member.calls[number].uri
            member.client.more(number, uri, options={"progress": True} if progress else {})
            self.take()

    @precondition(lambda self: self.members)
    @rule(who=WHO, which=WHO, mode=st.sampled_from(["skip", "kill", "killnowait", "?"]))
    def cancel(self, who: int, which: int, mode: str) -> None:
        member = self.one(who)
        ids = [number for number, call in member.calls.items() if not call.answers] or [99]
        member.client.cancel(ids[which % len(ids)], mode)
        self.take()

    @precondition(lambda self: any(member.invocations for member in self.members))
    @rule(
        who=WHO,
        which=WHO,
        how=st.sampled_from(["yield", "error", "progress"]),
        value=st.sampled_from([True, False, None]),
    )
    def answer(self, who: int, which: int, how: str, value: Any) -> None:
        busy = [member for member in self.members if member.invocations]
        member = busy[who % len(busy)]
        ids = list(member.invocations)
        self.answered(member, ids[which % len(ids)], how, value)
        self.take()

    def answered(self, member: Member, number: int, how: str, value: Any = True) -> None:
        invocation = member.invocations[number]
        if how == "progress":
            member.client.answer(invocation, value, progress=True)
            return
        if member.client.session.parked is not None:
            return  # it would be taken later only
        del member.invocations[number]
        if how == "yield":
            member.client.answer(invocation, value)
        else:
            member.client.fail(invocation)

    @rule(seconds=st.sampled_from([0.001, 0.4, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.routing.wait(seconds)
        self.take()

    # ------------------------------------------------------------------ events

    @precondition(lambda self: self.members)
    @rule(who=WHO, pattern=PATTERNS)
    def subscribe(self, who: int, pattern: tuple[str, str]) -> None:
        client = self.one(who).client
        with contextlib.suppress(StopIteration, KeyError):  # refused, or parked
            client.subscribe(pattern[0], match=pattern[1])
        self.take()

    @precondition(lambda self: self.members)
    @rule(who=WHO, which=WHO)
    def unsubscribe(self, who: int, which: int) -> None:
        client = self.one(who).client
        ids = [*client.session.subscriptions, 99]
        client.unsubscribe(ids[which % len(ids)])
        self.take()

    @precondition(lambda self: self.members)
    @rule(who=WHO, topic=URIS, lists=LISTS, exclude_me=st.booleans(), disclose_me=st.booleans())
    def publish(
        self, who: int, topic: str, lists: Any, exclude_me: bool, disclose_me: bool
    ) -> None:
        publisher = self.one(who).client
        options = {**lists, "exclude_me": exclude_me, "disclose_me": disclose_me, "retain": True}
        number = len(self.publications)
        self.publications.append((publisher, topic, options))
        self.events.clear()
        is_sure = publisher.session.parked is None
        is_sure &= publisher.session.role.decide(topic, "publish") is not Decision.ASK
        expected = sorted(
            (number, member.client.id, one.id)
            for member in self.members
            for one in member.client.session.subscriptions.values()
            if publisher.session.role.may(topic, "publish")
            and is_matched(one.uri, one.match, topic)
            and (one.match == "exact" or member.client.session.role.may(topic, "subscribe"))
            and self.is_meant(number, member)
            and member.client.id not in self.routing.outbox.deaf
        )
        publisher.publish(topic, number, **options)
        self.take()
        if is_sure:
            assert sorted(self.events) == expected

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def places_are_those_of_invocations(self) -> None:
        realm = self.routing.realm
        under_way = [
            call for session in realm.sessions.values() for call in session.invocations.values()
        ]
        assert realm.pending_calls == len(under_way)
        for registration in realm.dealer.registrations.values():
            assert registration.callees
            for callee in registration.callees:
                assert callee.session.registrations[registration.id] is registration
                assert callee.active == sum(call.callee is callee for call in under_way)
        for subscription in realm.broker.subscriptions.values():
            assert subscription.sessions.keys() <= realm.sessions.keys()
            assert subscription.sessions

    @invariant()
    def callers_and_the_router_agree_on_what_is_pending(self) -> None:
        for member in self.members:
            session = member.client.session
            pending = {number for number, call in member.calls.items() if not call.answers}
            assert session.calls.keys() <= pending
            if session.parked is None:
                assert session.calls.keys() == pending
                assert session.invocations.keys() == member.invocations.keys()

    def teardown(self) -> None:
        # Whoever was called answers, and authorizers that do not are given up.
        for _ in range(1000):
            if not any(one.invocations or one.client.session.parked for one in self.members):
                break
            for member in list(self.members):
                for number in list(member.invocations):
                    if number in member.invocations and member in self.members:
                        self.answered(member, number, "yield")
                self.take()
            self.routing.wait(6.0)
            self.take()
        for member in self.members:
            assert all(call.answers == 1 for call in member.calls.values())
        self.routing.assert_idle()
        for member in list(self.members):
            member.client.leave()
        self.routing.assert_empty()


TestRealm = RealmMachine.TestCase
TestRealm.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
