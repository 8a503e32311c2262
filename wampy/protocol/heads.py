"""The head of a message that was too long to take: enough to know whom it concerns."""

from __future__ import annotations

import re

#: A list's first three numbers, as far as they are there.
_JSON_HEAD = re.compile(rb"\s*\[\s*(\d{1,16})\s*,(?:\s*(\d{1,16})\s*,(?:\s*(\d{1,16})\s*,)?)?")


def leading_integers(serializer: str, head: bytes) -> tuple[int, ...]:
    """Give the integers that a message begins with, three at most: its code, and what it answers.

    Args:
        serializer: ``json``, ``msgpack`` or ``cbor``.
        head: the first bytes of a message.

    Returns:
        as many as there are; empty for what is no message.
    """
    if serializer == "json":
        found = _JSON_HEAD.match(head)
        return tuple(int(one) for one in found.groups() if one) if found else ()
    if serializer == "msgpack":
        return _msgpack_integers(head)
    return _cbor_integers(head)


def _msgpack_integers(head: bytes) -> tuple[int, ...]:
    import msgpack

    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(head)
    numbers: list[int] = []
    try:
        for _ in range(min(unpacker.read_array_header(), 3)):
            number = unpacker.unpack()
            if type(number) is not int:
                break
            numbers.append(number)
    except Exception:  # of another library, for whatever a stranger sent; or there is no more
        pass
    return tuple(numbers)


def _cbor_integers(head: bytes) -> tuple[int, ...]:
    """Read an array's head and unsigned integers: RFC 8949, 3."""
    numbers: list[int] = []
    position = 0
    while position < len(head) and len(numbers) < 4:
        major, low = head[position] >> 5, head[position] & 0x1F
        position += 1
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
        if major != (0 if numbers else 4) or (low > 27 and numbers) or position + width > len(head):
            break
        numbers.append(int.from_bytes(head[position : position + width], "big") if width else low)
        position += width
    return tuple(numbers[1:])
