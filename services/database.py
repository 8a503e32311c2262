"""A SQLite file that many threads read while one writes.

Rules:

- WAL: readers see the last commit and never wait for the writer, nor the writer for them.
- One connection writes, under ``_write_lock``: SQLite has one writer at a time anyway, and a lock
  here queues threads fairly, where SQLite's own busy handler would poll. Another *process* that
  writes to the same file is waited for by that busy handler.
- Readers borrow connections from a pool. Not one a thread: worker threads come and go.
- A connection must never cross a fork; so nothing is opened before ``Database()`` is made, which
  Peers do in ``on_start``, in their own process.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

#: How long a statement waits for another process that writes, in seconds.
BUSY_TIMEOUT_S = 10.0


class Database:
    """One SQLite file in WAL mode. Thread-safe.

    Args:
        path: the file; it and its folders are made where they are missing.
        schema: statements that make the tables; run at each opening, so ``IF NOT EXISTS``.
        synchronous: ``FULL``: a commit is on the disk when it returns, also when the power fails
            then. ``NORMAL``: it survives the death of the process, at any instant, but a power cut
            may take the last commits back (never half of one).

    Raises:
        sqlite3.Error: it cannot be opened, or is no database.
        OSError: its folder cannot be made.
    """

    def __init__(
        self, path: str | Path, schema: str, *, synchronous: Literal["FULL", "NORMAL"]
    ) -> None:
        self.path = Path(path)
        self._synchronous = synchronous
        self._write_lock = threading.Lock()  # guards _writer; taken before _pool_lock, never after
        self._pool_lock = threading.Lock()  # guards _idle and _is_closed; nothing waits under it
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        try:
            self._writer.executescript(schema)
        except sqlite3.Error:
            self._writer.close()
            raise

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection that writes, in a transaction of its own.

        Committed when the block ends, rolled back when it raises. Blocks while others write.
        """
        with self._write_lock:
            # IMMEDIATE: what is read in the transaction is still true when it writes.
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to read with; all reads in the block see one and the same commit."""
        with self._pool_lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._pool_lock:
                is_closed = self._is_closed
                if not is_closed:
                    self._idle.append(connection)
            if is_closed:
                connection.close()

    def close(self) -> None:
        """Close all that is idle, and the rest as it comes back. Idempotent."""
        with self._write_lock:
            with self._pool_lock:
                self._is_closed = True
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        # isolation_level=None: the module starts no transactions of its own; ours are explicit.
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection
