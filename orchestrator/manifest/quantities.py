"""Durations and sizes as a manifest and the command line spell them. Pure."""

from __future__ import annotations

import math
import re

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?)?B\s*")
_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWERS = {"k": 1, "M": 2, "G": 3, "T": 4}

#: How durations and sizes are described where one was expected.
A_DURATION = 'a duration such as 2.5 or "500ms"'
A_SIZE = 'a size such as 1048576 or "256MiB"'


def parse_duration_s(value: object, *, bare: bool = False) -> float:
    """Give seconds for ``2.5``, ``"500ms"``, ``"2s"``, ``"5m"``, ``"1h"`` or ``"1d"``.

    Args:
        value: as TOML or the command line gave it.
        bare: whether a string may be a number without a unit (in seconds), as on the command line.

    Raises:
        ValueError: it is no duration, or it is negative or not finite.
    """
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found:
            return float(found[1]) * _SECONDS[found[2]]
        if bare and _NUMBER.fullmatch(value):
            return float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if value < 1e300 else math.inf
        if 0 <= seconds < math.inf:
            return seconds
    raise ValueError(f"not a duration: {value!r}")


def parse_size_bytes(value: object, *, bare: bool = False) -> int:
    """Give bytes for ``1048576``, ``"256MiB"``, ``"10MB"`` or ``"512B"``.

    Args:
        value: as TOML or the command line gave it.
        bare: whether a string may be a number without a unit.

    Raises:
        ValueError: it is no size, or it is negative.
    """
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        if found:
            prefix = found[2] or ""
            base = 1024 if prefix.endswith("i") else 1000
            return int(float(found[1]) * base ** _POWERS.get(prefix[:1].replace("K", "k"), 0))
        if bare and value.strip().isdecimal():
            return int(value)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"not a size: {value!r}")
