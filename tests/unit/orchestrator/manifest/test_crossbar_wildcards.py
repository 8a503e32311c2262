"""Wildcards that Crossbar would decide on otherwise than the built-in Router."""

from __future__ import annotations

import pytest

from tests.unit.orchestrator.manifest.support import PEER, faults

CROSSBAR = PEER + '[router]\ntype = "crossbar"\n'


def permissions(*given: str) -> str:
    """Give a role whose permissions are each ``MATCH URI``."""
    made = ""
    for one in given:
        match, _, uri = one.partition(" ")
        made += f"[[router.roles.front]]\nuri = '{uri}'\nmatch = '{match}'\nallow = ['call']\n"
    return made


@pytest.mark.parametrize(
    "given",
    [
        ["wildcard com..name"],
        ["wildcard com..", "wildcard org..x-y..z_1"],
        ["prefix ", "prefix com.", "exact com.a.name", "wildcard com..name"],
        # As long as the wildcard, but they match nothing that it does.
        ["prefix com.example.x", "wildcard com.exam..y", "prefix com.a.bcdefghi"],
        ["prefix com.a.name.x", "prefix com.ab.other", "wildcard com..name"],
    ],
)
def test_wildcards_that_both_routers_decide_on_alike(tmp_path, given):
    assert faults(tmp_path, CROSSBAR + permissions(*given)) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["wildcard com.name"], "wildcard such as com..name, its first component not empty, the o"),
        (["wildcard com."], 'got wildcard "com."'),
        (["wildcard .name"], 'got wildcard ".name"'),
        (["wildcard ..name"], 'got wildcard "..name"'),
        (["wildcard com..Name"], 'got wildcard "com..Name"'),
        (["prefix com..name"], 'got prefix "com..name"'),
        (["exact com..name"], 'got exact "com..name"'),
        (["wildcard com..a", "wildcard com..b"], 'begin alike, got "com..a" and "com..b"'),
        (["wildcard com.x..a", "wildcard com..b"], 'begin alike, got "com.x..a" and "com..b"'),
        (["prefix com.a.name", "wildcard com..name"], "no prefix as long that matches the same"),
        (["wildcard com..x", "prefix com.abc"], 'the same, got "com.abc": Crossbar lets'),
    ],
)
def test_a_wildcard_that_crossbar_decides_on_otherwise(tmp_path, given, expected):
    (found,) = faults(tmp_path, CROSSBAR + permissions(*given))
    assert "[[router.roles.front]] uri: expected" in found
    assert expected in found
    assert found.startswith("wampy.toml:")
    assert faults(tmp_path, PEER + permissions(*given)) == []
