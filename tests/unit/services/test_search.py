"""Search without a Router: when it starts, when it answers, when it says that it is behind."""

from __future__ import annotations

import logging

import pytest

from services import search as module
from services.search import Search
from wampy import ApplicationError, NoSuchProcedure
from wampy.errors import NotAuthorized, RequestTimeout

AWAY = NoSuchProcedure("wamp.error.no_such_procedure", ["no callee"])


def page(store: str, revision: int, *changes: tuple[int, str, str], more: bool = False):
    rows = [
        {"revision": r, "key": key, "title": key, "text": text, "deleted": False}
        for r, key, text in changes
    ]
    return {"store": store, "revision": revision, "changes": rows, "more": more}


@pytest.fixture
def make(session, tmp_path, monkeypatch):
    """Make a Search that gives up waiting for Store at once; closed after the test."""
    monkeypatch.setattr(module, "FIRST_START_S", 0.0)
    monkeypatch.setattr(module, "NEXT_START_S", 0.0)
    made = []

    def make(index: int = 0) -> Search:
        search = Search.create(config={"folder": str(tmp_path)}, index=index)
        search.session = session
        made.append(search)
        search.on_start()
        return search

    yield make
    for search in made:
        search.on_stop()


def test_start_catches_up_and_asks_for_what_the_config_says(make, session):
    session.answer = lambda uri, since, timeout: page("s", 1, (1, "a", "some words"))
    search = make()
    assert [hit["key"] for hit in search.find("words")] == ["a"]
    assert set(session.called) == {"com.example.store.changes"}
    assert search.is_current()


def test_start_waits_for_a_store_that_comes(make, session, monkeypatch):
    monkeypatch.setattr(module, "FIRST_START_S", 5.0)
    failures = [AWAY, RequestTimeout("late"), AWAY]

    def answer(uri, since, timeout):
        if failures:
            raise failures.pop()
        return page("s", 0)

    session.answer = answer
    assert make().is_current()


def test_start_without_store_and_index_fails(make, session):
    session.failure = AWAY
    with pytest.raises(NoSuchProcedure):
        make()


def test_start_that_is_not_allowed_to_ask_fails_at_once(make, session, monkeypatch):
    monkeypatch.setattr(module, "FIRST_START_S", 60.0)
    session.failure = NotAuthorized("wamp.error.not_authorized", ["no"])
    with pytest.raises(NotAuthorized):
        make()


def test_start_with_an_index_does_without_store_but_is_unready(make, session, caplog):
    session.answer = lambda uri, since, timeout: page("s", 1, (1, "a", "some words"))
    make().on_stop()
    session.failure = AWAY
    with caplog.at_level(logging.INFO):
        search = make()
        search.look()
        search.look()
    assert [hit["key"] for hit in search.find("words")] == ["a"]
    with pytest.raises(RuntimeError, match="has not reached Store"):
        search.is_current()
    # Said once, however often it looks.
    assert sum("cannot follow Store" in r.getMessage() for r in caplog.records) == 1
    session.failure = None
    with caplog.at_level(logging.INFO):
        search.look()
    assert search.is_current()
    assert "caught up again" in caplog.text


def test_event_of_something_new_is_followed(make, session):
    session.answer = lambda uri, since, timeout: page("s", 0)
    search = make()
    session.answer = lambda uri, since, timeout: page("s", 1, (1, "a", "some words"))
    search.changed(store="s", revision=1, count=1, keys=["a"], later_addition=True)
    assert search.find("words")


def test_replica_that_is_behind_for_long_is_unready(make, session, monkeypatch):
    session.answer = lambda uri, since, timeout: page("s", 0)
    search = make()
    session.failure = AWAY
    search.changed("s", 3)
    assert search.is_current()
    monkeypatch.setattr(module, "MAX_BEHIND_S", -1.0)
    with pytest.raises(RuntimeError, match="3 changes behind Store"):
        search.is_current()


def test_wrong_query_is_a_named_error(make, session):
    session.answer = lambda uri, since, timeout: page("s", 0)
    with pytest.raises(ApplicationError, match="write words only: py") as caught:
        make().find(".py")
    assert caught.value.uri == "com.example.search.error.query"


def test_replicas_have_files_of_their_own(make, session, tmp_path):
    session.answer = lambda uri, since, timeout: page("s", 0)
    make(0)
    make(1)
    assert (tmp_path / "search-0.db").exists()
    assert (tmp_path / "search-1.db").exists()
