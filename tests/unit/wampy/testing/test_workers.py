"""Peers without a Router."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from wampy import ConfigError, InvalidArgument, Peer, rpc, subscribe
from wampy.testing import Publication, peer_worker


class Search(Peer):
    """Looks things up."""

    prefix = "com.example.search."
    store: Any
    limit = 10

    class Config:
        path: str = "index.db"

    def __init__(self) -> None:
        self.heard: list[str] = []

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

    @subscribe("com.example.changed", match="prefix")
    def changed(self, key: str) -> None:
        self.heard.append(key)


def test_its_procedures_are_called_by_their_uris() -> None:
    worker = peer_worker(Search, store={"wamp": "hit"}, limit=2, config={"path": "x"})
    assert worker.peer.config.path == "x"
    assert worker.call("com.example.search.find", "wamp") == ["hit", "hit"]
    assert worker.call("com.example.search.find", text="wamp", limit=1) == ["hit"]
    assert worker.published == [Publication("com.example.searched", ["wamp"], {"by": "search"})] * 2
    assert worker.call("com.example.search.parts", "2026-11-23") == [2026, 11]
    assert worker.call("com.example.search.stream") == [1]
    with pytest.raises(InvalidArgument, match=r"limit: expected `int \| null`, got `str`"):
        worker.call("com.example.search.find", "wamp", limit="3")
    with pytest.raises(KeyError):
        worker.call("com.example.search.find", "unknown")
    with pytest.raises(AssertionError, match=r"Search has no procedure com\.example\.other; it"):
        worker.call("com.example.other")


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
