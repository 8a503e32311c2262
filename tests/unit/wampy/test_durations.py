from __future__ import annotations

import pytest

from wampy.durations import parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1.5 m", 90.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
    ],
)
def test_durations(value: float | str, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value", ["", "2", "s", "2 weeks", "-1s", -1, True, None, float("nan"), float("inf")]
)
def test_what_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(value)  # type: ignore[arg-type]
