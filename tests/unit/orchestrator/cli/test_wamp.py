from __future__ import annotations

import click
import pytest

from orchestrator.cli.wamp import parse_argument, parse_keywords


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        ("true", True),
        ("null", None),
        ('"a b"', "a b"),
        ("a b", "a b"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("{a: 1}", "{a: 1}"),
        ("", ""),
        ("01", "01"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_an_argument_is_json_or_itself(text, value):
    assert parse_argument(text) == value


def test_keywords():
    assert parse_keywords(["a=1", "b=x=y", "c="]) == {"a": 1, "b": "x=y", "c": ""}
    with pytest.raises(click.UsageError, match="expected K=V"):
        parse_keywords(["a"])
    with pytest.raises(click.UsageError, match="expected K=V"):
        parse_keywords(["=a"])
