from __future__ import annotations

import tomllib

import pytest

from orchestrator.manifest.positions import Positions

TEXT = '''# a comment
[stack]
name = "x"

[peers.search]
app = "a:B"  # [peers.other]
depends_on = [
  "x",
  "y",
]
backoff = { initial = 1 }
heartbeat.interval = 3

[[router.roles.front]]
uri = "a"
[[router.roles.front]]
uri = "b"
allow = ["call",
  "nonsense"]

[peers."q.r".env]
text = """
[stack]
"""
[router]
port = 1
[router.auth]
anonymous = "off"
[defaults]
k = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("stack",), 2),
        (("stack", "name"), 3),
        (("peers", "search"), 5),
        (("peers", "search", "app"), 6),
        (("peers", "search", "depends_on"), 7),
        (("peers", "search", "depends_on", 1), 9),
        (("peers", "search", "backoff", "initial"), 11),
        (("peers", "search", "heartbeat", "interval"), 12),
        (("peers", "search", "missing"), 5),
        (("router", "roles", "front"), 14),
        (("router", "roles", "front", 0, "uri"), 15),
        (("router", "roles", "front", 1), 16),
        (("router", "roles", "front", 1, "uri"), 17),
        (("router", "roles", "front", 1, "allow", 1), 19),
        (("peers", "q.r"), 21),
        (("peers", "q.r", "env", "text"), 22),
        (("router", "port"), 26),
        (("router", "auth"), 27),
        (("router", "auth", "anonymous"), 28),
        (("defaults", "k"), 30),
    ],
)
def test_lines_are_those_of_the_text(path, line):
    tomllib.loads(TEXT)
    assert Positions(TEXT).line_of(path) == line


def test_what_is_not_there_has_no_line():
    assert Positions(TEXT).line_of(("nowhere", "at all")) is None
    assert Positions("").line_of(("stack",)) is None


def test_a_text_that_the_editor_cannot_parse_costs_the_line_only():
    assert Positions("[[[").line_of(("stack",)) is None
