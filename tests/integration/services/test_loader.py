"""Loader over a real Router: the library's docstrings come into Store, and can be found."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from services import loader
from services.docstrings import library_sources
from services.loader import Loader
from services.search import Search
from services.store import Store
from tests.support import wait_until


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library: files of a folder; give the folder."""
    folder = tmp_path / "library"
    (folder / "package").mkdir(parents=True)
    (folder / "one.py").write_text("'''Module one.'''\ndef f():\n  '''A context manager.'''\n")
    (folder / "package/__init__.py").write_text("'''The package.'''\n")
    (folder / "package/inner.py").write_text("'''Inside.'''\nclass C:\n  '''Class C.'''\n")
    (folder / "broken.py").write_text("print 'python 2'\n")
    names = ["one", "package", "broken", "two"]
    monkeypatch.setattr(loader, "library_sources", lambda: library_sources(folder, names))
    return folder


@pytest.fixture
def store(start, store_config):
    return start(Store, store_config)


def run(start) -> loader.Progress:
    host = start(Loader)
    host.peer.run()
    host.drain(5.0)
    return host.peer.progress


def keys(client) -> set[str]:
    return set(client.call("com.example.store.keys", "python:"))


def test_docstrings_come_into_store(start, store, library, client):
    progress = run(start)
    assert keys(client) == {
        "python:one",
        "python:one.f",
        "python:package",
        "python:package.inner",
        "python:package.inner.C",
    }
    assert client.call("com.example.store.get", "python:one.f")["text"] == "A context manager."
    assert (progress.files, progress.of_files, progress.documents) == (4, 4, 5)
    assert (progress.changed, progress.skipped, progress.done) == (5, 1, True)


def test_broken_file_is_skipped_with_a_line_in_the_log(start, store, library, client, caplog):
    with caplog.at_level(logging.INFO):
        run(start)
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line.startswith(f"skipped {library / 'broken.py'}: SyntaxError: ")
    (last,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("done in")]
    assert "5 docstrings" in last


def test_second_run_writes_what_changed_only(start, store, library, client):
    run(start)
    revision = client.call("com.example.store.status")["revision"]
    progress = run(start)
    assert (progress.documents, progress.changed, progress.removed) == (5, 0, 0)
    assert client.call("com.example.store.status")["revision"] == revision
    (library / "one.py").write_text("'''Module one.'''\ndef f():\n  '''Something else.'''\n")
    assert run(start).changed == 1
    assert client.call("com.example.store.status")["revision"] == revision + 1


def test_what_the_library_has_no_more_is_deleted_and_nothing_else(start, store, library, client):
    client.call("com.example.store.put", "other:x", "not the loader's")
    run(start)
    (library / "one.py").write_text("'''Module one.'''\n")
    # A file that cannot be read just now says nothing of what is in it.
    (library / "package/inner.py").write_text("def (:")
    progress = run(start)
    assert progress.removed == 1
    assert keys(client) == {
        "python:one",
        "python:package",
        "python:package.inner",
        "python:package.inner.C",
    }
    assert client.call("com.example.store.get", "other:x")["text"] == "not the loader's"


def test_progress_is_published_and_logged(start, store, library, client, caplog):
    events: list[dict[str, Any]] = []
    client.subscribe("com.example.loader.progress", lambda **event: events.append(event))
    with caplog.at_level(logging.INFO):
        run(start)
    wait_until(lambda: events and events[-1]["done"])
    assert (events[0]["files"], events[0]["of_files"], events[0]["done"]) == (0, 4, False)
    assert (events[-1]["files"], events[-1]["documents"], events[-1]["changed"]) == (4, 5, 5)
    assert sum("of 4 files" in record.getMessage() for record in caplog.records) >= 2


def test_store_that_is_away_is_waited_for(start, store_config, library, client, monkeypatch):
    host = start(Loader)
    calls = []
    call = host.peer.session.call

    def calling(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[0])
        if len(calls) == 3:
            start(Store, store_config)
        return call(*arguments, **options)

    monkeypatch.setattr(host.peer.session, "call", calling)
    host.peer.run()
    assert host.peer.progress.changed == 5
    assert calls[:3] == ["com.example.store.put_many"] * 3


def test_store_that_stays_away_fails_the_job(start, library, monkeypatch):
    monkeypatch.setattr(loader, "MAX_AWAY_S", 0.0)
    host = start(Loader)
    with pytest.raises(Exception, match="no_such_procedure"):
        host.peer.run()


def test_stop_ends_it_at_the_next_file(start, store, library, client):
    host = start(Loader)
    host.peer.on_stop()
    host.peer.run()
    assert host.peer.progress.files == 0
    assert not host.peer.progress.done


def test_whole_library_is_loaded_and_found(start, store, search_config, client):
    """The real thing: the running Python's whole library, and true hits in it."""
    search = start(Search, search_config)
    progress = run(start)
    assert progress.files == progress.of_files == len(library_sources())
    assert progress.documents > 5000
    revision = client.call("com.example.store.status")["revision"]
    wait_until(lambda: search.peer.index_file.revision == revision, timeout_s=20)
    hits = client.call("com.example.search.find", '"context manager"', 20)
    assert len(hits) == 20
    for hit in hits:
        document = client.call("com.example.store.get", hit["key"])
        text = f"{document['title']} {document['text']}".lower()
        assert "context manager" in " ".join(text.replace("-", " ").split())
        assert "**" in hit["snippet"]
    assert "python:contextlib.contextmanager" in {
        hit["key"] for hit in client.call("com.example.search.find", "contextmanager", 5)
    }
