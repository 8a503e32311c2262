"""Keeping a copy up to date with a Store: events say that there is something, revisions say what.

Rules:

- An event is a hint, never the truth: it may be lost, come twice or late. What changed is always
  asked for, by revision: one way of catching up for a start, an event, a gap and a restart of
  anybody.
- One thread catches up at a time. Who comes meanwhile leaves word of the revision it has heard of
  and goes; the one at work looks again before it ends, so nothing is left behind.
- ``_lock`` guards the fields; neither the fetching nor the index is called under it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from services.fulltext import FullTextIndex, IndexChange

#: Asks a Store: the answer of ``com.example.store.changes`` for a ``since``.
Fetch = Callable[[int], Mapping[str, Any]]


class Follower:
    """Brings the changes of a Store into an index. Thread-safe.

    Args:
        index: what is kept up to date.
        fetch: called with a revision; blocks; what it raises ends that round of catching up.
        clock: gives monotonic seconds.
    """

    def __init__(
        self, index: FullTextIndex, fetch: Fetch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._index = index
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_asked = False
        self._heard = 0  # the newest revision that anybody spoke of
        self._behind_since: float | None = None
        self._has_caught_up = False

    @property
    def has_caught_up(self) -> bool:
        """Whether the index had, at least once since it was opened, all that Store had."""
        return self._has_caught_up

    @property
    def behind(self) -> int:
        """How many revisions the index is behind the newest one that was heard of."""
        with self._lock:
            return max(0, self._heard - self._index.revision)

    @property
    def behind_s(self) -> float:
        """For how many seconds it has been behind without interruption; 0.0 when it is not."""
        with self._lock:
            since = self._behind_since
        return 0.0 if since is None else self._clock() - since

    def hear(self, store: str, revision: int) -> None:
        """Take note of a revision that a store has come to, and catch up where it is a new one."""
        with self._lock:
            is_new = store != self._index.store or revision > self._index.revision
            if is_new:
                self._heard = max(self._heard, revision)
                self._look_locked()
        if is_new:
            self.catch_up()

    def catch_up(self) -> bool:
        """Ask Store until nothing new is left; blocks for as long.

        Returns:
            False when another thread is at it already, which will look once more.
        """
        with self._lock:
            self._is_asked = True
            if self._is_busy:
                return False
            self._is_busy = True
        try:
            while True:
                with self._lock:
                    if not self._is_asked:
                        # Decided under the lock: who asks after this finds nobody busy.
                        self._is_busy = False
                        return True
                    self._is_asked = False
                while self._turn_page():
                    pass
        except BaseException:
            with self._lock:
                self._is_busy = False
            raise

    def _turn_page(self) -> bool:
        """Fetch and apply one page; False when it was the last."""
        index = self._index
        page = self._fetch(index.revision)
        store, newest = page["store"], int(page["revision"])
        if store != index.store or newest < index.revision:
            # Another database, or this one put back from an older copy: its revisions mean
            # something else than those that are indexed.
            index.restart(store)
            with self._lock:
                self._heard = newest
                self._look_locked()
            return True
        index.apply(
            store,
            (
                IndexChange(c["revision"], c["key"], c["title"], c["text"], c["deleted"])
                for c in page["changes"]
            ),
        )
        with self._lock:
            self._heard = max(self._heard, newest)
            self._look_locked()
            if not page["more"] and index.store == store:
                self._heard = newest
                self._has_caught_up = True
                self._behind_since = None
        return bool(page["more"])

    def _look_locked(self) -> None:
        """Note since when the index is behind."""
        if self._heard <= self._index.revision:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._clock()
