"""What a document store keeps, counts, and tells who catches up."""

from __future__ import annotations

import threading

import pytest

from services import documents
from services.documents import (
    MAX_DOCUMENT_BYTES,
    MAX_KEY_LENGTH,
    MAX_PAGE,
    Change,
    Document,
    DocumentStore,
    InvalidDocument,
    Stored,
    Written,
    check_batch,
)


@pytest.fixture
def store(tmp_path):
    made = DocumentStore(tmp_path / "store.db")
    yield made
    made.close()


def document(key: str, text: str = "a text") -> Document:
    return Document(key, key.upper(), text)


def test_new_store_is_empty_and_has_a_name(store):
    assert store.revision == 0
    assert store.count() == 0
    assert store.get("a") is None
    assert store.keys() == []
    page = store.changes()
    assert (page.store, page.revision, page.changes, page.has_more) == (store.name, 0, (), False)
    assert len(store.name) == 16


def test_put_is_kept_and_counted(store):
    assert store.put([document("a")]) == Written(1, ("a",))
    assert store.put([document("b"), document("c")]) == Written(3, ("b", "c"))
    assert store.get("b") == Stored(document("b"), 2)
    assert store.count() == store.revision == 3


def test_put_of_the_same_changes_nothing(store):
    store.put([document("a")])
    assert store.put([document("a"), document("a")]) == Written(1, ())
    assert store.put([document("a", "other")]) == Written(2, ("a",))
    assert store.put([Document("a", "other title", "other")]) == Written(3, ("a",))
    assert store.count() == 1


def test_put_is_all_or_nothing(store):
    def failing():
        yield document("a")
        raise InvalidDocument("no")

    with pytest.raises(InvalidDocument):
        store.put(failing())
    assert store.revision == 0


def test_delete_leaves_a_tombstone(store):
    store.put([document("a"), document("b")])
    assert store.delete(["a", "never", "a"]) == Written(3, ("a",))
    assert store.get("a") is None
    assert store.keys() == ["b"]
    assert store.count() == 1
    assert store.changes(2).changes == (Change(3, "a", "", "", True),)
    assert store.delete(["a"]) == Written(3, ())


def test_deleted_key_can_be_put_again(store):
    store.put([document("a")])
    store.delete(["a"])
    assert store.put([document("a")]) == Written(3, ("a",))
    assert store.get("a") == Stored(document("a"), 3)


def test_changes_come_once_a_key_in_the_order_of_revisions(store):
    store.put([document("a"), document("b"), document("c")])
    store.put([document("a", "again")])
    page = store.changes()
    assert [change.key for change in page.changes] == ["b", "c", "a"]
    assert [change.revision for change in page.changes] == [2, 3, 4]
    assert page.changes[-1] == Change(4, "a", "A", "again", False)
    assert not page.has_more


def test_changes_come_in_pages(store):
    store.put(document(f"k{n}") for n in range(10))
    since, seen = 0, []
    while True:
        page = store.changes(since, 3)
        assert page.revision == 10
        seen += [change.key for change in page.changes]
        since = page.changes[-1].revision
        if not page.has_more:
            break
        assert len(page.changes) == 3
    assert seen == [f"k{n}" for n in range(10)]
    assert store.changes(10).changes == ()
    assert not store.changes(10).has_more


def test_page_ends_before_its_texts_get_too_long(store, monkeypatch):
    monkeypatch.setattr(documents, "MAX_PAGE_LENGTH", 100)
    store.put([document("a", "x" * 60), document("b", "x" * 60), document("c", "x" * 500)])
    assert [change.key for change in store.changes(0).changes] == ["a"]
    assert [change.key for change in store.changes(1).changes] == ["b"]
    last = store.changes(2)
    assert [change.key for change in last.changes] == ["c"]
    assert not last.has_more


def test_since_beyond_all_revisions_is_answered_with_the_newest(store):
    store.put([document("a")])
    for since in (5, 2**63, 2**200):
        page = store.changes(since)
        assert (page.revision, page.changes, page.has_more) == (1, (), False)


def test_keys_come_in_order_by_prefix_and_in_pages(store):
    keys = ["a", "a.b", "a.c", "ab", "b", "é", "\U0010ffff", "\U0010ffffz"]
    store.put(document(key) for key in keys)
    assert store.keys() == keys
    assert store.keys("a") == ["a", "a.b", "a.c", "ab"]
    assert store.keys("a.") == ["a.b", "a.c"]
    assert store.keys("a", after="a.b") == ["a.c", "ab"]
    assert store.keys("a", limit=2) == ["a", "a.b"]
    assert store.keys("\U0010ffff") == ["\U0010ffff", "\U0010ffffz"]
    assert store.keys("none") == []


def test_all_is_there_after_opening_again(tmp_path):
    path = tmp_path / "store.db"
    first = DocumentStore(path)
    first.put([document("a")])
    first.delete(["a"])
    first.close()
    second = DocumentStore(path)
    assert (second.name, second.revision, second.count()) == (first.name, 2, 0)
    second.close()


def test_stores_have_different_names(tmp_path, store):
    other = DocumentStore(tmp_path / "other.db")
    assert other.name != store.name
    other.close()


def test_threads_get_revisions_without_gaps_or_doubles(store):
    written: list[Written] = []

    def put(name: str) -> None:
        written.extend(store.put([document(f"{name}{n}")]) for n in range(10))

    threads = [threading.Thread(target=put, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.revision for one in written) == list(range(1, 81))
    for one in written:
        stored = store.get(one.changed[0])
        assert stored is not None
        assert stored.revision == one.revision


@pytest.mark.parametrize("text", ["", "\0", "ünï¢ödé 🐍", "'; DROP TABLE documents; --"])
def test_any_text_is_kept_as_it_is(store, text):
    store.put([Document("a", text, text)])
    assert store.get("a") == Stored(Document("a", text, text), 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", "t", "x"), "key is ''; expected a string of 1 to 1000"),
        (("k" * (MAX_KEY_LENGTH + 1), "t", "x"), "expected a string of 1 to 1000"),
        ((1, "t", "x"), "key is 1; expected"),
        (("k", None, "x"), "title of document 'k' is a NoneType; expected a string"),
        (("k", "t", 3), "text of document 'k' is a int; expected a string"),
        (("k", "t", "a\ud800"), "text of document 'k' has a lone surrogate at character 1"),
        (("k\udfff", "t", "x"), "key has a lone surrogate at character 1"),
        (("k", "t", "x" * (MAX_DOCUMENT_BYTES + 1)), "at most 4194304 are kept"),
    ],
)
def test_what_is_no_document_is_refused(arguments, reason):
    with pytest.raises(InvalidDocument) as caught:
        Document(*arguments)
    assert reason in str(caught.value)


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1, "3", 1.0, True, None])
def test_limit_is_checked(store, limit):
    for asking in (store.changes, store.keys):
        with pytest.raises(InvalidDocument, match="expected a whole number from 1 to 1000"):
            asking(limit=limit)


@pytest.mark.parametrize("since", [-1, "0", None, 1.5, False])
def test_since_is_checked(store, since):
    with pytest.raises(InvalidDocument, match="expected a revision from 0"):
        store.changes(since)


def test_keys_are_checked_wherever_they_are_given(store):
    with pytest.raises(InvalidDocument):
        store.get(7)
    with pytest.raises(InvalidDocument):
        store.delete(["a", ""])
    with pytest.raises(InvalidDocument):
        store.keys(prefix=7)
    with pytest.raises(InvalidDocument):
        store.keys(after=b"")


@pytest.mark.parametrize("batch", [None, "abc", {"key": "a"}, [1] * (MAX_PAGE + 1)])
def test_what_is_no_batch_is_refused(batch):
    with pytest.raises(InvalidDocument):
        check_batch(batch)


def test_batch_may_be_full_or_empty():
    check_batch([])
    check_batch([1] * MAX_PAGE)
