"""What a full-text index finds, what it makes of wrong queries, and that it is a true copy."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fulltext import MAX_HITS, FullTextIndex, IndexChange
from services.queries import QueryError, quoted

TEXTS = {
    "contextlib.closing": "Context manager to automatically close something.",
    "contextlib.ExitStack": "Context manager for dynamic management of a stack of exit callbacks.",
    "pathlib.Path.read_text": "Open the file in text mode, read it, and close the file.",
    "os.path": "Common operations on path names. The manager of no context.",
}


@pytest.fixture
def index(tmp_path):
    made = FullTextIndex(tmp_path / "index.db")
    made.restart("one")
    made.apply("one", [put(n, key, text) for n, (key, text) in enumerate(TEXTS.items(), 1)])
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_index(tmp_path_factory):
    made = FullTextIndex(tmp_path_factory.mktemp("shared") / "index.db")
    made.restart("one")
    made.apply("one", [put(n, key, text) for n, (key, text) in enumerate(TEXTS.items(), 1)])
    yield made
    made.close()


def put(revision: int, key: str, text: str) -> IndexChange:
    return IndexChange(revision, key, key, text, False)


def deleted(revision: int, key: str) -> IndexChange:
    return IndexChange(revision, key, "", "", True)


def found(index: FullTextIndex, query: str, limit: int = 10) -> list[str]:
    return [hit.key for hit in index.find(query, limit)]


# -------------------------------------------------------------------------------- finding


def test_phrase_finds_the_words_in_that_order_only(index):
    assert set(found(index, '"context manager"')) == {"contextlib.closing", "contextlib.ExitStack"}


def test_words_may_be_anywhere(index):
    assert set(found(index, "context manager")) == {
        "contextlib.closing",
        "contextlib.ExitStack",
        "os.path",
    }


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("CLOSING OR ExitStack", {"contextlib.closing", "contextlib.ExitStack"}),
        ("context NOT stack", {"contextlib.closing", "os.path"}),
        ("automat*", {"contextlib.closing"}),
        ("title : path", {"pathlib.Path.read_text", "os.path"}),
        ("read_text", {"pathlib.Path.read_text"}),
        ('"os.path"', {"os.path"}),
        ("os.path", {"os.path"}),
        ("path.read*", {"pathlib.Path.read_text"}),
        ("NEAR(read close, 3)", {"pathlib.Path.read_text"}),
        ("management", {"contextlib.ExitStack"}),
        ("nothing", set()),
        ('""', set()),
    ],
)
def test_query_language(index, query, keys):
    assert set(found(index, query)) == keys


def test_hit_has_title_snippet_and_rank_and_the_best_comes_first(index):
    first, second = index.find("close", 10)
    assert first.key == "contextlib.closing" or first.rank <= second.rank
    assert first.rank <= second.rank < 0
    (hit,) = index.find("dynamic")
    assert hit.title == "contextlib.ExitStack"
    assert hit.snippet == "Context manager for **dynamic** management of a stack of exit callbacks."


def test_word_in_the_title_counts_more(index):
    assert found(index, "path")[0] == "os.path"


def test_plain_words_find_first_what_has_them_next_to_each_other(tmp_path):
    """A command line takes the quotes of "context manager" away, and its user means the phrase."""
    index = FullTextIndex(tmp_path / "own.db")
    index.restart("one")
    text = "The manager of a context or the context of a manager."
    index.apply("one", [IndexChange(1, "far", "manager context", text, False)])
    index.apply("one", [put(2, "near", "Long before it comes to this: a context manager.")])
    first, second = index.find("context manager")
    assert (first.key, second.key) == ("near", "far")
    assert first.rank < -900 < second.rank < 0
    assert found(index, "manager context")[0] == "far"
    assert found(index, "context AND manager")[0] == "far"
    index.close()


def test_limit_keeps_the_best(index):
    assert found(index, "context", 1) == found(index, "context")[:1]
    assert found(index, "context", MAX_HITS) == found(index, "context")


# -------------------------------------------------------------------------------- wrong queries


@pytest.mark.parametrize(
    "query",
    [".py", '"open', "open(", "context AND", "http:x", "-x", "*", "NEAR(a b, x)", 'a"b', '"', "?"],
)
def test_wrong_query_is_an_error_whose_mend_works(index, query):
    with pytest.raises(QueryError, match="cannot search for") as caught:
        index.find(query)
    words, phrase = str(caught.value).partition("write words only: ")[2].split(" - or a phrase: ")
    index.find(words)
    index.find(phrase)


@pytest.mark.parametrize("query", ["", "  ", None, 3, "a" * 1001])
def test_what_is_no_query_is_refused(index, query):
    with pytest.raises(QueryError):
        index.find(query)


@pytest.mark.parametrize("limit", [0, -1, MAX_HITS + 1, "3", 2.0, None, True])
def test_limit_is_checked(index, limit):
    with pytest.raises(QueryError, match="expected a whole number from 1 to 1000"):
        index.find("context", limit)


@given(st.text() | st.text(alphabet='"ab*():^+-{} ,ANDORTtile.NEAR', max_size=30))
def test_any_query_finds_or_is_a_query_error(shared_index, query):
    with contextlib.suppress(QueryError):
        shared_index.find(query)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_anything_can_be_quoted(shared_index, text):
    assert isinstance(shared_index.find(quoted(text)), list)


def test_failure_of_the_file_is_no_query_error(tmp_path):
    """A lock, a disk that fails or a file that is damaged is not the caller's fault."""
    index = FullTextIndex(tmp_path / "index.db")
    index.restart("one")
    with sqlite3.connect(tmp_path / "index.db", isolation_level=None) as vandal:
        vandal.execute("DELETE FROM texts_data")
    vandal.close()
    with pytest.raises(sqlite3.DatabaseError):
        index.find("context")
    index.close()


# -------------------------------------------------------------------------------- following


def test_changed_document_is_found_by_its_new_text_only(index):
    index.apply("one", [put(5, "os.path", "Something else.")])
    assert found(index, "operations") == []
    assert found(index, "else") == ["os.path"]
    assert index.count() == 4
    assert index.revision == 5


def test_deleted_document_is_not_found(index):
    index.apply("one", [deleted(5, "os.path"), deleted(6, "never there")])
    assert found(index, "operations") == []
    assert index.count() == 3
    assert index.revision == 6


def test_applying_twice_comes_to_the_same(index):
    changes = [put(5, "new", "brand new"), deleted(6, "os.path")]
    index.apply("one", changes)
    index.apply("one", changes)
    index.apply("one", [put(1, "os.path", "from the past")])
    assert index.revision == 6
    assert index.count() == 4
    assert found(index, "past") == []


def test_changes_of_another_store_are_passed_over(index):
    index.apply("two", [put(9, "os.path", "of another store")])
    assert (index.store, index.revision) == ("one", 4)
    assert found(index, "another") == []


def test_restart_forgets_everything(index):
    index.restart("two")
    assert (index.store, index.revision, index.count()) == ("two", 0, 0)
    assert found(index, "context") == []


def test_failing_changes_leave_nothing(index):
    def failing():
        yield put(5, "new", "brand new")
        raise KeyError

    with pytest.raises(KeyError):
        index.apply("one", failing())
    assert (index.revision, index.count()) == (4, 4)
    assert found(index, "brand") == []


def test_all_is_there_after_opening_again(tmp_path, index):
    index.close()
    again = FullTextIndex(tmp_path / "index.db")
    assert (again.store, again.revision, again.count()) == ("one", 4, 4)
    assert found(again, '"os.path"') == ["os.path"]
    again.close()


def test_two_processes_on_one_file_apply_each_change_once(tmp_path, index):
    """The old and the new incarnation of a replica that is being replaced."""
    other = FullTextIndex(tmp_path / "index.db")
    index.apply("one", [put(5, "new", "brand new")])
    other.apply("one", [put(5, "new", "brand new"), put(6, "newer", "brand newer")])
    assert other.revision == 6
    assert index.count() == 6
    assert found(index, "brand", 10) == found(other, "brand", 10)
    other.restart("two")
    index.apply("one", [put(7, "late", "of the old store")])
    assert (index.store, index.revision, index.count()) == ("two", 0, 0)
    other.close()


def test_damaged_file_is_made_anew(tmp_path):
    path = tmp_path / "index.db"
    path.write_bytes(b"certainly no database " * 1000)
    index = FullTextIndex(path)
    assert (index.store, index.revision, index.count()) == ("", 0, 0)
    index.close()


def test_file_damaged_in_the_middle_is_made_anew(tmp_path, index):
    index.apply("one", [put(n, f"key{n}", f"some text {n} " * 50) for n in range(5, 200)])
    index.close()
    path = tmp_path / "index.db"
    content = path.read_bytes()
    assert len(content) > 5 * 4096
    path.write_bytes(content[: 2 * 4096] + b"\xff" * 4096 * 3 + content[5 * 4096 :])
    again = FullTextIndex(path)
    assert (again.store, again.count()) == ("", 0)
    again.close()


def test_path_that_cannot_be_a_file_is_an_error(tmp_path):
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        FullTextIndex(tmp_path / "folder.db")
    assert (tmp_path / "folder.db").is_dir()


def test_finding_goes_on_while_changes_come_in(index):
    failures: list[BaseException] = []
    is_done = threading.Event()

    def search() -> None:
        try:
            while not is_done.is_set():
                assert "contextlib.closing" in found(index, '"context manager"')
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for revision in range(5, 105):
        index.apply("one", [put(revision, f"key{revision % 10}", f"text {revision}")])
    is_done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert index.count() == 14
