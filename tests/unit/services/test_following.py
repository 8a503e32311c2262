"""A follower comes to what its store holds, whatever is lost, doubled or late on the way."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.documents import Document, DocumentStore
from services.following import Follower
from services.fulltext import FullTextIndex
from tests.support import wait_until


class Away(Exception):
    """What a store that cannot be reached is like."""


class Source:
    """A store as a follower reaches it: one page of it at a time, or not at all."""

    def __init__(self, path) -> None:
        self.store = DocumentStore(path)
        self.page = 3
        self.asked: list[int] = []
        self.is_away = False

    def fetch(self, since: int) -> dict[str, Any]:
        self.asked.append(since)
        if self.is_away:
            raise Away
        page = self.store.changes(since, self.page)
        changes = [
            {
                "revision": change.revision,
                "key": change.key,
                "title": change.title,
                "text": change.text,
                "deleted": change.is_deleted,
            }
            for change in page.changes
        ]
        return {
            "store": page.store,
            "revision": page.revision,
            "changes": changes,
            "more": page.has_more,
        }

    def put(self, *keys: str, text: str = "same") -> int:
        return self.store.put([Document(key, key, f"{key} {text}") for key in keys]).revision


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source(tmp_path):
    made = Source(tmp_path / "store.db")
    yield made
    made.store.close()


@pytest.fixture
def index(tmp_path):
    made = FullTextIndex(tmp_path / "index.db")
    yield made
    made.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def follower(index, source, clock):
    return Follower(index, source.fetch, clock)


def keys(index: FullTextIndex, query: str = "same") -> set[str]:
    return {hit.key for hit in index.find(query, 1000)}


def test_empty_store_is_caught_up_with_at_once(follower, index, source):
    assert not follower.has_caught_up
    assert follower.catch_up()
    assert follower.has_caught_up
    assert (index.store, index.revision) == (source.store.name, 0)


def test_everything_comes_page_by_page(follower, index, source):
    source.put(*"abcdefgh")
    follower.catch_up()
    assert keys(index) == set("abcdefgh")
    # The first answer names the store; from then on each page follows the one before.
    assert source.asked == [0, 0, 3, 6]
    assert follower.behind == 0


def test_only_what_is_new_is_asked_for(follower, index, source):
    source.put(*"ab")
    follower.catch_up()
    source.asked.clear()
    source.put("c")
    source.store.delete(["a"])
    follower.catch_up()
    assert source.asked == [2]
    assert keys(index) == {"b", "c"}


def test_hint_of_something_new_is_followed_and_one_of_something_old_is_not(follower, index, source):
    follower.catch_up()
    source.asked.clear()
    follower.hear(source.store.name, source.put("a"))
    assert keys(index) == {"a"}
    assert len(source.asked) == 1
    follower.hear(source.store.name, 1)
    follower.hear(source.store.name, 0)
    assert len(source.asked) == 1


def test_lost_hint_is_made_up_for_by_the_next(follower, index, source):
    follower.catch_up()
    source.put("a")
    follower.hear(source.store.name, source.put("b"))
    assert keys(index) == {"a", "b"}


def test_store_with_another_name_means_beginning_again(follower, index, source, tmp_path):
    source.put(*"abcde")
    follower.catch_up()
    source.store.close()
    source.store = DocumentStore(tmp_path / "another.db")
    follower.hear(source.store.name, source.put("z"))
    assert keys(index) == {"z"}
    assert (index.store, index.revision) == (source.store.name, 1)
    assert follower.behind == 0


def test_store_put_back_from_an_older_copy_means_beginning_again(follower, index, source):
    source.put(*"ab")
    follower.catch_up()
    page = source.fetch(0)

    def older(since: int) -> dict[str, Any]:
        changes = page["changes"][:1] if since == 0 else []
        return {**page, "revision": 1, "changes": changes, "more": False}

    Follower(index, older).catch_up()
    assert keys(index) == {"a"}
    assert index.revision == 1


def test_store_that_is_away_raises_and_the_next_round_does_it(follower, index, source, clock):
    follower.catch_up()
    source.is_away = True
    revision = source.put("a")
    with pytest.raises(Away):
        follower.hear(source.store.name, revision)
    assert follower.behind == 1
    clock.now += 7
    assert follower.behind_s == 7
    with pytest.raises(Away):
        follower.catch_up()
    assert follower.behind_s == 7
    source.is_away = False
    follower.catch_up()
    assert (follower.behind, follower.behind_s) == (0, 0.0)
    assert keys(index) == {"a"}


def test_not_behind_while_nothing_new_was_heard_of(follower, source, clock):
    follower.catch_up()
    clock.now += 100
    assert follower.behind_s == 0.0
    assert follower.has_caught_up


def test_who_comes_while_another_is_at_it_goes_and_nothing_is_left_behind(index, source):
    """The one at work looks again: what is put after its last look is found by that."""
    gate, is_fetching = threading.Event(), threading.Event()

    def slow(since: int) -> dict[str, Any]:
        page = source.fetch(since)
        is_fetching.set()
        gate.wait(5)
        return page

    follower = Follower(index, slow)
    thread = threading.Thread(target=follower.catch_up)
    thread.start()
    wait_until(is_fetching.is_set)
    source.put("a")  # after the page was made
    assert follower.catch_up() is False
    gate.set()
    thread.join()
    assert keys(index) == {"a"}


def test_failure_does_not_stay_in_the_way(follower, source):
    source.is_away = True
    for _ in range(2):
        with pytest.raises(Away):
            follower.catch_up()
    source.is_away = False
    assert follower.catch_up() is True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcdef"), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.sampled_from("abcdef")),
        st.tuples(st.just("hear"), st.integers(0, 30)),
        st.tuples(st.just("away"), st.booleans()),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_whatever_happens_the_index_comes_to_what_the_store_holds(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("any")
    source, index = Source(folder / "store.db"), FullTextIndex(folder / "index.db")
    follower = Follower(index, source.fetch)
    for name, *arguments in steps:
        if name == "put":
            source.put(arguments[0], text=f"same {arguments[1]}")
        elif name == "delete":
            source.store.delete(arguments)
        elif name == "away":
            source.is_away = arguments[0]
        elif name == "reopen":
            index.close()
            index = FullTextIndex(folder / "index.db")
            follower = Follower(index, source.fetch)
        else:
            try:
                follower.hear(source.store.name, *arguments)
            except Away:
                assert source.is_away
    source.is_away = False
    follower.catch_up()
    all_keys = source.store.keys()
    held = {key: source.store.get(key) for key in all_keys}
    assert keys(index) == set(held)
    for key, stored in held.items():
        assert stored is not None
        assert key in keys(index, f'"{stored.document.text}"')
    assert index.revision == source.store.revision
    assert follower.behind == 0
    source.store.close()
    index.close()
