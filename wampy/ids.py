"""IDs: integers from 1 to 2**53.

Spec: Basic Profile, "IDs".
"""

from __future__ import annotations

from typing import TypeGuard

#: The largest ID; also the largest integer that a double holds exactly.
MAX_ID = 1 << 53


def is_id(value: object) -> TypeGuard[int]:
    """Whether this is an ID: an integer (no bool) from 1 to 2**53."""
    return type(value) is int and 1 <= value <= MAX_ID


class IdSequence:
    """Request IDs of one Session: 1, 2, 3 … 2**53, then 1 again; not thread-safe."""

    __slots__ = ("last",)

    def __init__(self, last: int = 0) -> None:
        #: The ID given last; 0 before the first.
        self.last = last

    def next(self) -> int:
        """Give the next ID."""
        self.last = self.last + 1 if self.last < MAX_ID else 1
        return self.last

    def take_back(self, request_id: int) -> None:
        """Give this ID again next time, if it was the last one; never one that is none, as 0."""
        if 0 < request_id == self.last:
            self.last -= 1
