"""Search: full-text search over the documents in Store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from services.following import Follower
from services.fulltext import FullTextIndex
from services.queries import QueryError
from wampy import ApplicationError, Peer, every, healthcheck, rpc, subscribe
from wampy.errors import (
    Canceled,
    NoSuchProcedure,
    RequestTimeout,
    SessionError,
    TransportError,
    Unavailable,
)

QUERY_ERROR = "com.example.search.error.query"
#: What a call of Store ends with while Store, or the Router, is being replaced.
UNREACHABLE = (
    Canceled,
    NoSuchProcedure,
    RequestTimeout,
    SessionError,
    TransportError,
    Unavailable,
)
#: Seconds that one page of changes may take.
FETCH_TIMEOUT_S = 10.0
#: Seconds that the start waits for Store: with an empty index, and with one from an earlier run.
FIRST_START_S, NEXT_START_S = 20.0, 2.0
_RETRY_S = 0.05
#: A replica that is behind for longer, in seconds, is unready.
MAX_BEHIND_S = 5.0


class Search(Peer):
    """Finds documents by the words in them.

    Each replica has an index of its own, in a file of its own, and follows Store by itself. A file
    and not memory: a replica that is killed is back at once, with what it had, and asks Store only
    for what it missed; and it can answer while Store is away.

    When it answers: a replica registers ``find`` once it has all that Store held when it started.
    Only with an index from an earlier run it does not wait longer than 2 s for a Store that is
    away; it then answers from what it has, and is unready until it has caught up. From then on it
    hears of each change by an event, and asks once a second in case an event was lost.

    Errors:
        com.example.search.error.query: the query is not one; the text says what to write instead.
    """

    prefix = "com.example.search."

    class Config:
        """Where the indexes are (``search-0.db``, …), and whose changes they follow."""

        folder: str = ".wampy/data"
        changes: str = "com.example.store.changes"

    # Made in on_start, not in __init__: what SQLite opens must not be carried over a fork.
    index_file: FullTextIndex
    follower: Follower
    _is_cut_off = False

    def on_start(self) -> None:
        """Open the index and catch up; whoever depends on this Peer waits for it."""
        began = time.monotonic()
        path = os.path.join(self.config.folder, f"{self.name}-{self.index}.db")
        self.index_file = FullTextIndex(path)
        self.follower = Follower(self.index_file, self._fetch)
        had = self.index_file.revision
        deadline = began + (NEXT_START_S if self.index_file.store else FIRST_START_S)
        while not self.follower.has_caught_up:
            try:
                self.follower.catch_up()
            except UNREACHABLE as error:
                if time.monotonic() < deadline:
                    time.sleep(_RETRY_S)
                elif self.index_file.store:
                    self._cut_off(error)
                    return
                else:
                    raise
        self.log.info(
            "%d documents; from revision %d to %d in %.2f s",
            self.index_file.count(),
            had,
            self.index_file.revision,
            time.monotonic() - began,
        )

    def on_stop(self) -> None:
        """Close the index; no handler runs any more."""
        self.index_file.close()

    @rpc
    def find(self, text: str, limit: int = 10) -> list[dict[str, Any]]:
        """Give the documents that match, best first: ``key``, ``title``, ``snippet``, ``rank``.

        Args:
            text: words that must all be there (first comes what has them next to each other),
                ``"a phrase"``, ``word*``, ``AND``, ``OR``, ``NOT``, ``title : word``.
            limit: how many at most, 1 to 1000.
        """
        try:
            hits = self.index_file.find(text, limit)
        except QueryError as error:
            raise ApplicationError(QUERY_ERROR, [str(error)]) from error
        return [
            {"key": hit.key, "title": hit.title, "snippet": hit.snippet, "rank": hit.rank}
            for hit in hits
        ]

    # ------------------------------------------------------------------ following Store

    @subscribe("com.example.store.changed")
    def changed(self, store: str, revision: int, **_: Any) -> None:
        """Catch up with what Store says has changed."""
        self._follow(lambda: self.follower.hear(store, revision))

    @every("1s")
    def look(self) -> None:
        """Catch up with what no event told of; an empty answer where there is nothing."""
        self._follow(self.follower.catch_up)

    @healthcheck
    def is_current(self) -> bool:
        """Be unready while what this replica finds is not what Store holds."""
        if not self.follower.has_caught_up:
            raise RuntimeError("has not reached Store since it started")
        if self.follower.behind_s > MAX_BEHIND_S:
            raise RuntimeError(
                f"{self.follower.behind} changes behind Store for {self.follower.behind_s:.0f} s"
            )
        return True

    def _fetch(self, since: int) -> dict[str, Any]:
        page: dict[str, Any] = self.session.call(
            self.config.changes, since=since, timeout=FETCH_TIMEOUT_S
        )
        return page

    def _follow(self, catch_up: Callable[[], object]) -> None:
        """Catch up; a Store that is away is said once, not once a second."""
        try:
            catch_up()
        except UNREACHABLE as error:
            self._cut_off(error)
        else:
            if self._is_cut_off and self.follower.has_caught_up:
                self._is_cut_off = False
                self.log.info("caught up again, revision %d", self.index_file.revision)

    def _cut_off(self, error: Exception) -> None:
        if not self._is_cut_off:
            self._is_cut_off = True
            self.log.warning("cannot follow Store, answering from what is indexed: %s", error)
