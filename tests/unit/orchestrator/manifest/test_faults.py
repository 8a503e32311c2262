from __future__ import annotations

import pytest

from orchestrator.manifest.faults import Fault, shown, suggestion, where


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("stack",), "[stack]"),
        (("stack", "name"), "[stack] name"),
        (("peers",), "[peers]"),
        (("peers", "a"), "[peers.a]"),
        (("peers", "a", "backoff", "max"), "[peers.a] backoff.max"),
        (("peers", "a", "depends_on", 1), "[peers.a] depends_on[1]"),
        (("router", "port"), "[router] port"),
        (("router", "auth", "ticket", "bob", "role"), "[router.auth] ticket.bob.role"),
        (("router", "roles", "front"), "[router.roles.front]"),
        (("router", "roles", "front", 0, "uri"), "[[router.roles.front]] uri"),
    ],
)
def test_a_place_is_spelt_as_in_a_manifest(path, text):
    assert where(path) == text


def test_a_fault_is_one_line():
    assert str(Fault("wampy.toml", 3, "[stack] name", "expected x, got 1")) == (
        "wampy.toml:3: [stack] name: expected x, got 1"
    )
    assert str(Fault("wampy.toml", None, "", "not found")) == "wampy.toml: not found"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "a table"),
        ([], "a list"),
        (True, "true"),
        (3, "3"),
        ("a\nb", '"a\\nb"'),
        ("x" * 100, '"' + "x" * 58 + "…"),
    ],
)
def test_values_are_shown_as_toml_spells_them(value, text):
    assert shown(value) == text


def test_a_secret_is_not_shown():
    assert shown("hunter2", secret=True) == "a string"
    assert shown(1234, secret=True) == "a number"


def test_a_near_name_is_suggested():
    assert suggestion("replcas", ["replicas", "restart"]) == '; did you mean "replicas"?'
    assert suggestion("zzz", ["replicas", "restart"]) == ""
