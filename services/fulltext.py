"""A full-text index of documents, by SQLite's FTS5. Knows no Router.

Rules:

- The index is a copy: all of it can be made again from Store. So a file that is damaged is deleted
  and made anew, and ``synchronous = NORMAL`` is enough: after a power cut the index may be some
  commits behind, and says so truly, since ``revision`` is part of the same commits.
- Changes carry their revision. Those at or below the index's own are passed over, so that applying
  twice, and two processes applying to one file (the old and the new incarnation of a replica that
  is being replaced), come to the same.
- The index belongs to one store, by name. For another one it starts again, empty, from 0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.database import Database
from services.queries import QueryError, mend, phrase_of, prepare

#: The most hits of one answer.
MAX_HITS = 1000
#: What stands around a hit in a snippet, what stands for left out text, and its length in words.
MARK, ELLIPSIS, SNIPPET_WORDS = "**", "…", 16
#: A word in a title counts as much as so many in a text; words as a phrase more than all.
TITLE_WEIGHT, PHRASE_WEIGHT = 10.0, 1000.0

# unicode61 takes letters and digits as words and all else as what separates them, so that
# `read_text` and "os.path" are two words each, next to each other. No stemming: it would find
# "context management" for "context manager"; who wants more than the word writes `manage*`.
_SCHEMA = """
CREATE VIRTUAL TABLE IF NOT EXISTS texts
    USING fts5(title, text, tokenize = 'unicode61 remove_diacritics 2');
CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS progress (store TEXT NOT NULL, revision INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class IndexChange:
    """A document to index, or with ``is_deleted`` to forget, and the revision that did it."""

    revision: int
    key: str
    title: str
    text: str
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that matches.

    Attributes:
        key: its key in Store.
        title: its title.
        snippet: the part of its text that matches best, with ``**`` around the words that do.
        rank: smaller is better, and all are below 0: by bm25, less 1000 where plain words of the
            query stand next to each other.
    """

    key: str
    title: str
    snippet: str
    rank: float


class FullTextIndex:
    """Documents by the words in them, in one SQLite file. Thread-safe.

    Args:
        path: of the file; made where it is missing, made anew where it is damaged.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, no space, not allowed: deleting would not help
            self._remove()
            self._database = self._open()
        self._store, self._revision = self._read_progress()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._database.close()

    def _open(self) -> Database:
        database = Database(self._path, _SCHEMA, synchronous="NORMAL")
        try:
            with database.reading() as connection:
                row = connection.execute("PRAGMA quick_check(1)").fetchone()
            if row[0] != "ok":
                raise sqlite3.DatabaseError(f"{self._path} is damaged: {row[0]}")
        except BaseException:
            database.close()
            raise
        return database

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _read_progress(self) -> tuple[str, int]:
        with self._database.reading() as connection:
            return _progress(connection)

    # ------------------------------------------------------------------ following a store

    @property
    def store(self) -> str:
        """The name of the store that is indexed; empty before the first."""
        return self._store

    @property
    def revision(self) -> int:
        """The store's revision that the index has come to; all changes up to it are in."""
        return self._revision

    def restart(self, store: str) -> None:
        """Forget everything and begin with another store, at revision 0."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM texts")
            connection.execute("DELETE FROM keys")
            _set_progress(connection, store, 0)
        self._store, self._revision = store, 0

    def apply(self, store: str, changes: Iterable[IndexChange]) -> None:
        """Bring changes in, in one commit.

        Args:
            store: the name of the store that they are of; those of another than the one that is
                indexed are passed over.
            changes: in the order of their revisions, with none left out between them and
                ``revision`` but those of keys that come again later.
        """
        with self._database.writing() as connection:
            indexed, revision = _progress(connection)
            for change in changes:
                if indexed != store or change.revision <= revision:
                    continue
                _forget(connection, change.key)
                if not change.is_deleted:
                    cursor = connection.execute("INSERT INTO keys (key) VALUES (?)", (change.key,))
                    connection.execute(
                        "INSERT INTO texts (rowid, title, text) VALUES (?, ?, ?)",
                        (cursor.lastrowid, change.title, change.text),
                    )
                revision = change.revision
            _set_progress(connection, indexed, revision)
        self._store, self._revision = indexed, revision

    # ------------------------------------------------------------------ searching

    def count(self) -> int:
        """Tell how many documents are indexed."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM keys").fetchone()[0])

    def find(self, text: str, limit: int = 10) -> list[Hit]:
        """Give the documents that match, best first.

        Args:
            text: a query, as `queries` describes it.
            limit: 1 to 1000.

        Raises:
            QueryError: the query or the limit is wrong.
        """
        query = prepare(text)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_HITS:
            raise QueryError(f"limit is {limit!r}; expected a whole number from 1 to {MAX_HITS}")
        score = "bm25(texts, ?, 1.0)"
        arguments: list[object] = [MARK, MARK, ELLIPSIS, SNIPPET_WORDS, TITLE_WEIGHT]
        phrase = phrase_of(text)
        if phrase is not None:
            score += " - ? * (texts.rowid IN (SELECT rowid FROM texts WHERE texts MATCH ?))"
            arguments += [PHRASE_WEIGHT, phrase]
        with self._database.reading() as connection:
            try:
                rows = connection.execute(
                    "SELECT keys.key, texts.title, snippet(texts, 1, ?, ?, ?, ?), "
                    f"{score} AS score FROM texts JOIN keys ON keys.id = texts.rowid "
                    "WHERE texts MATCH ? ORDER BY score, keys.key LIMIT ?",
                    (*arguments, query, limit),
                ).fetchall()
            except sqlite3.OperationalError as error:
                # FTS5 has no code of its own for queries that it does not understand; what fails
                # for another reason (disk, memory, a lock) has one.
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                raise QueryError(mend(text, str(error))) from error
        return [Hit(*row) for row in rows]


def _progress(connection: sqlite3.Connection) -> tuple[str, int]:
    row = connection.execute("SELECT store, revision FROM progress").fetchone()
    return ("", 0) if row is None else (row[0], row[1])


def _set_progress(connection: sqlite3.Connection, store: str, revision: int) -> None:
    connection.execute("DELETE FROM progress")
    connection.execute("INSERT INTO progress VALUES (?, ?)", (store, revision))


def _forget(connection: sqlite3.Connection, key: str) -> None:
    row = connection.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()
    if row is not None:
        connection.execute("DELETE FROM texts WHERE rowid = ?", row)
        connection.execute("DELETE FROM keys WHERE id = ?", row)
