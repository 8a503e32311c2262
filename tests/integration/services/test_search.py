"""Search over a real Router: it finds what Store holds, whatever it missed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from services.documents import Document, DocumentStore
from services.search import Search
from services.store import Store
from tests.conftest import free_port, open_node_config
from tests.support import wait_until
from wampy import ApplicationError, Session

FIND = "com.example.search.find"
PUT = "com.example.store.put"


def keys_in(host: Any, query: str) -> set[str]:
    """What one replica finds, asked past the Router."""
    return {hit["key"] for hit in host.peer.find(query, 1000)}


@pytest.fixture
def store(start, store_config):
    return start(Store, store_config)


def test_put_is_found_changed_and_deleted(start, store, search_config, client):
    search = start(Search, search_config)
    client.call(PUT, "a", "The quick brown fox", "A fox")
    wait_until(lambda: keys_in(search, "fox"))
    (hit,) = client.call(FIND, '"brown fox"')
    assert (hit["key"], hit["title"]) == ("a", "A fox")
    assert hit["snippet"] == "The quick **brown fox**"
    assert hit["rank"] < 0
    client.call(PUT, "a", "The lazy dog", "A dog")
    wait_until(lambda: keys_in(search, "dog"))
    assert client.call(FIND, "fox") == []
    client.call("com.example.store.delete", "a")
    wait_until(lambda: not keys_in(search, "dog"))


def test_change_is_found_by_its_event_long_before_the_next_look(
    start, store, search_config, client, monkeypatch
):
    """Ten changes one after the other, each found before the next: looking takes a second each."""
    monkeypatch.setattr(Search, "look", lambda self: None)
    search = start(Search, search_config)
    for n in range(10):
        client.call(PUT, "a", f"number{n}")
        wait_until(partial(keys_in, search, f"number{n}"))


def test_all_that_was_there_is_found_from_the_first_call_on(start, store, search_config, client):
    documents = [{"key": f"k{n}", "text": f"word number{n}"} for n in range(1000)]
    for _ in range(3):
        client.call("com.example.store.put_many", documents)
        documents = [{**document, "key": document["key"] + "x"} for document in documents]
    start(Search, search_config)
    assert len(client.call(FIND, "number7", 1000)) == 3


def test_two_replicas_have_indexes_of_their_own_and_find_the_same(
    start, store, search_config, client, tmp_path
):
    def has_all(replica: Any) -> bool:
        return len(keys_in(replica, "common")) == 20

    replicas = [start(Search, search_config, index=index) for index in (0, 1)]
    for n in range(20):
        client.call(PUT, f"k{n}", f"common word and number{n}")
    for replica in replicas:
        wait_until(partial(has_all, replica))
    answers = [client.call(FIND, "common", 20) for _ in range(4)]
    assert all(answer == answers[0] for answer in answers)
    assert {path.name for path in (tmp_path / "data").glob("search-*.db")} == {
        "search-0.db",
        "search-1.db",
    }
    # One of them is enough.
    replicas[0].drain(5.0)
    for _ in range(4):
        assert len(client.call(FIND, "common", 20)) == 20


@pytest.mark.parametrize("query", [".py", '"open', "a AND", ""])
def test_wrong_query_is_a_named_error_with_the_mend(start, store, search_config, client, query):
    search = start(Search, search_config)
    with pytest.raises(ApplicationError) as caught:
        client.call(FIND, query)
    assert caught.value.uri == "com.example.search.error.query"
    assert caught.value.args[0]
    if query == "a AND":
        assert 'write words only: a and - or a phrase: "a AND"' in caught.value.args[0]
    assert search.status()["errors"] == 0


def test_replica_that_was_away_asks_for_what_it_missed_only(
    start, store, search_config, client, monkeypatch
):
    search = start(Search, search_config)
    client.call(PUT, "a", "before")
    client.call(PUT, "b", "before")
    wait_until(lambda: len(keys_in(search, "before")) == 2)
    assert search.drain(5.0)
    client.call(PUT, "c", "meanwhile")
    client.call("com.example.store.delete", "a")
    asked: list[int] = []
    fetch = Search._fetch

    def noting(self: Search, since: int) -> dict[str, Any]:
        asked.append(since)
        return fetch(self, since)

    monkeypatch.setattr(Search, "_fetch", noting)
    again = start(Search, search_config)
    assert keys_in(again, "before OR meanwhile") == {"b", "c"}
    assert asked[0] == 2


def test_change_of_which_no_event_told_is_found_all_the_same(
    start, store, store_config, search_config, client
):
    search = start(Search, search_config)
    client.call(PUT, "a", "told")
    wait_until(lambda: keys_in(search, "told"))
    behind_its_back = DocumentStore(store_config["path"])
    behind_its_back.put([Document("b", "b", "untold")])
    behind_its_back.close()
    wait_until(lambda: keys_in(search, "untold"))


def test_store_that_begins_anew_is_followed_anew(start, store_config, search_config, client, store):
    search = start(Search, search_config)
    client.call(PUT, "a", "old")
    wait_until(lambda: keys_in(search, "old"))
    store.drain(5.0)
    start(Store, {"path": store_config["path"] + ".other"})
    client.call(PUT, "z", "new")
    wait_until(lambda: keys_in(search, "new OR old") == {"z"})


def test_replica_with_an_index_answers_while_store_is_away_and_says_so(
    start, store, store_config, search_config, client, monkeypatch
):
    monkeypatch.setattr("services.search.NEXT_START_S", 0.1)
    search = start(Search, search_config)
    client.call(PUT, "a", "indexed")
    wait_until(lambda: keys_in(search, "indexed"))
    search.drain(5.0)
    store.drain(5.0)
    again = start(Search, search_config)
    assert [hit["key"] for hit in client.call(FIND, "indexed")] == ["a"]
    status = again.status()
    assert not status["ready"]
    assert "has not reached Store since it started" in status["reason"]
    start(Store, store_config)
    wait_until(lambda: again.status()["ready"])


def test_replica_without_an_index_does_not_start_without_store(start, search_config, monkeypatch):
    monkeypatch.setattr("services.search.FIRST_START_S", 0.1)
    with pytest.raises(Exception, match="no_such_procedure"):
        start(Search, search_config)


def test_all_goes_on_after_the_router_was_killed(
    crossbar_process, run_dir, start, store_config, search_config
):
    port, other_port = free_port(), free_port()
    config = open_node_config(port, other_port, str(run_dir / "router.sock"))
    node = run_dir / "node"
    node.mkdir()
    first = crossbar_process(config, node)
    url = f"unix://{run_dir / 'router.sock'}"
    store = start(Store, store_config, url=url)
    search = start(Search, search_config, url=url)
    with Session(url) as client:
        client.call(PUT, "a", "before")
        wait_until(lambda: keys_in(search, "before"))
        first.stop()
        wait_until(lambda: not store.status()["ready"], timeout_s=10)
        # Nobody can be told of this one: there is no Router.
        store.peer.put("b", "meanwhile")
        crossbar_process(config, node)
        wait_until(lambda: keys_in(search, "meanwhile"), timeout_s=20)
        client.call(PUT, "c", "after", timeout=20)
        wait_until(lambda: keys_in(search, "after"))
        assert len(client.call(FIND, "before OR meanwhile OR after")) == 3
