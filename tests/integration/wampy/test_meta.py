"""The meta API and testaments, typed; over both Routers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter, free_port, open_node_config
from tests.integration.wampy.router.conftest import RunningRouter
from tests.integration.wampy.scripted import KINDS
from tests.support import wait_until
from wampy import Session
from wampy.router.realm import RealmLimits

Join = Callable[..., Session]
Uri = Callable[[str], str]


def test_sessions(join: Join, offering: Any) -> None:
    other = join()
    sessions = offering.meta.sessions
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
        sessions.get(2**40)


@pytest.mark.sockets
@pytest.mark.parametrize("by", ["authid", "authrole"])
def test_sessions_are_killed_by_who_they_are(
    join: Join, offering: Any, router: RealRouter, builtin_router: RealRouter, by: str
) -> None:
    gone: list[str] = []
    joe: dict[str, Any] = {"authid": "joe", "ticket": TICKETS["joe"], "reconnect": False}
    for name in ("one", "two"):
        join(router.ticket_url, on_leave=lambda name=name: gone.append(name), **joe)
    other = join()
    kill = getattr(offering.meta.sessions, f"kill_by_{by}")
    count = kill("joe", "com.example.enough", "go away")
    # Crossbar gives the ids, or nothing.
    assert count == 2 or router.url != builtin_router.url
    wait_until(lambda: sorted(gone) == ["one", "two"])
    assert other.is_joined
    assert offering.is_joined
    if router.url == builtin_router.url:
        assert kill("joe") == 0


def test_registrations(
    join: Join, uri: Uri, offering: Any, router: RealRouter, builtin_router: RealRouter
) -> None:
    callee = join()
    registration = callee.register(uri("one"), lambda: 1, invoke="roundrobin")
    prefix = callee.register(uri("many"), lambda: 1, match="prefix")
    registrations = offering.meta.registrations
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
        registrations.get(2**40)


def test_subscriptions(join: Join, uri: Uri, offering: Any) -> None:
    subscriber = join()
    heard: list[Any] = []
    subscription = subscriber.subscribe(uri("one"), heard.append)
    prefix = subscriber.subscribe(uri("one")[:-1], heard.append, match="prefix")
    subscriptions = offering.meta.subscriptions
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


def history_of(offering: Any, topic: str) -> None:
    """Publish to a topic that has a history of three events, and look at it."""
    heard: list[int] = []
    subscription = offering.subscribe(topic, lambda number, **_: heard.append(number))
    options = {"exclude_me": False}
    published = [
        offering.publish(topic, number, two=2, acknowledge=True, options=options)
        for number in range(5)
    ]
    wait_until(lambda: heard == [0, 1, 2, 3, 4])
    get_events = offering.meta.subscriptions.get_events
    kept = get_events(subscription.id)
    assert [event.publication for event in kept] == published[:1:-1]  # the newest first
    assert [(event.args, event.kwargs) for event in kept] == [
        ([number], {"two": 2}) for number in (4, 3, 2)
    ]
    assert [event.publication for event in get_events(subscription.id, limit=2)] == published[:2:-1]
    with pytest.raises(wampy.RequestError):
        get_events(2**40)


def test_the_history_of_a_topic_at_the_builtin_router(run_dir: Path, uri: Uri, kind: Any) -> None:
    limits = RealmLimits(history=((uri("kept"), "exact", 3),))
    router = RunningRouter(run_dir, realm_limits=limits)
    try:
        with kind(router.unix_url) as offering:
            history_of(offering, uri("kept"))
            plain = offering.subscribe(uri("not.kept"), lambda: None)
            assert offering.meta.subscriptions.get_events(plain.id) == []
    finally:
        router.end()


def test_the_history_of_a_topic_at_crossbar(
    crossbar_process: Callable[..., Any], run_dir: Path, uri: Uri
) -> None:
    path = run_dir / "router.sock"
    config: Any = open_node_config(free_port(), free_port(), str(path))
    kept = {"uri": uri("kept"), "match": "exact", "limit": 3}
    realm = config["workers"][0]["realms"][0]
    realm["store"] = {"type": "memory", "event-history": [kept]}
    crossbar_process(config)
    for kind in KINDS.values():
        with kind(f"unix://{path}") as offering:
            history_of(offering, uri("kept"))


@pytest.mark.parametrize("scope", ["destroyed", "detached"])
def test_the_scope_of_a_testament(join: Join, uri: Uri, offer: Any, scope: str) -> None:
    """Flushing is for one scope; both come about with the end of a Session that is not resumed."""
    heir = join()
    heard: list[str] = []
    heir.subscribe(uri("will"), heard.append)
    testator = offer()
    for each in ("destroyed", "detached"):
        testator.add_testament(uri("will"), each, scope=each)
    testator.flush_testaments(scope)
    testator.end()
    wait_until(lambda: heard)
    assert heard == [{"destroyed": "detached", "detached": "destroyed"}[scope]]
    with pytest.raises(wampy.RequestError, match="scope"):
        heir.add_testament(uri("will"), scope="for ever")  # type: ignore[arg-type]


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
