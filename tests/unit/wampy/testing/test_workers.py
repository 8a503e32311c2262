"""Peers without a Router."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from wampy import (
    CallResult,
    ConfigError,
    InvalidArgument,
    LocalProtocolError,
    Peer,
    current_call,
    current_event,
    rpc,
    subscribe,
)
from wampy.testing import Publication, peer_worker


class Search(Peer):
    """Looks things up."""

    prefix = "com.example.search."
    store: Any
    limit = 10

    class Config:
        path: str = "index.db"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @rpc
    def find(self, text: str, limit: int | None = None) -> list[str]:
        self.session.publish("com.example.searched", text, by=self.name)
        return [self.store[text]] * (limit or self.limit)

    @rpc
    def parts(self, since: datetime.date):
        yield since.year
        yield since.month

    @rpc
    async def ask(self, key: str) -> Any:
        return self.session.call("com.example.store.get", key, timeout=2.0)

    @rpc
    async def stream(self):
        yield 1

    @rpc
    def by_hand(self):
        for number in (1, 2):
            current_call().progress(number)
        current_call().wait(30.0)
        return "end"

    @rpc(progressive=True)
    def total(self, parts):
        return sum(parts)

    @rpc(progressive=True)
    async def atotal(self, parts):
        return sum([part async for part in parts])

    @rpc(progressive=True)
    def kinds(self, parts):
        return list(parts)

    @rpc
    def who(self):
        return [current_call().procedure, current_call().caller_authid]

    @rpc
    async def awho(self):
        return current_call().caller_authid

    @rpc
    def wrong(self):
        return 1 + "2"  # type: ignore[operator]

    @subscribe("com.example.changed", match="prefix")
    def changed(self, key: str) -> None:
        self.heard.append(key)
        event = current_event()
        if event.publisher is not None:
            self.heard.append((event.topic, event.publisher))


def test_its_procedures_are_called_by_their_uris() -> None:
    worker = peer_worker(Search, store={"wamp": "hit"}, limit=2, config={"path": "x"})
    assert worker.peer.config.path == "x"
    assert worker.call("com.example.search.find", "wamp") == ["hit", "hit"]
    assert worker.call("com.example.search.find", text="wamp", limit=1) == ["hit"]
    assert worker.published == [Publication("com.example.searched", ["wamp"], {"by": "search"})] * 2
    with pytest.raises(InvalidArgument, match=r"limit: expected `int \| null`, got `str`"):
        worker.call("com.example.search.find", "wamp", limit="3")
    with pytest.raises(KeyError):
        worker.call("com.example.search.find", "unknown")
    with pytest.raises(AssertionError, match=r"Search has no procedure com\.example\.other; it"):
        worker.call("com.example.other")


def test_what_one_yields_is_what_a_caller_gets() -> None:
    worker = peer_worker(Search)
    assert worker.call("com.example.search.parts", "2026-11-23") == 11
    assert worker.call_progress("com.example.search.parts", "2026-11-23") == [2026, 11]
    assert worker.call("com.example.search.stream") == 1
    assert worker.call_progress("com.example.search.stream") == [1]
    assert worker.call_progress("com.example.search.by_hand") == [1, 2, "end"]
    assert worker.call("com.example.search.by_hand") == "end"


def test_one_that_takes_parts() -> None:
    worker = peer_worker(Search)
    for name in ("total", "atotal"):
        assert worker.call_parts(f"com.example.search.{name}", [1, 2, 3]) == 6
        assert worker.call(f"com.example.search.{name}", 7) == 7
    assert worker.call_parts("com.example.search.kinds", [CallResult([1], {"a": 2}), 3]) == [
        CallResult([1], {"a": 2}),
        3,
    ]
    assert worker.call_parts("com.example.search.kinds", []) == [None]
    with pytest.raises(AssertionError, match="does not take its arguments in parts"):
        worker.call_parts("com.example.search.find", ["a"])


def test_the_current_call_and_event() -> None:
    worker = peer_worker(Search)
    assert worker.call("com.example.search.who") == ["com.example.search.who", None]
    worker.details["caller_authid"] = "joe"
    assert worker.call("com.example.search.who") == ["com.example.search.who", "joe"]
    assert worker.call("com.example.search.awho") == "joe"
    worker.details = {"topic": "com.example.changed.here", "publisher": 7}
    worker.publish("com.example.changed", "key")
    assert worker.peer.heard == ["key", ("com.example.changed.here", 7)]
    with pytest.raises(LocalProtocolError):
        current_call()


def test_a_misfit_is_what_a_caller_would_see() -> None:
    worker = peer_worker(Search)
    for name in ("find", "ask", "parts"):
        with pytest.raises(InvalidArgument, match="missing a required argument") as caught:
            worker.call(f"com.example.search.{name}")
        assert caught.value.kwargs["parameter"] in ("text", "key", "since")
        with pytest.raises(InvalidArgument, match="too many positional arguments"):
            worker.call(f"com.example.search.{name}", "2026-11-23", 2, 3, 4)
    with pytest.raises(InvalidArgument, match="unexpected keyword argument 'z'"):
        worker.publish("com.example.changed", "key", z=1)
    with pytest.raises(TypeError, match="unsupported operand"):
        worker.call("com.example.search.wrong")


def test_what_on_start_sets_may_be_given() -> None:
    class Late(Peer):
        def on_start(self) -> None:
            self.connect()

        def connect(self) -> None:
            self.database = object()

        @rpc
        def ask(self) -> Any:
            return self.database

    assert peer_worker(Late, database=7).call("ask") == 7
    with pytest.raises(TypeError, match="Late has no 'databse'; it has: database"):
        peer_worker(Late, databse=7)


def test_all_ways_to_call() -> None:
    session = peer_worker(Search).session
    session.answers = {
        "one": 1,
        "nothing": None,
        "several": CallResult([1, 2], {"a": 3}),
        "parts": [1, 2],
        "generator": lambda to: (n for n in range(to)),
        "fails": InvalidArgument("wamp.error.invalid_argument", ["no"]),
    }
    assert session.call_result("one") == CallResult([1])
    assert session.call_result("nothing") == CallResult()
    assert session.call_result("several") == CallResult([1, 2], {"a": 3})
    assert session.call_async("one").result() == 1
    assert session.call_async("one").cancel("kill") is False
    assert isinstance(session.call_async("fails").exception(), InvalidArgument)
    assert list(session.call_progress("parts")) == [1, 2]
    assert list(session.call_progress("generator", 3)) == [0, 1, 2]
    assert list(session.call_progress("one")) == [1]
    with pytest.raises(InvalidArgument):
        session.call_progress("fails")
    with pytest.raises(AssertionError, match="no answer"):
        session.call_async("unknown")
    assert session.calls[0] == ("one", (), {})
    assert session.details == {}


def test_what_it_calls_is_answered_by_the_test() -> None:
    worker = peer_worker(Search)
    answers = worker.session.answers
    with pytest.raises(AssertionError, match=r"com\.example\.store\.get was called"):
        worker.call("com.example.search.ask", "a")
    answers["com.example.store.get"] = "text"
    assert worker.call("com.example.search.ask", "a") == "text"
    answers["com.example.store.get"] = lambda key: key * 2
    assert worker.call("com.example.search.ask", "a") == "aa"
    answers["com.example.store.get"] = InvalidArgument("wamp.error.invalid_argument", ["no"])
    with pytest.raises(InvalidArgument):
        worker.call("com.example.search.ask", "a")
    assert worker.session.calls == [("com.example.store.get", ("a",), {})] * 4


def test_it_hears_events() -> None:
    worker = peer_worker(Search)
    worker.publish("com.example.changed", "key")
    assert worker.peer.heard == ["key"]
    with pytest.raises(InvalidArgument):
        worker.publish("com.example.changed", 7)
    with pytest.raises(AssertionError, match="no topic"):
        worker.publish("com.example.other")


def test_what_it_does_not_have_cannot_be_given() -> None:
    with pytest.raises(TypeError, match="Search has no 'stor'; it has: heard, limit, store"):
        peer_worker(Search, stor={})
    with pytest.raises(TypeError, match="has no 'session'"):
        peer_worker(Search, session=object())
    with pytest.raises(ConfigError):
        peer_worker(Search, config={"pat": "x"})
