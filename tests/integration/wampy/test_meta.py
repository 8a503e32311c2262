"""The meta API and testaments, typed; over both Routers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import RealRouter
from tests.support import wait_until
from wampy import Session

Join = Callable[..., Session]
Uri = Callable[[str], str]


def test_sessions(join: Join) -> None:
    session, other = join(), join()
    sessions = session.meta.sessions
    assert other.id in sessions.list()
    assert sessions.count() >= 2
    assert sessions.count([]) == 0
    details = sessions.get(other.id or 0)
    assert details.id == other.id
    assert details.authrole
    assert details.details["session"] == other.id
    gone: list[int] = []
    victim = join(reconnect=False, on_leave=lambda: gone.append(1))
    sessions.kill(victim.id or 0, "com.example.enough", "go away")
    wait_until(lambda: gone == [1])
    with pytest.raises(wampy.RequestError, match="no_such_session"):
        sessions.get(1)


def test_registrations(
    join: Join, uri: Uri, router: RealRouter, builtin_router: RealRouter
) -> None:
    callee, session = join(), join()
    registration = callee.register(uri("one"), lambda: 1, invoke="roundrobin")
    prefix = callee.register(uri("many"), lambda: 1, match="prefix")
    registrations = session.meta.registrations
    assert registrations.lookup(uri("one")) == registration.id
    assert registrations.lookup(uri("nothing")) is None
    assert registrations.lookup(uri("many"), match="prefix") == prefix.id
    assert registrations.match(uri("many.of.them")) == prefix.id
    assert registrations.match(uri("nothing")) is None
    ids = registrations.list()
    assert registration.id in ids.exact
    assert prefix.id in ids.prefix
    details = registrations.get(registration.id or 0)
    assert (details.uri, details.match, details.invoke) == (uri("one"), "exact", "roundrobin")
    assert details.created
    assert registrations.list_callees(details.id) == [callee.id]
    assert registrations.count_callees(details.id) == 1
    if router.url == builtin_router.url:  # Crossbar 26.10 fails at it
        registrations.remove_callee(details.id, callee.id or 0)
        wait_until(lambda: not registration.is_active)
        assert callee.is_joined
    with pytest.raises(wampy.NoSuchRegistration):
        registrations.get(1)


def test_subscriptions(join: Join, uri: Uri) -> None:
    subscriber, session = join(), join()
    heard: list[Any] = []
    subscription = subscriber.subscribe(uri("one"), heard.append)
    prefix = subscriber.subscribe(uri("one")[:-1], heard.append, match="prefix")
    subscriptions = session.meta.subscriptions
    assert subscriptions.lookup(uri("one")) == subscription.id
    assert subscriptions.lookup(uri("nothing")) is None
    assert {subscription.id, prefix.id} <= set(subscriptions.match(uri("one")))
    ids = subscriptions.list()
    assert subscription.id in ids.exact
    assert prefix.id in ids.prefix
    details = subscriptions.get(subscription.id or 0)
    assert (details.uri, details.match) == (uri("one"), "exact")
    assert subscriptions.list_subscribers(details.id) == [subscriber.id]
    assert subscriptions.count_subscribers(details.id) == 1
    subscriptions.remove_subscriber(details.id, subscriber.id or 0)
    wait_until(lambda: not subscription.is_active)
    assert subscriber.is_joined


def test_testaments(join: Join, uri: Uri) -> None:
    heir, session, changed = join(), join(), join()
    heard: list[Any] = []
    heir.subscribe(uri("will"), lambda *args, **kwargs: heard.append((args, kwargs)))
    session.add_testament(uri("will"), 1, to="you")
    changed.add_testament(uri("will"), 2)
    changed.flush_testaments()
    changed.end()
    session.end()
    wait_until(lambda: heard == [((1,), {"to": "you"})])
    with pytest.raises(wampy.LocalProtocolError, match=r"PUBLISH\.Options\.exclude"):
        heir.add_testament(uri("will"), options={"exclude": 7})
