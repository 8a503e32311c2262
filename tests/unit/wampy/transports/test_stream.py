"""How much is asked for in one read."""

from __future__ import annotations

from wampy.transports.stream import _next_read

LITTLE, MOST = 65_536, 2**20


def test_more_is_asked_for_while_all_of_it_comes() -> None:
    asked = [LITTLE]
    while asked[-1] != MOST:
        asked.append(_next_read(asked[-1], asked[-1]))
    assert asked == [LITTLE, 4 * LITTLE, MOST]
    assert _next_read(MOST, MOST) == MOST


def test_little_is_asked_for_again_when_little_came() -> None:
    assert _next_read(MOST, MOST // 2) == MOST
    assert _next_read(MOST, MOST // 8) == LITTLE
    assert _next_read(LITTLE, 10) == LITTLE
    assert _next_read(LITTLE, 0) == LITTLE
