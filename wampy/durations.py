"""Durations as people write them, and timeouts as they are given to functions."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: The longest wait, in seconds: what poll takes, 24 days.
MAX_TIMEOUT_S = 2_147_483.0
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def parse_duration(value: float | str) -> float:
    """Give the seconds that ``1.5``, ``"500ms"``, ``"2s"``, ``"5m"``, ``"1h"`` or ``"1d"`` mean.

    Raises:
        ValueError: it is none of these, or negative.
    """
    if isinstance(value, str):
        match = _PATTERN.fullmatch(value)
        if match is None:
            raise ValueError(f'expected seconds or a duration like "500ms" or "2s", got {value!r}')
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a duration, got {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"expected a duration from 0, got {value!r}")
    return float(value)


def seconds_of(timeout: float, what: str = "timeout") -> float:
    """Give a timeout as it can be waited for: one that is too long, or infinite, as the longest.

    Args:
        timeout: seconds, from 0.
        what: what the argument is called, for the error.

    Raises:
        TypeError: no number.
        ValueError: negative, or not a number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{what} is a number of seconds, got {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"{what} is a number of seconds from 0, got {timeout!r}")
    return min(float(timeout), MAX_TIMEOUT_S)
