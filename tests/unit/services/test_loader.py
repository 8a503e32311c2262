"""Loader without a Router: batches, retries, progress."""

from __future__ import annotations

import pytest

from services import loader as module
from services.docstrings import Source
from services.loader import Loader, Progress
from wampy import NoSuchProcedure, NotAuthorized
from wampy.errors import ConnectionLost

AWAY = NoSuchProcedure("wamp.error.no_such_procedure", ["no callee"])


class FakeStore:
    """Keeps keys, as far as the Loader asks."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.batches: list[int] = []

    def answer(self, uri, *arguments, timeout):
        name = uri.removeprefix("com.example.store.")
        if name == "put_many":
            new = {document["key"] for document in arguments[0]} - self.keys
            self.batches.append(len(arguments[0]))
            self.keys |= new
            return {"revision": 0, "changed": len(new)}
        if name == "keys":
            prefix, after, limit = arguments
            return sorted(k for k in self.keys if k.startswith(prefix) and k > after)[:limit]
        assert name == "delete_many"
        gone = self.keys & set(arguments[0])
        self.keys -= gone
        return {"revision": 0, "changed": len(gone)}


@pytest.fixture
def store(session):
    made = FakeStore()
    session.answer = made.answer
    return made


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Set the library's files: ``library(name=content)``."""

    def library(**files: str) -> None:
        sources = []
        for name, content in files.items():
            path = tmp_path / f"{name}.py"
            path.write_text(content)
            sources.append(Source(name, path))
        monkeypatch.setattr(module, "library_sources", lambda: sources)

    return library


def run(session) -> Loader:
    loader = Loader.create()
    loader.session = session
    loader.run()
    return loader


def functions(count: int) -> str:
    return "".join(f"def f{n}(): 'F{n}'\n" for n in range(count))


def test_batches_are_bounded_by_count_and_by_length(session, store, library, monkeypatch):
    monkeypatch.setattr(module, "BATCH_COUNT", 4)
    library(a=functions(10))
    run(session)
    assert store.batches == [4, 4, 2]
    store.batches.clear()
    monkeypatch.setattr(module, "BATCH_LENGTH", 10)
    run(session)
    assert max(store.batches) <= 2


def test_keys_are_removed_page_by_page(session, store, library, monkeypatch):
    monkeypatch.setattr(module, "_KEYS_PAGE", 3)
    library(a=functions(10))
    run(session)
    store.keys.add("other:a.f1")
    library(a=functions(2))
    assert run(session).progress.removed == 8
    assert store.keys == {"python:a.f0", "python:a.f1", "other:a.f1"}


def test_broken_file_keeps_what_it_had_and_not_what_a_namesake_had(session, store, library):
    library(a=functions(1), ab=functions(1))
    run(session)
    library(a="def (:")
    progress = run(session).progress
    assert store.keys == {"python:a.f0"}
    assert (progress.skipped, progress.removed) == (1, 1)


def test_name_that_is_there_twice_counts_once(session, store, library, monkeypatch, tmp_path):
    (tmp_path / "p.py").write_text("def q(): 'a function'")
    (tmp_path / "q.py").write_text("'a module'")
    sources = [Source("p", tmp_path / "p.py"), Source("p.q", tmp_path / "q.py")]
    monkeypatch.setattr(module, "library_sources", lambda: sources)
    assert run(session).progress.documents == 1


def test_store_that_is_away_is_asked_again(session, store, library, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    library(a=functions(1))
    failures = [AWAY, ConnectionLost("gone")]

    def answer(uri, *arguments, timeout):
        if failures:
            raise failures.pop()
        return store.answer(uri, *arguments, timeout=timeout)

    session.answer = answer
    assert run(session).progress.changed == 1


def test_refusal_fails_the_job_at_once(session, store, library):
    library(a=functions(1))
    session.failure = NotAuthorized("wamp.error.not_authorized", ["no"])
    loader = Loader.create()
    loader.session = session
    session.publish = lambda *args, **kwargs: None
    with pytest.raises(NotAuthorized):
        loader.run()
    assert session.called == ["com.example.store.put_many"]


def test_progress_that_nobody_hears_of_is_no_error(session, store, library, monkeypatch):
    library(a=functions(1))

    def publish(*args, **kwargs):
        raise ConnectionLost("gone")

    monkeypatch.setattr(session, "publish", publish)
    assert run(session).progress.done


def test_progress_begins_at_nothing_and_ends_done(session, store, library):
    library(a=functions(2), b="def (:")
    run(session)
    first, *_, last = [kwargs for _, _, kwargs in session.published]
    assert (first["files"], first["of_files"], first["done"]) == (0, 2, False)
    assert last == {
        "files": 2,
        "of_files": 2,
        "documents": 2,
        "changed": 2,
        "removed": 0,
        "skipped": 1,
        "done": True,
    }


def test_progress_reads_well():
    progress = Progress(files=1, of_files=2, documents=3, changed=4, removed=5, skipped=6)
    assert str(progress) == (
        "1 of 2 files, 3 docstrings, 4 new or changed, 5 removed, 6 files skipped"
    )
