"""Store over a real Router: what callers and subscribers get."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from services.store import Store
from tests.support import wait_until
from wampy import ApplicationError, InvalidArgument, Session


@pytest.fixture
def store(start, store_config):
    return start(Store, store_config)


def test_document_is_put_got_changed_and_deleted(store, client):
    assert client.call("com.example.store.put", "a", "one") == {"revision": 1, "changed": True}
    assert client.call("com.example.store.put", "a", "one") == {"revision": 1, "changed": False}
    client.call("com.example.store.put", "a", text="two", title="A")
    assert client.call("com.example.store.get", "a") == {
        "key": "a",
        "title": "A",
        "text": "two",
        "revision": 2,
    }
    assert client.call("com.example.store.keys") == ["a"]
    assert client.call("com.example.store.delete", "a") == {"revision": 3, "changed": True}
    assert client.call("com.example.store.delete", "a") == {"revision": 3, "changed": False}
    with pytest.raises(ApplicationError, match="no document under 'a'") as caught:
        client.call("com.example.store.get", "a")
    assert caught.value.uri == "com.example.store.error.no_such_document"
    status = client.call("com.example.store.status")
    assert (status["revision"], status["documents"]) == (3, 0)


def test_many_are_put_and_deleted_at_once(store, client):
    documents = [{"key": f"k{n}", "text": f"text {n}"} for n in range(10)]
    put_many = "com.example.store.put_many"
    assert client.call(put_many, documents) == {"revision": 10, "changed": 10}
    documents[3]["text"] = "other"
    assert client.call(put_many, documents) == {"revision": 11, "changed": 1}
    deleted = client.call("com.example.store.delete_many", ["k0", "k1", "never"])
    assert deleted == {"revision": 13, "changed": 2}
    page = client.call("com.example.store.changes", 10, limit=2)
    assert [(change["key"], change["deleted"]) for change in page["changes"]] == [
        ("k3", False),
        ("k0", True),
    ]
    assert (page["revision"], page["more"]) == (13, True)


@pytest.mark.parametrize(
    ("procedure", "arguments", "reason"),
    [
        ("put", ["", "text"], "key is ''; expected a string"),
        ("put", ["a", 7], "text: expected `str`, got `int`"),
        ("put", ["a"], "missing"),
        ("get", [None], "key: expected `str`, got `null`"),
        ("changes", [-1], "expected a revision from 0"),
        ("changes", [0, 5000], "expected a whole number from 1 to 1000"),
        ("keys", ["", "", "x"], "limit: expected `int`, got `str`"),
        ("put_many", ["abc"], "documents: expected `array`, got `str`"),
        ("put_many", [[{"key": "a"}]], "expected documents such as"),
        ("put_many", [[{"key": "a", "text": "x", "n": 1}]], "documents[0][...]: expected `str`"),
        ("put_many", [["a"]], "documents[0]: expected `object`, got `str`"),
        ("delete_many", [[1]], "keys[0]: expected `str`, got `int`"),
    ],
)
def test_wrong_arguments_are_named(store, client, procedure, arguments, reason):
    with pytest.raises(InvalidArgument) as caught:
        client.call(f"com.example.store.{procedure}", *arguments)
    assert reason in str(caught.value)
    assert client.call("com.example.store.status")["revision"] == 0
    assert store.status()["errors"] == 0


def test_each_commit_is_published_and_holds_when_the_event_comes(store, client, builtin_router):
    events: list[dict[str, Any]] = []
    held: list[str] = []

    def changed(**event: Any) -> None:
        held.append(client.call("com.example.store.get", event["keys"][0])["text"])
        events.append(event)

    with Session(builtin_router.unix_url) as listener:
        listener.subscribe("com.example.store.changed", changed)
        client.call("com.example.store.put", "a", "one")
        client.call("com.example.store.put", "a", "one")  # changes nothing: no event
        many = [{"key": f"k{n:02}", "text": "x"} for n in range(50)]
        client.call("com.example.store.put_many", many)
        wait_until(lambda: len(events) >= 2)
    name = client.call("com.example.store.status")["store"]
    assert events[0] == {"store": name, "revision": 1, "count": 1, "keys": ["a"]}
    assert (events[1]["revision"], events[1]["count"]) == (51, 50)
    assert events[1]["keys"] == [f"k{n:02}" for n in range(20)]
    assert len(events) == 2
    assert held == ["one", "x"]


def test_callers_at_once_get_revisions_of_their_own(store, builtin_router):
    revisions: list[int] = []
    failures: list[BaseException] = []

    def put(name: str) -> None:
        try:
            with Session(builtin_router.unix_url) as session:
                for n in range(20):
                    answer = session.call("com.example.store.put", f"{name}{n}", "x")
                    revisions.append(answer["revision"])
                    session.call("com.example.store.get", f"{name}{n}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=put, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(revisions) == list(range(1, 161))


def test_large_documents_come_back_in_pages(store, client):
    text = "words and words " * 40_000
    for n in range(5):
        client.call("com.example.store.put", f"k{n}", text)
    seen, since, pages = [], 0, 0
    while True:
        page = client.call("com.example.store.changes", since)
        pages += 1
        seen += [change["key"] for change in page["changes"]]
        assert all(change["text"] == text for change in page["changes"])
        since = page["changes"][-1]["revision"]
        if not page["more"]:
            break
    assert seen == [f"k{n}" for n in range(5)]
    assert pages > 1


def test_documents_are_there_after_a_restart(start, store, store_config, client):
    client.call("com.example.store.put", "a", "one")
    assert store.drain(5.0)
    start(Store, store_config)
    assert client.call("com.example.store.get", "a")["text"] == "one"
    assert client.call("com.example.store.put", "b", "two")["revision"] == 2


def test_it_is_ready(store):
    wait_until(lambda: store.status()["ready"])
    described = {procedure["uri"]: procedure for procedure in store.describe()["procedures"]}
    assert "revision" in described["com.example.store.put"]["doc"]
