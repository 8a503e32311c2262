"""Documents by key, with a revision that counts changes. Knows no Router.

Rules:

- A change is a put that alters a document, or a delete of one that is there. Each gets the next
  revision: 1, 2, 3 …, given out inside the transaction that makes it. A put of what is there
  already, and a delete of what is not, change nothing and cost no revision.
- A key has one row, with the revision of its last change. So "what changed since N" is a range of
  one index, however often a key changed in between, and the newest revision is the greatest one.
- A delete leaves a tombstone: the row without its text. Without it, whoever catches up would never
  hear of the delete. Tombstones stay for good.
- ``store`` is a random name of this very database. Revisions of another one mean nothing here; a
  follower that sees another name starts again from 0.

Why ``synchronous = FULL``: in WAL mode even NORMAL survives ``kill -9``, since what was written is
with the kernel. But when the machine itself dies, NORMAL may take acknowledged puts back. Then
a put would be lost, and its revision would be given out once more for another change, which
followers that saw the first would never ask for. FULL costs one fsync a commit; whoever has many
documents puts them in one commit (``put_many``).
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.database import Database

#: The longest key, in characters, and the largest document, in bytes of UTF-8. Every document must
#: fit in one WAMP message, together with what is around it.
MAX_KEY_LENGTH = 1000
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
#: Texts of one answer of ``changes`` stay below this, in characters, unless one alone is longer.
MAX_PAGE_LENGTH = 1024 * 1024
#: The most changes, or keys, in one answer; the most documents in one ``put_many``.
MAX_PAGE = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    deleted INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS store (name TEXT NOT NULL);
"""


class InvalidDocument(ValueError):
    """A document, key or limit that cannot be; the text says which, and what could be."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is kept under a key: a title of one line, and a text."""

    key: str
    title: str
    text: str

    def __post_init__(self) -> None:
        _check_key(self.key)
        for name, value in (("title", self.title), ("text", self.text)):
            _check_text(name, value, self.key)
        size = len(self.title.encode()) + len(self.text.encode())
        if size > MAX_DOCUMENT_BYTES:
            raise InvalidDocument(
                f"document {self.key!r} has {size} bytes; at most {MAX_DOCUMENT_BYTES} are kept"
            )


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is kept: with the revision of its last change."""

    document: Document
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of one key; a deleted one has neither title nor text."""

    revision: int
    key: str
    title: str
    text: str
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of changes, in the order of their revisions.

    Attributes:
        store: the name of this database.
        revision: the newest revision there is, which may be beyond this page.
        changes: as many as fit.
        has_more: whether there are more after them.
    """

    store: str
    revision: int
    changes: tuple[Change, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What a write came to.

    Attributes:
        revision: the newest revision after it.
        changed: the keys that changed, in order; empty when nothing did.
    """

    revision: int
    changed: tuple[str, ...]


class DocumentStore:
    """Documents in one SQLite file. Thread-safe; every write is on the disk when it returns.

    Several processes may have the same file open; writes of all of them form one sequence.

    Args:
        path: of the file; made where it is missing.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self._database = Database(path, _SCHEMA, synchronous="FULL")
        with self._database.writing() as connection:
            row = connection.execute("SELECT name FROM store").fetchone()
            if row is None:
                row = (secrets.token_hex(8),)
                connection.execute("INSERT INTO store VALUES (?)", row)
        self.name: str = row[0]

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._database.close()

    # ------------------------------------------------------------------ writing

    def put(self, documents: Iterable[Document]) -> Written:
        """Keep documents, all or none, in one commit; what is there already is left alone.

        Raises:
            sqlite3.Error: nothing was written (the disk is full …).
        """
        changed = []
        with self._database.writing() as connection:
            revision = _newest(connection)
            for document in documents:
                is_there = connection.execute(
                    "SELECT 1 FROM documents "
                    "WHERE key = ? AND NOT deleted AND title = ? AND text = ?",
                    (document.key, document.title, document.text),
                ).fetchone()
                if is_there:
                    continue
                revision += 1
                connection.execute(
                    "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, 0)",
                    (revision, document.key, document.title, document.text),
                )
                changed.append(document.key)
        return Written(revision, tuple(changed))

    def delete(self, keys: Iterable[str]) -> Written:
        """Delete documents, all or none, in one commit; keys that are not there are passed over."""
        changed = []
        with self._database.writing() as connection:
            revision = _newest(connection)
            for key in keys:
                cursor = connection.execute(
                    "UPDATE documents SET title = '', text = '', revision = ?, deleted = 1 "
                    "WHERE key = ? AND NOT deleted",
                    (revision + 1, _check_key(key)),
                )
                if cursor.rowcount:
                    revision += 1
                    changed.append(key)
        return Written(revision, tuple(changed))

    # ------------------------------------------------------------------ reading

    @property
    def revision(self) -> int:
        """The newest revision; 0 while nothing was ever put."""
        with self._database.reading() as connection:
            return _newest(connection)

    def count(self) -> int:
        """Tell how many documents there are, tombstones aside."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT count(*) FROM documents WHERE NOT deleted").fetchone()
        return int(row[0])

    def get(self, key: str) -> Stored | None:
        """Give a document, or None where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT title, text, revision FROM documents WHERE key = ? AND NOT deleted",
                (_check_key(key),),
            ).fetchone()
        return None if row is None else Stored(Document(key, row[0], row[1]), row[2])

    def keys(self, prefix: str = "", after: str = "", limit: int = MAX_PAGE) -> list[str]:
        """Give keys in order: those that begin with ``prefix`` and come after ``after``.

        Args:
            prefix: an empty one stands for all.
            after: the last key of the page before.
            limit: 1 to 1000.
        """
        _check_limit(limit)
        _check_text("prefix", prefix)
        _check_text("after", after)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT key FROM documents WHERE NOT deleted AND key >= ? AND key > ? "
                "ORDER BY key LIMIT ?",
                (prefix, after, limit),
            )
            # Those that begin with a prefix stand together, so the first other one is the end.
            return [key for (key,) in itertools.takewhile(lambda r: r[0].startswith(prefix), rows)]

    def changes(self, since: int = 0, limit: int = MAX_PAGE) -> Changes:
        """Give the changes after revision ``since``, oldest first, one for each key.

        To catch up, call again with the last revision got, until ``has_more`` is False.

        Args:
            since: a revision; 0 for everything.
            limit: 1 to 1000; a page ends earlier where its texts get long.
        """
        _check_limit(limit)
        if not _is_int(since) or since < 0:
            raise InvalidDocument(f"since is {since!r}; expected a revision from 0")
        with self._database.reading() as connection:
            newest = _newest(connection)
            rows = connection.execute(
                "SELECT revision, key, title, text, deleted FROM documents "
                "WHERE revision > ? ORDER BY revision LIMIT ?",
                # More than SQLite can hold is more than any revision.
                (min(since, 2**63 - 1), limit),
            )
            page: list[Change] = []
            length = 0
            for revision, key, title, text, deleted in rows:
                length += len(title) + len(text)
                if page and length > MAX_PAGE_LENGTH:
                    break
                page.append(Change(revision, key, title, text, bool(deleted)))
        last = page[-1].revision if page else newest
        return Changes(self.name, newest, tuple(page), last < newest)


def _newest(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(revision) FROM documents").fetchone()
    return int(row[0] or 0)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_limit(limit: int) -> None:
    if not _is_int(limit) or not 1 <= limit <= MAX_PAGE:
        raise InvalidDocument(f"limit is {limit!r}; expected a whole number from 1 to {MAX_PAGE}")


def _check_key(key: str) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_LENGTH:
        shown = repr(key) if len(repr(key)) < 80 else repr(key)[:80] + "…"
        raise InvalidDocument(
            f"key is {shown}; expected a string of 1 to {MAX_KEY_LENGTH} characters"
        )
    return _check_text("key", key)


def _check_text(name: str, value: str, key: str = "") -> str:
    of = f" of document {key!r}" if key else ""
    if not isinstance(value, str):
        raise InvalidDocument(f"{name}{of} is a {type(value).__name__}; expected a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # Half of a UTF-16 pair: Python strings can hold one, UTF-8 and WAMP cannot.
        raise InvalidDocument(
            f"{name}{of} has a lone surrogate at character {error.start}"
        ) from error
    return value


def check_batch(documents: Sequence[object]) -> None:
    """Refuse a batch that is no list, or a list of more than 1000.

    Raises:
        InvalidDocument: it says so.
    """
    if not isinstance(documents, (list, tuple)):
        kind = type(documents).__name__
        raise InvalidDocument(f"expected a list of at most {MAX_PAGE}, got a {kind}")
    if len(documents) > MAX_PAGE:
        raise InvalidDocument(f"{len(documents)} in one call; at most {MAX_PAGE} are taken")
