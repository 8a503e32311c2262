"""Store: documents by key, for everybody on the Router; what it promises is in `documents`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from services.documents import (
    MAX_PAGE,
    Document,
    DocumentStore,
    InvalidDocument,
    Written,
    check_batch,
)
from wampy import ApplicationError, InvalidArgument, Peer, healthcheck, rpc
from wampy.errors import SessionError, TransportError

NO_SUCH_DOCUMENT = "com.example.store.error.no_such_document"
INVALID_ARGUMENT = "wamp.error.invalid_argument"
#: An event names at most so many keys; how many changed, it always says.
MAX_KEYS_IN_EVENT = 20


class Store(Peer):
    """Keeps documents: a key, a title of one line, and a text.

    A put or delete that was answered is on the disk, whatever happens to this process or to the
    machine. Answers name the ``revision``, which counts the changes of all documents.

    Topics published:
        com.example.store.changed: after each commit that changed something; keyword arguments
            ``store`` (the database's name), ``revision``, ``count`` and ``keys`` (the first 20).
            A subscriber that must miss nothing takes it as a hint and asks ``changes``.

    Errors:
        com.example.store.error.no_such_document: nothing is kept under the key.
        wamp.error.invalid_argument: an argument cannot be; the text says what can.
    """

    prefix = "com.example.store."

    class Config:
        """Where the documents are; relative to the Peer's ``cwd``."""

        path: str = ".wampy/data/store.db"

    # Made in on_start, not in __init__: what SQLite opens must not be carried over a fork.
    documents: DocumentStore

    def on_start(self) -> None:
        """Open the database."""
        self.documents = DocumentStore(self.config.path)
        self.log.info(
            "%d documents in %s, revision %d",
            self.documents.count(),
            self.config.path,
            self.documents.revision,
        )

    def on_stop(self) -> None:
        """Close the database; no handler runs any more."""
        self.documents.close()

    @healthcheck
    def is_readable(self) -> bool:
        """Read from the disk: what it raises makes this Peer unready."""
        return self.documents.revision >= 0

    # ------------------------------------------------------------------ writing

    @rpc
    def put(self, key: str, text: str, title: str = "") -> dict[str, Any]:
        """Keep a document; give ``revision`` and whether that ``changed`` anything."""
        with _refusals():
            written = self.documents.put([Document(key, title or key, text)])
        self._publish(written)
        return {"revision": written.revision, "changed": bool(written.changed)}

    @rpc
    def put_many(self, documents: list[dict[str, str]]) -> dict[str, Any]:
        """Keep up to 1000 documents, all or none; give ``revision`` and how many ``changed``.

        Each is ``{"key": …, "text": …, "title": …}``; the title may be left out.
        """
        with _refusals():
            check_batch(documents)
            written = self.documents.put([_document(item) for item in documents])
        self._publish(written)
        return {"revision": written.revision, "changed": len(written.changed)}

    @rpc
    def delete(self, key: str) -> dict[str, Any]:
        """Delete a document; give ``revision`` and whether there was one: ``changed``."""
        with _refusals():
            written = self.documents.delete([key])
        self._publish(written)
        return {"revision": written.revision, "changed": bool(written.changed)}

    @rpc
    def delete_many(self, keys: list[str]) -> dict[str, Any]:
        """Delete up to 1000 documents, all or none; give ``revision`` and how many ``changed``."""
        with _refusals():
            check_batch(keys)
            written = self.documents.delete(keys)
        self._publish(written)
        return {"revision": written.revision, "changed": len(written.changed)}

    # ------------------------------------------------------------------ reading

    @rpc
    def get(self, key: str) -> dict[str, Any]:
        """Give a document: ``key``, ``title``, ``text``, and the ``revision`` that made it so."""
        with _refusals():
            stored = self.documents.get(key)
        if stored is None:
            raise ApplicationError(NO_SUCH_DOCUMENT, [f"no document under {key!r}"])
        document = stored.document
        return {
            "key": document.key,
            "title": document.title,
            "text": document.text,
            "revision": stored.revision,
        }

    @rpc
    def keys(self, prefix: str = "", after: str = "", limit: int = MAX_PAGE) -> list[str]:
        """Give up to 1000 keys in order; the last one is the next page's ``after``."""
        with _refusals():
            return self.documents.keys(prefix, after, limit)

    @rpc
    def changes(self, since: int = 0, limit: int = MAX_PAGE) -> dict[str, Any]:
        """Give what changed after a revision, oldest first, each key once, as it is now.

        The answer is ``{"store", "revision", "changes", "more"}``; a change is ``{"revision",
        "key", "title", "text", "deleted"}``. While ``more`` is true, ask again with the last
        change's revision. Another ``store`` than before means: begin again, with 0.
        """
        with _refusals():
            page = self.documents.changes(since, limit)
        return {
            "store": page.store,
            "revision": page.revision,
            "changes": [
                {
                    "revision": change.revision,
                    "key": change.key,
                    "title": change.title,
                    "text": change.text,
                    "deleted": change.is_deleted,
                }
                for change in page.changes
            ],
            "more": page.has_more,
        }

    @rpc
    def status(self) -> dict[str, Any]:
        """Give the database's name, its newest revision, and how many documents there are."""
        documents = self.documents
        return {
            "store": documents.name,
            "revision": documents.revision,
            "documents": documents.count(),
        }

    # ------------------------------------------------------------------ events

    def _publish(self, written: Written) -> None:
        """Say what was committed. Never fails: the documents are kept, whoever hears of it."""
        if not written.changed:
            return
        try:
            self.session.publish(
                "com.example.store.changed",
                store=self.documents.name,
                revision=written.revision,
                count=len(written.changed),
                keys=list(written.changed[:MAX_KEYS_IN_EVENT]),
            )
        except (TransportError, SessionError) as error:
            self.log.warning("nobody hears of revision %d: %s", written.revision, error)


def _document(item: object) -> Document:
    if not isinstance(item, dict) or not {"key", "text"} <= item.keys() <= {"key", "text", "title"}:
        raise InvalidDocument('expected documents such as {"key": "a", "text": "…", "title": "A"}')
    return Document(item["key"], item.get("title") or item["key"], item["text"])


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Tell the caller what is wrong with the arguments."""
    try:
        yield
    except InvalidDocument as error:
        raise InvalidArgument(INVALID_ARGUMENT, [str(error)]) from error
