"""URIs and patterns: which one decides, and which ones match."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.msgpack import Ext

from wampy.router.patterns import PatternTable, match_in


def table(*patterns: tuple[str, str]) -> PatternTable[str]:
    made: PatternTable[str] = PatternTable()
    for uri, match in patterns:
        made.add(uri, match, f"{match} {uri}")
    return made


ALL = (
    ("a.b.c", "exact"),
    ("a.b", "prefix"),
    ("a.", "prefix"),
    ("", "prefix"),
    ("a..c", "wildcard"),
    ("a.b.", "wildcard"),
    (".b.c", "wildcard"),
)


@pytest.mark.parametrize(
    ("uri", "best"),
    [
        ("a.b.c", "exact a.b.c"),
        ("a.b.d", "prefix a.b"),
        ("a.bc", "prefix a.b"),  # of characters, not of components
        ("a.x.c", "prefix a."),
        ("x.b.c", "prefix "),
        ("a.b", "prefix a.b"),
    ],
)
def test_exact_decides_before_the_longest_prefix(uri: str, best: str) -> None:
    assert table(*ALL).best(uri) == best


@pytest.mark.parametrize(
    ("uri", "best"),
    [
        ("a.b.c", "wildcard a.b."),
        ("a.x.c", "wildcard a..c"),
        ("x.b.c", "wildcard .b.c"),
        ("a.b", None),
        ("a.b.c.d", None),
        ("x.x.x", None),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_of_wildcards_the_one_with_the_later_wildcard_decides(
    uri: str, best: str | None, order: int
) -> None:
    made = table(*[one for one in ALL if one[1] == "wildcard"][::order])
    assert made.best(uri) == best


def test_prefix_decides_before_wildcard() -> None:
    assert table(("a.b.", "wildcard"), ("a", "prefix")).best("a.b.c") == "prefix a"


def test_all_that_match_are_found_exact_first() -> None:
    found = table(*ALL).all("a.b.c")
    assert found[:4] == ["exact a.b.c", "prefix a.b", "prefix a.", "prefix "]
    assert set(found[4:]) == {"wildcard a..c", "wildcard a.b.", "wildcard .b.c"}
    assert table(("x", "exact")).all("y") == []


def test_it_is_gone_through_and_counted() -> None:
    made = table(*ALL)
    assert len(made) == len(ALL) == len(list(made))


def test_what_is_removed_matches_no_more_and_leaves_nothing() -> None:
    made = table(*ALL, ("b", "prefix"), ("x", "wildcard"))
    for uri, match in (*ALL, ("b", "prefix"), ("x", "wildcard")):
        assert made.get(uri, match) == f"{match} {uri}"
        made.remove(uri, match)
        assert made.get(uri, match) is None
        assert f"{match} {uri}" not in made.all("a.b.c")
    assert len(made) == 0
    assert (made._lengths, made._split, dict(made._of_length)) == ([], {}, {})


def test_a_prefix_of_equal_length_stays_when_its_neighbour_goes() -> None:
    made = table(("ab", "prefix"), ("xy", "prefix"))
    made.remove("ab", "prefix")
    assert made.best("xyz") == "prefix xy"
    assert made.best("abz") is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "exact"),
        ({"match": "prefix"}, "prefix"),
        # As wampy.js has it where nothing is given: over CBOR, and over MessagePack.
        ({"match": None}, "exact"),
        ({"match": Ext(0, b"\0")}, "exact"),
        # What makes no sense is for others to refuse.
        ({"match": 1}, 1),
        ({"match": Ext(0, b"\1")}, Ext(0, b"\1")),
    ],
)
def test_null_counts_as_left_out(options: dict[str, Any], match: Any) -> None:
    assert match_in(options) == match
