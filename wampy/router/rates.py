"""How many a second, of what is only counted."""

from __future__ import annotations

#: Seconds that a rate is taken over, at least.
_INTERVAL_S = 1.0


class Rates:
    """Rates of some counters, over the last whole interval of a second or so."""

    def __init__(self, now: float, *counts: int) -> None:
        self._at = now
        self._counts = counts
        #: Per second, in the order of the counts.
        self.per_s: tuple[float, ...] = (0.0,) * len(counts)

    def take(self, now: float, *counts: int) -> None:
        """Take the counters' present values; more often than needed does no harm."""
        elapsed_s = now - self._at
        if elapsed_s < _INTERVAL_S:
            return
        self.per_s = tuple(
            round((count - before) / elapsed_s, 1)
            for count, before in zip(counts, self._counts, strict=True)
        )
        self._at, self._counts = now, counts
