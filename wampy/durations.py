"""Durations as people write them."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
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
