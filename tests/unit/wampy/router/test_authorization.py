"""Which permission decides, and what it says."""

from __future__ import annotations

import pytest

from tests.unit.wampy.router.routing import allow
from wampy.router import authorization
from wampy.router.authorization import Decision, Role


def role(*permissions: authorization.Permission, **given: str) -> Role:
    return Role("some", permissions, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "uri", "is_matched"),
    [
        ("exact", "a.b", True),
        ("exact", "a.b.c", False),
        ("prefix", "a.bc", True),
        ("prefix", "a", False),
        ("wildcard", "a.b", True),
    ],
)
def test_a_permission_matches(match: str, uri: str, is_matched: bool) -> None:
    assert allow("a.b", match=match).matches(uri) is is_matched


def test_an_empty_component_stands_for_any_one() -> None:
    assert allow("a..c", match="wildcard").matches("a.b.c")
    assert not allow("a..c", match="wildcard").matches("a.b.x")
    assert not allow("a..c", match="wildcard").matches("a.b.b.c")


def test_the_longest_that_matches_decides_for_every_action() -> None:
    some = role(allow("", match="prefix"), allow("a.", "call", match="prefix"))
    assert some.may("a.b", "call")
    assert not some.may("a.b", "register")
    assert some.may("b", "register")


@pytest.mark.parametrize("order", [1, -1])
def test_exact_decides_before_prefix_before_wildcard(order: int) -> None:
    three = [
        allow("a.b", "call"),
        allow("a.b", "register", match="prefix"),
        allow("a.b", "publish", match="wildcard"),
    ][::order]
    assert role(*three).permission("a.b") == allow("a.b", "call")
    two = [one for one in three if one.match != "exact"]
    assert role(*two).permission("a.b") == allow("a.b", "register", match="prefix")


@pytest.mark.parametrize("match", ["prefix", "wildcard"])
def test_what_begins_with_wamp_needs_a_permission_that_spells_it(match: str) -> None:
    general = allow("" if match == "prefix" else "..", match=match)
    assert role(general).decide("wamp.session.list", "call") is Decision.DENIED
    assert role(general).may("wampy.router.stats", "call")
    assert role(general, allow("wamp.session.", "call", match="prefix")).may(
        "wamp.session.list", "call"
    )
    assert role(allow("wamp", match="prefix")).may("wamp.session.list", "call")


def test_what_none_matches_is_refused() -> None:
    assert role().decide("a", "call") is Decision.DENIED


def test_what_none_matches_is_asked_of_the_authorizer_but_never_for_itself() -> None:
    some = role(allow("b", "call"), authorizer="auth")
    assert some.decide("a", "call") is Decision.ASK
    assert some.decide("b", "register") is Decision.DENIED
    assert some.decide("auth", "register") is Decision.DENIED
    assert not some.may("a", "call")


def test_disclosure_is_of_the_permission_that_decides() -> None:
    some = role(allow("a", disclose=False), allow("b"))
    assert [some.discloses(uri) for uri in ("a", "b", "c")] == [False, True, True]


def test_the_answers_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client chooses what is asked for: neither many nor long URIs may fill the memory."""
    monkeypatch.setattr(authorization, "_CACHE_SIZE", 10)
    some = role(allow("a", match="prefix"))
    for _ in range(2):
        for number in range(25):
            assert some.may(f"a{number}", "call")
            assert not some.may(f"b{number}", "call")
        assert some.may("a" * 1000, "call")
    assert len(some._cache) <= 10
    assert "a" * 1000 not in some._cache
