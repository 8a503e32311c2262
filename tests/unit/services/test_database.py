"""One writer, many readers, each seeing whole commits."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from services.database import Database
from tests.support import wait_until

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (n INTEGER)"


@pytest.fixture
def database(tmp_path: Path):
    made = Database(tmp_path / "made" / "here" / "a.db", SCHEMA, synchronous="FULL")
    yield made
    made.close()


def numbers(database: Database) -> list[int]:
    with database.reading() as connection:
        return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


@pytest.mark.parametrize(("name", "value"), [("FULL", 2), ("NORMAL", 1)])
def test_journal_and_durability_are_as_asked_for(tmp_path, name, value):
    database = Database(tmp_path / "a.db", SCHEMA, synchronous=name)
    for connecting in (database.writing, database.reading):
        with connecting() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (value,)
    database.close()


def test_block_that_ends_commits(database):
    with database.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (1)")
    assert numbers(database) == [1]


def test_block_that_raises_leaves_nothing(database):
    def fail() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO numbers VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert numbers(database) == []
    with database.writing() as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
    assert numbers(database) == [2]


def test_reader_sees_one_commit_for_its_whole_block_and_does_not_wait(database):
    with database.reading() as reader:
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
        with database.writing() as writer:
            writer.execute("INSERT INTO numbers VALUES (1)")
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
    assert numbers(database) == [1]


def test_connections_are_used_again_and_a_nested_reader_gets_another(database):
    with database.reading() as first, database.reading() as second:
        assert first is not second
    with database.reading() as again:
        assert again in (first, second)


def test_threads_write_one_after_the_other(database):
    def add_one() -> None:
        for _ in range(20):
            with database.writing() as connection:
                (top,) = connection.execute("SELECT coalesce(max(n), 0) FROM numbers").fetchone()
                connection.execute("INSERT INTO numbers VALUES (?)", (top + 1,))

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(database) == list(range(1, 81))


def test_writers_of_two_processes_wait_for_each_other(database):
    """Two Database objects share no lock, as two processes do."""
    other = Database(database.path, SCHEMA, synchronous="FULL")
    is_begun = threading.Event()

    def write() -> None:
        is_begun.set()
        with other.writing() as connection:
            connection.execute("INSERT INTO numbers SELECT max(n) + 1 FROM numbers")

    thread = threading.Thread(target=write)
    with database.writing() as connection:
        thread.start()
        wait_until(is_begun.is_set)
        connection.execute("INSERT INTO numbers VALUES (7)")
    thread.join()
    other.close()
    assert numbers(database) == [7, 8]


def test_close_is_idempotent_and_closes_what_is_still_read(database):
    with database.reading() as connection:
        database.close()
        database.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "a.db"
    path.write_text("certainly no database, " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Database(path, SCHEMA, synchronous="FULL")


def test_broken_schema_is_refused(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "a.db", "CREATE NONSENSE", synchronous="FULL")
