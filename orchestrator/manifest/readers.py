"""What a key may hold: one small reader a kind of value, and tables made of them.

A reader gives the typed value of a Node, or raises ``Unexpected`` with what it would have taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.manifest.faults import suggestion
from orchestrator.manifest.nodes import BROKEN, Node, Reading, scalar
from orchestrator.manifest.quantities import A_DURATION, A_SIZE, parse_duration_s, parse_size_bytes

Reader = Callable[[Node, Reading], Any]


class Unexpected(Exception):
    """The value is not what its key takes; the argument says what would be."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    Attributes:
        read: how its value is read.
        default: its typed value where it is left out.
        is_secret: no message may show its value.
    """

    read: Reader
    default: Any = None
    is_secret: bool = False


Keys = Mapping[str, Key]


def read_table(node: Node, keys: Keys, reading: Reading) -> dict[str, Any]:
    """Read a table by its keys, noting every fault; a faulty or missing key has its default."""
    values = {name: key.default for name, key in keys.items()}
    if not isinstance(node.value, dict):
        if node.value is not BROKEN:
            reading.wrong(node, "a table")
        return values
    for name, child in node.value.items():
        key = keys.get(name)
        if key is None:
            near = suggestion(name, keys)
            known = "" if near else f"; known here: {', '.join(keys)}"
            reading.fault(child.path, f"unknown key{near}{known}")
        elif child.value is not BROKEN:
            _read_key(child, key, reading, values, name)
    return values


def _read_key(node: Node, key: Key, reading: Reading, values: dict[str, Any], name: str) -> None:
    try:
        value = key.read(node, reading)
    except Unexpected as unexpected:
        reading.wrong(node, str(unexpected), secret=key.is_secret)
        return
    values[name] = value


def _number_of(node: Node) -> Any:
    return scalar(node.value) if node.is_whole_reference else node.value


def boolean(node: Node, _: Reading) -> bool:
    """Read true or false."""
    value = _number_of(node)
    if isinstance(value, bool):
        return value
    raise Unexpected("true or false")


def integer(least: int, most: int | None = None) -> Reader:
    """Make the reader of an integer in a range, both ends included."""
    words = f"an integer of {least} or more" if most is None else f"an integer {least} to {most}"

    def read(node: Node, _: Reading) -> int:
        value = _number_of(node)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if is_integer and least <= value and (most is None or value <= most):
            return int(value)
        raise Unexpected(words)

    return read


def number(least: float, most: float | None = None) -> Reader:
    """Make the reader of a number in a range, both ends included."""
    words = f"a number of {least:g} or more" if most is None else f"a number {least:g} to {most:g}"

    def read(node: Node, _: Reading) -> float:
        value = _number_of(node)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and least <= value <= (1e300 if most is None else most):
            return float(value)
        raise Unexpected(words)

    return read


def duration(*, zero: bool = True) -> Reader:
    """Make the reader of a duration, in seconds."""

    def read(node: Node, _: Reading) -> float:
        try:
            seconds = parse_duration_s(node.value, bare=node.is_whole_reference)
        except ValueError:
            raise Unexpected(A_DURATION) from None
        if seconds == 0 and not zero:
            raise Unexpected(f"{A_DURATION}, above 0")
        return seconds

    return read


def size(node: Node, _: Reading) -> int:
    """Read a size of at least one byte."""
    try:
        result = parse_size_bytes(node.value, bare=node.is_whole_reference)
    except ValueError:
        raise Unexpected(A_SIZE) from None
    if result < 1:
        raise Unexpected(f"{A_SIZE}, above 0")
    return result


def text(node: Node, _: Reading) -> str:
    """Read a string that is not empty."""
    if isinstance(node.value, str) and node.value:
        return node.value
    raise Unexpected("a string")


def matching(pattern: str, expected: str) -> Reader:
    """Make the reader of a string of which all matches ``pattern``."""
    compiled = re.compile(pattern)

    def read(node: Node, _: Reading) -> str:
        if isinstance(node.value, str) and compiled.fullmatch(node.value):
            return node.value
        raise Unexpected(expected)

    return read


def choice(*options: str) -> Reader:
    """Make the reader of one of a few words."""
    first = ", ".join(f'"{option}"' for option in options[:-1])

    def read(node: Node, _: Reading) -> str:
        if node.value in options and isinstance(node.value, str):
            return node.value
        raise Unexpected(" or ".join(part for part in (first, f'"{options[-1]}"') if part))

    return read


def or_off(reader: Reader) -> Reader:
    """Make a reader that also takes ``"off"``, which is None."""

    def read(node: Node, reading: Reading) -> Any:
        if node.value == "off":
            return None
        try:
            return reader(node, reading)
        except Unexpected as unexpected:
            raise Unexpected(f'{unexpected} or "off"') from None

    return read


def many(reader: Reader, expected: str, *, least: int = 0) -> Reader:
    """Make the reader of a list whose every member ``reader`` takes; gives a tuple."""

    def read(node: Node, reading: Reading) -> tuple[Any, ...]:
        if not isinstance(node.value, list) or len(node.value) < least:
            raise Unexpected(expected)
        values = []
        for child in node.value:
            if child.value is BROKEN:
                continue
            try:
                values.append(reader(child, reading))
            except Unexpected as unexpected:
                reading.wrong(child, str(unexpected))
        return tuple(values)

    return read


def table_of(reader: Reader, expected: str = "a table", *, is_secret: bool = False) -> Reader:
    """Make the reader of a table with names of the user's own, all read by ``reader``."""

    def read(node: Node, reading: Reading) -> dict[str, Any]:
        if not isinstance(node.value, dict):
            raise Unexpected(expected)
        values = {}
        for name, child in node.value.items():
            if child.value is BROKEN:
                continue
            try:
                values[name] = reader(child, reading)
            except Unexpected as unexpected:
                reading.wrong(child, str(unexpected), secret=is_secret)
        return values

    return read


def table(keys: Keys, make: Callable[[dict[str, Any]], Any] = dict) -> Reader:
    """Make the reader of a table with known keys, which ``make`` turns into a value."""

    def read(node: Node, reading: Reading) -> Any:
        if not isinstance(node.value, dict):
            raise Unexpected("a table")
        return make(read_table(node, keys, reading))

    return read


def free_table(node: Node, _: Reading) -> dict[str, Any]:
    """Read a table that is the user's own affair."""
    if not isinstance(node.value, dict):
        raise Unexpected("a table")
    plain: dict[str, Any] = node.plain()
    return plain


def octal(node: Node, _: Reading) -> int:
    """Read a file mode mask, ``0o022`` or ``"022"``."""
    value = node.value
    if isinstance(value, str) and re.fullmatch(r"(0o)?[0-7]{1,4}", value):
        value = int(value.removeprefix("0o"), 8)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o777:
        return value
    raise Unexpected('a mask such as 0o022 or "022"')
