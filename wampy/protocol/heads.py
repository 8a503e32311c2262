"""The head of a message that cannot be taken: enough to know whom it concerns.

What a Router passes on from others is their work, not the Router's: Arguments, ArgumentsKw, and
what Details say of them. The head is the Router's own: the code, the ids, and that Details come
next. Where that is sound, a fault is told to whom the message concerns; where it is not, the
protocol is broken.
"""

from __future__ import annotations

import re
import struct

from wampy.ids import is_id
from wampy.messages import Error, Event, Invocation, Message, Result

#: So many bytes are enough: three integers take 27 in binary, 54 in JSON.
HEAD_BYTES = 64
#: A list's first two or three numbers, and whether a dictionary follows.
_JSON_HEAD = re.compile(
    rb"\s*\[\s*(\d{1,16})\s*,\s*(\d{1,16})\s*,(?:\s*(\d{1,16})\s*,)?\s*(\{)?", re.ASCII
)
#: MessagePack's numbers that take more than one byte; large ones come as floats from some.
_MSGPACK_NUMBERS = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CBOR_NUMBERS = {0x18: ">B", 0x19: ">H", 0x1A: ">I", 0x1B: ">Q", 0xFA: ">f", 0xFB: ">d"}


def addressee(serializer: str, head: bytes) -> Message | None:
    """Give a RESULT, ERROR, INVOCATION or EVENT with the ids of a message, and nothing else.

    Args:
        serializer: ``json``, ``msgpack`` or ``cbor``.
        head: the first HEAD_BYTES of a message, or all of it.

    Returns:
        None where it is no such message, an id is none, or no dictionary follows the ids.
    """
    read = {"json": _read_json, "msgpack": _read_msgpack, "cbor": _read_cbor}[serializer]
    code, *ids = read(head) or (0,)
    if not ids or not all(map(is_id, ids)):
        return None
    match code, *ids:
        case Result.WAMP_CODE, request_id:
            return Result(request_id=request_id)
        case Error.WAMP_CODE, request_type, request_id:
            return Error(request_type=request_type, request_id=request_id, error="")
        case Invocation.WAMP_CODE, request_id, registration_id:
            return Invocation(request_id=request_id, registration_id=registration_id)
        case Event.WAMP_CODE, subscription_id, publication_id:
            return Event(subscription_id=subscription_id, publication_id=publication_id)
    return None


def _read_json(head: bytes) -> list[int] | None:
    """Give a list's numbers up to a dictionary; None where there is not that."""
    found = _JSON_HEAD.match(head)
    if found is None or found[4] is None:
        return None
    return [int(number) for number in found.groups()[:3] if number]


def _read_msgpack(head: bytes) -> list[int] | None:
    first = head[:1]
    if b"\x90" <= first <= b"\x9f":
        at = 1
    elif first in (b"\xdc", b"\xdd"):
        at = 3 if first == b"\xdc" else 5
    else:
        return None
    numbers: list[int] = []
    while at < len(head):
        octet = head[at]
        if 0x80 <= octet <= 0x8F or octet in (0xDE, 0xDF):
            return numbers
        at = _take(head, at, octet if octet < 0x80 else None, _MSGPACK_NUMBERS, numbers)
    return None


def _read_cbor(head: bytes) -> list[int] | None:
    """The same of CBOR: RFC 8949, 3."""
    if not head or head[0] >> 5 != 4:
        return None
    at = 1 + {24: 1, 25: 2, 26: 4, 27: 8}.get(head[0] & 0x1F, 0)
    numbers: list[int] = []
    while at < len(head):
        octet = head[at]
        if octet >> 5 == 5:
            return numbers
        at = _take(head, at, octet if octet < 0x18 else None, _CBOR_NUMBERS, numbers)
    return None


def _take(
    head: bytes, at: int, small: int | None, formats: dict[int, str], numbers: list[int]
) -> int:
    """Add the number that begins at ``at``; give where it ends, or the end where there is none."""
    if len(numbers) == 3:
        return len(head)
    if small is not None:
        numbers.append(small)
        return at + 1
    form = formats.get(head[at])
    if form is None:
        return len(head)
    end = at + 1 + struct.calcsize(form)
    if end > len(head):
        return len(head)
    (value,) = struct.unpack(form, head[at + 1 : end])
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        return len(head)
    numbers.append(int(value))
    return end
