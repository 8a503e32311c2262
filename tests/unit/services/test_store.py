"""Store without a Router: what it publishes, and that nothing of that can lose a document."""

from __future__ import annotations

import pytest

from services.store import Store
from wampy import ApplicationError, InvalidArgument
from wampy.errors import ConnectionLost, SessionClosed
from wampy.peer import ConfigError


@pytest.fixture
def store(session, tmp_path):
    made = Store.create(config={"path": str(tmp_path / "store.db")})
    made.session = session
    made.on_start()
    yield made
    made.on_stop()


def test_change_is_published_with_the_name_of_the_store(store, session):
    store.put("a", "one")
    assert session.published == [
        (
            "com.example.store.changed",
            (),
            {"store": store.documents.name, "revision": 1, "count": 1, "keys": ["a"]},
        )
    ]


def test_nothing_is_published_when_nothing_changed(store, session):
    store.delete("a")
    store.put_many([])
    store.delete_many([])
    assert session.published == []


@pytest.mark.parametrize("failure", [ConnectionLost("gone"), SessionClosed("ended")])
def test_document_is_kept_whoever_hears_of_it(store, session, failure):
    session.failure = failure
    assert store.put("a", "one") == {"revision": 1, "changed": True}
    assert store.get("a")["text"] == "one"


def test_title_is_the_key_unless_one_is_given(store):
    store.put("a", "one")
    store.put_many([{"key": "b", "text": "two"}, {"key": "c", "text": "three", "title": "C"}])
    assert [store.get(key)["title"] for key in "abc"] == ["a", "b", "C"]


def test_errors_have_names(store):
    with pytest.raises(ApplicationError) as missing:
        store.get("a")
    assert missing.value.uri == "com.example.store.error.no_such_document"
    with pytest.raises(InvalidArgument) as invalid:
        store.put("", "text")
    assert invalid.value.uri == "wamp.error.invalid_argument"


def test_it_is_healthy_while_it_can_read(store):
    assert store.is_readable()


def test_wrong_config_is_named():
    with pytest.raises(ConfigError, match="pth"):
        Store.create(config={"pth": "x"})
