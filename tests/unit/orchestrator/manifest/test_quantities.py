from __future__ import annotations

import pytest

from orchestrator.manifest.quantities import parse_duration_s, parse_size_bytes


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (2, 2.0),
        (2.5, 2.5),
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1.5s", 1.5),
        (" 5 m ", 300.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
    ],
)
def test_durations_are_seconds_or_have_a_unit(value, seconds):
    assert parse_duration_s(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "s",
        "-1s",
        "5 weeks",
        "1e3s",
        -1,
        True,
        None,
        float("inf"),
        float("nan"),
        [],
        10**400,
    ],
)
def test_everything_else_is_no_duration(value):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_s(value)


def test_a_bare_number_is_a_duration_where_only_strings_can_be_given():
    assert parse_duration_s("2.5", bare=True) == 2.5
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_s("-2.5", bare=True)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (1048576, 1048576),
        ("512B", 512),
        ("10kB", 10_000),
        ("10KiB", 10_240),
        ("256MiB", 256 * 1024**2),
        ("1.5GiB", 3 * 2**29),
        ("2TB", 2 * 10**12),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(value, size):
    assert parse_size_bytes(value) == size


@pytest.mark.parametrize("value", ["", "10", "10M", "10 mb", "-1B", -1, 1.5, True, None])
def test_everything_else_is_no_size(value):
    with pytest.raises(ValueError, match="not a size"):
        parse_size_bytes(value)


def test_a_bare_number_is_a_size_where_only_strings_can_be_given():
    assert parse_size_bytes("10", bare=True) == 10
