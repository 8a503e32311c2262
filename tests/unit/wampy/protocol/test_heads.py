"""What can be told of a message by its first bytes."""

from __future__ import annotations

import pytest

from wampy.messages import Error, Event, Invocation, Result
from wampy.protocol.heads import leading_integers
from wampy.serializers import SERIALIZERS

MESSAGES = [
    (Result(request_id=7, details={}, args=["x" * 100]), (50, 7)),
    (Result(request_id=2**53, details={}, args=["x" * 100]), (50, 2**53)),
    (Error(request_type=48, request_id=70_000, details={}, error="a.b"), (8, 48, 70_000)),
    (Invocation(request_id=300, registration_id=2**40, details={}, args=[]), (68, 300, 2**40)),
    (Event(subscription_id=1, publication_id=24, details={}), (36, 1, 24)),
]  # fmt: skip


@pytest.mark.parametrize("name", SERIALIZERS)
@pytest.mark.parametrize(("message", "numbers"), MESSAGES)
def test_the_numbers_are_read(name: str, message: object, numbers: tuple[int, ...]) -> None:
    head = SERIALIZERS[name].encode(message)[:64]  # type: ignore[arg-type]
    assert leading_integers(name, head)[: len(numbers)] == numbers


@pytest.mark.parametrize("name", SERIALIZERS)
@pytest.mark.parametrize(
    "head", [b"", b"\x00", b"\xff" * 64, b"{}", b"[", b"[50", b'["50", 7, ', b"\x93", b"\x9b\xff"]
)
def test_what_is_no_message_has_none(name: str, head: bytes) -> None:
    numbers = leading_integers(name, head)
    assert all(type(number) is int for number in numbers)
    assert len(numbers) <= 3
