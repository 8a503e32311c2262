from __future__ import annotations

import json

import pytest

from orchestrator.cli.output import duration_text, json_line, size_text, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0s"),
        (9.94, "9.9s"),
        (12.7, "12s"),
        (185, "3m05s"),
        (7620, "2h07m"),
        (3 * 86400 + 4 * 3600, "3d04h"),
    ],
)
def test_durations_are_short(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "-"), (512, "512B"), (1536, "1.5K"), (3 * 2**20, "3.0M"), (2**31, "2.0G")],
)
def test_sizes_are_short(size, text):
    assert size_text(size) == text


def test_a_table_is_aligned_and_has_no_trailing_spaces():
    assert table(("NAME", "N"), [["a", "1"], ["long", "23"]], right=("N",)) == (
        "NAME   N\na      1\nlong  23"
    )


def test_a_result_is_one_line_of_json_whatever_it_holds():
    line = json_line({"a": b"\x00\x01", "b": (1, 2), "c": "ä\n"})
    assert "\n" not in line
    assert json.loads(line) == {"a": "\0AAE=", "b": [1, 2], "c": "ä\n"}
