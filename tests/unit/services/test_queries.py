"""What is written into a search box becomes a query, or an error that says what to write."""

from __future__ import annotations

import pytest

from services.queries import QueryError, mend, phrase_of, prepare, quoted


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("context manager", "context manager"),
        ('"context manager"', '"context manager"'),
        ("os.path", '"os.path"'),
        ("os.path OR read-only", '"os.path" OR "read-only"'),
        ("(os.path OR it's) NOT a/b", '("os.path" OR "it\'s") NOT "a/b"'),
        ("title:os.path*", 'title:"os.path"*'),
        ('"os.path" a.b', '"os.path" a.b'),  # quoted somewhere: left to who quotes
        ("read_text", "read_text"),
        ("a ... b", "a ... b"),
        ("ü.é", '"ü.é"'),
    ],
)
def test_query_is_prepared(text, query):
    assert prepare(text) == query


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the query is empty; write words, such as: context manager"),
        ("  \n", "the query is empty"),
        ("a\0b", "NUL"),
        ("a\ud800", "surrogate"),
        ("a" * 1001, "1001 characters; at most 1000"),
        (None, "NoneType; expected a string"),
        (3, "int; expected a string"),
        (["a"], "list; expected a string"),
    ],
)
def test_what_is_no_query_is_refused(text, reason):
    with pytest.raises(QueryError) as caught:
        prepare(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("context manager", '"context manager"'),
        ("  context\n manager ", '"context manager"'),
        ("os.path join", '"os.path join"'),
        ("and or not", '"and or not"'),
        ("word", None),
        ("os.path", None),
        ("a AND b", None),
        ("NEAR(a b)", None),
        ("a b*", None),
        ('"a b"', None),
        ("title : a", None),
        ("(a b)", None),
    ],
)
def test_plain_words_are_a_phrase_too(text, phrase):
    assert phrase_of(text) == phrase


def test_quoting():
    assert quoted("a b") == '"a b"'
    assert quoted('say "a"') == '"say ""a"""'


@pytest.mark.parametrize(
    ("text", "message", "parts"),
    [
        (
            "open(",
            'fts5: syntax error near ""',
            ["for open(: it ends too early;", "words only: open ", 'a phrase: "open("'],
        ),
        ("a AND", 'fts5: syntax error near ""', ["words only: a and "]),
        (".py", 'fts5: syntax error near "."', ['syntax error near "."', "words only: py "]),
        ("key:x", "no such column: key", ["only title and text can stand before a colon"]),
        ("*", "unknown special query: ", ["a * stands after a word", "only: context manager"]),
        ('"a b', "unterminated string", ["unterminated string", 'a phrase: "a b"']),
        ('"', "unterminated string", ['a phrase: "context manager"']),
    ],
)
def test_mend_says_what_is_wrong_and_what_to_write(text, message, parts):
    for part in parts:
        assert part in mend(text, message)
