"""URIs and patterns that match them: exact, prefix, wildcard.

Spec: Advanced Profile, "Pattern-based Registrations" and "Pattern-based Subscriptions". A prefix is
one of characters, not of components; an empty component of a wildcard pattern stands for any one.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping
from operator import neg
from typing import Any, Generic, TypeVar

from msgspec.msgpack import Ext

T = TypeVar("T")

#: JavaScript's "undefined", as msgpackr has it: what wampy.js sends where no `match` is given.
_UNDEFINED = Ext(0, b"\0")


def match_in(options: Mapping[str, Any]) -> Any:
    """Give how the URI of a request is to match: what Options say, unchecked.

    Exact, where they do not say. What is null counts as left out: some clients send it so.
    """
    match = options.get("match", "exact")
    return "exact" if match is None or match == _UNDEFINED else match


class PatternTable(Generic[T]):
    """One item for each pattern; an exact URI is found by one lookup."""

    def __init__(self) -> None:
        self.exact: dict[str, T] = {}
        self._prefix: dict[str, T] = {}
        self._wildcard: dict[str, T] = {}
        #: Lengths of the prefixes, the longest first.
        self._lengths: list[int] = []
        #: How many prefixes have that length.
        self._of_length: Counter[int] = Counter()
        #: Split wildcard patterns by their number of components, the one that decides first.
        self._split: dict[int, list[tuple[list[str], T]]] = {}

    def get(self, uri: str, match: str) -> T | None:
        """Give the item of just this pattern."""
        return self._of(match).get(uri)

    def add(self, uri: str, match: str, item: T) -> None:
        """Put an item under a pattern that has none."""
        self._of(match)[uri] = item
        if match == "prefix":
            length = len(uri)
            if length not in self._of_length:
                insort(self._lengths, length, key=neg)
            self._of_length[length] += 1
        elif match == "wildcard":
            parts = uri.split(".")
            insort(self._split.setdefault(len(parts), []), (parts, item), key=_order)

    def remove(self, uri: str, match: str) -> None:
        """Forget a pattern that is there."""
        del self._of(match)[uri]
        if match == "prefix":
            length = len(uri)
            self._of_length[length] -= 1
            if not self._of_length[length]:
                del self._of_length[length]
                self._lengths.remove(length)
        elif match == "wildcard":
            parts = uri.split(".")
            patterns = self._split[len(parts)]
            del patterns[next(i for i, one in enumerate(patterns) if one[0] == parts)]
            if not patterns:
                del self._split[len(parts)]

    def best(self, uri: str) -> T | None:
        """Give the item that decides: exact, then the longest prefix, then wildcard."""
        found = self.exact.get(uri)
        if found is None and (self._lengths or self._split):
            found = next(self._patterns(uri), None)
        return found

    def all(self, uri: str) -> list[T]:
        """Give the items of every pattern that matches."""
        found = self.exact.get(uri)
        items = [] if found is None else [found]
        if self._lengths or self._split:
            items += self._patterns(uri)
        return items

    def __iter__(self) -> Iterator[T]:
        """Go through all items."""
        yield from self.exact.values()
        yield from self._prefix.values()
        yield from self._wildcard.values()

    def __len__(self) -> int:
        """Count the patterns."""
        return len(self.exact) + len(self._prefix) + len(self._wildcard)

    def _of(self, match: str) -> dict[str, T]:
        return {"exact": self.exact, "prefix": self._prefix, "wildcard": self._wildcard}[match]

    def _patterns(self, uri: str) -> Iterator[T]:
        size = len(uri)
        for length in self._lengths:
            if length <= size:
                found = self._prefix.get(uri[:length])
                if found is not None:
                    yield found
        if self._split:
            parts = uri.split(".")
            for pattern, item in self._split.get(len(parts), ()):
                if all(not one or one == part for one, part in zip(pattern, parts, strict=True)):
                    yield item


def _order(entry: tuple[list[str], object]) -> list[bool]:
    """Sort wildcard patterns: the one whose first wildcard comes later decides."""
    return [not part for part in entry[0]]
