"""Loader: a job that fills Store with the docstrings of Python's standard library."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from services.docstrings import Source, UnreadableSource, library_sources, read_docstrings
from wampy import Peer
from wampy.errors import (
    Canceled,
    NoSuchProcedure,
    RequestTimeout,
    SessionError,
    TransportError,
    Unavailable,
)

#: What a call of Store ends with while Store, or the Router, is being replaced.
UNREACHABLE = (
    Canceled,
    NoSuchProcedure,
    RequestTimeout,
    SessionError,
    TransportError,
    Unavailable,
)
#: One put_many has at most so many documents, and about so many characters.
BATCH_COUNT, BATCH_LENGTH = 200, 256 * 1024
#: Seconds for one call of Store, how long a Store that is away is waited for, and the retries.
CALL_TIMEOUT_S, MAX_AWAY_S, _RETRY_S = 30.0, 60.0, 0.1
#: Seconds between two events of progress at least, and log lines for the whole job.
PROGRESS_S, LOG_LINES = 0.25, 10
_KEYS_PAGE = 1000


@dataclass
class Progress:
    """How far the job is; what ``com.example.loader.progress`` carries as keyword arguments."""

    files: int = 0
    of_files: int = 0
    documents: int = 0
    changed: int = 0
    removed: int = 0
    skipped: int = 0
    done: bool = False

    def __str__(self) -> str:
        return (
            f"{self.files} of {self.of_files} files, {self.documents} docstrings, "
            f"{self.changed} new or changed, {self.removed} removed, {self.skipped} files skipped"
        )


class Loader(Peer):
    """Reads all sources of the running Python's library and puts their docstrings into Store.

    It may run again at any time, also after it was killed half way: Store leaves alone what is
    there already, and what the library no longer has is deleted. Files that are no Python of this
    version are skipped, with a line in the log; what they had in Store stays.

    Topics published:
        com.example.loader.progress: keyword arguments as in `Progress`; at the begin, a few times a
            second, and at the end, then with ``done`` true.
    """

    class Config:
        """What the keys begin with (those in Store that do belong to the Loader), and where to."""

        prefix: str = "python:"
        store: str = "com.example.store."

    def __init__(self) -> None:
        self.progress = Progress()
        self._is_stopping = threading.Event()
        self._published_at = float("-inf")
        self._batch: list[dict[str, str]] = []
        self._batch_length = 0

    def run(self) -> None:
        """Do the job: called once, in a thread of its own, when the Peer has started.

        Raises:
            wampy.WampyError: Store refused something, or was away for more than a minute.
        """
        began = time.monotonic()
        sources = library_sources()
        progress = self.progress
        progress.of_files = len(sources)
        self._publish(is_due=True)
        keys: set[str] = set()
        skipped: list[str] = []
        for source in sources:
            if self._is_stopping.is_set():
                self.log.info("stopped after %s", progress)
                return
            if not self._load(source, keys):
                skipped.append(source.module)
            progress.files += 1
            if progress.files * LOG_LINES // len(sources) > (
                (progress.files - 1) * LOG_LINES // len(sources)
            ):
                self.log.info("%s", progress)
            self._publish()
        self._flush()
        self._remove_others(keys, skipped)
        progress.done = True
        self._publish(is_due=True)
        self.log.info("done in %.1f s: %s", time.monotonic() - began, progress)

    def on_stop(self) -> None:
        """Let a run that is not done end at its next file."""
        self._is_stopping.set()

    # ------------------------------------------------------------------ the work

    def _load(self, source: Source, keys: set[str]) -> bool:
        """Put one file's docstrings into Store; False where it cannot be read."""
        try:
            docstrings = read_docstrings(source)
        except UnreadableSource as error:
            self.progress.skipped += 1
            self.log.warning("skipped %s: %s", source.path, error)
            return False
        for docstring in docstrings:
            key = self.config.prefix + docstring.name
            if key in keys:
                continue  # `a.b` is a module here, and a name in the module `a` there
            keys.add(key)
            self._batch.append({"key": key, "title": docstring.title, "text": docstring.text})
            self._batch_length += len(docstring.title) + len(docstring.text)
            if len(self._batch) >= BATCH_COUNT or self._batch_length >= BATCH_LENGTH:
                self._flush()
        return True

    def _flush(self) -> None:
        if not self._batch:
            return
        answer = self._call("put_many", self._batch)
        self.progress.documents += len(self._batch)
        self.progress.changed += answer["changed"]
        self._batch = []
        self._batch_length = 0

    def _remove_others(self, keys: set[str], skipped: list[str]) -> None:
        """Delete what an earlier run put there and the library has no more."""
        prefix = self.config.prefix
        kept = {prefix + module for module in skipped}
        after = ""
        while page := self._call("keys", prefix, after, _KEYS_PAGE):
            others = [key for key in page if key not in keys and not _is_below(key, kept)]
            if others:
                self.progress.removed += self._call("delete_many", others)["changed"]
            after = page[-1]

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call Store; wait for one that is away. All that is called here may be called twice."""
        deadline = time.monotonic() + MAX_AWAY_S
        while True:
            try:
                return self.session.call(
                    self.config.store + name, *arguments, timeout=CALL_TIMEOUT_S
                )
            except UNREACHABLE as error:
                if time.monotonic() > deadline or self._is_stopping.wait(_RETRY_S):
                    raise
                self.log.debug("once more, since Store is away: %s", error)

    def _publish(self, *, is_due: bool = False) -> None:
        now = time.monotonic()
        if not is_due and now - self._published_at < PROGRESS_S:
            return
        self._published_at = now
        try:
            self.session.publish("com.example.loader.progress", **asdict(self.progress))
        except (TransportError, SessionError) as error:
            self.log.debug("nobody hears of the progress: %s", error)


def _is_below(key: str, modules: set[str]) -> bool:
    """Whether a key is one of ``modules``, or a name inside one."""
    while key:
        if key in modules:
            return True
        key = key.rpartition(".")[0]
    return False
