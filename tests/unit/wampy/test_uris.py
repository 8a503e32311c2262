from __future__ import annotations

import pytest

from wampy.errors import LocalProtocolError
from wampy.uris import _MOST_KEPT, _fine, check_uri, is_pattern, is_uri, uri_fault


@pytest.mark.parametrize("uri", ["a", "com.example.now", "A-b.Ü", "callee_application_entrypoint"])
def test_the_loose_rule_takes_any_characters(uri):
    assert is_uri(uri)
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri", ["", ".", "a.", ".a", "a..b", "a b", "a#b", "a\n", "a.b\n", "a\u2003b"]
)
def test_empty_parts_white_space_and_hashes_are_refused(uri):
    """A trailing newline too, which ``$`` of a regular expression would let pass."""
    assert not is_uri(uri)
    with pytest.raises(LocalProtocolError, match="is not a URI"):
        check_uri(uri)


@pytest.mark.parametrize("match", ["prefix", "wildcard"])
@pytest.mark.parametrize("pattern", ["", "a.", "a..b", "..", "a.b"])
def test_patterns_may_have_empty_parts(pattern, match):
    assert is_pattern(pattern, match)
    assert check_uri(pattern, match) == pattern


def test_patterns_have_no_white_space_either():
    with pytest.raises(LocalProtocolError):
        check_uri("a. b", "wildcard")


def test_an_exact_pattern_is_a_uri():
    assert is_pattern("a.b", "exact")
    assert not is_pattern("a..b", "exact")


@pytest.mark.parametrize("value", [5, None, ["a"], {}, b"a.b"])
def test_what_is_no_text_is_no_uri(value):
    """Whatever it is, hashable or not, it is our error and no TypeError."""
    assert not is_uri(value)
    assert not is_pattern(value, "prefix")
    with pytest.raises(LocalProtocolError, match="is not a URI"):
        check_uri(value)


def test_what_is_wrong_with_a_uri_can_be_asked():
    assert uri_fault("a.b") is None
    assert uri_fault("a..b", "prefix") is None
    assert "'a..b' is not a URI" in (uri_fault("a..b") or "")


def test_long_texts_are_judged_and_neither_kept_nor_repeated():
    """Others send them: 4,096 of some megabytes each would never be given back."""
    long = "a" * 100_000
    kept = set(_fine)
    assert uri_fault(long) is None
    fault = uri_fault(long + "..b")
    assert fault is not None
    assert "is not a URI" in fault
    assert len(fault) < 300
    assert _fine == kept


def test_what_is_kept_is_bounded_and_fine_as_it_is_only():
    for number in range(2 * _MOST_KEPT + 5):
        assert uri_fault(f"com.example.u{number}") is None
        assert len(_fine) <= _MOST_KEPT
    assert uri_fault("com..example", "wildcard") is None
    assert uri_fault("com..example") is not None
    assert uri_fault("com.example", "regex") is not None


def test_there_are_three_ways_to_match():
    wrong: tuple = ("regex", ["prefix"], None, {})
    for match in wrong:
        with pytest.raises(LocalProtocolError, match="exact, prefix, wildcard"):
            check_uri("a.b", match)
