"""What can be told of a message by its first bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampy.ids import MAX_ID
from wampy.messages import Call, Error, Event, Goodbye, Invocation, Message, Result
from wampy.protocol.heads import HEAD_BYTES, addressee
from wampy.serializers import SERIALIZERS

by_name = pytest.mark.parametrize("name", SERIALIZERS)
ids = st.integers(1, MAX_ID)
heads = st.one_of(
    st.builds(Result, request_id=ids),
    st.builds(Error, request_type=st.just(48), request_id=ids, error=st.just("")),
    st.builds(Invocation, request_id=ids, registration_id=ids),
    st.builds(Event, subscription_id=ids, publication_id=ids),
)


def encoded(name: str, fields: list[Any]) -> bytes:
    if name == "json":
        return json.dumps(fields).encode()
    return msgspec.msgpack.encode(fields) if name == "msgpack" else cbor2.dumps(fields)


def ids_of(message: Message) -> list[Any]:
    return [
        getattr(message, one)
        for one in message.__struct_fields__
        if one.startswith("request") or one.endswith("_id")
    ]


@by_name
@given(head=heads, size=st.sampled_from([0, 1, 20, 300, 70_000]))
def test_the_ids_are_read(name: str, head: Message, size: int) -> None:
    details = {str(number): None for number in range(min(size, 300))}
    fields = [head.WAMP_CODE, *ids_of(head), details, ["x" * size] * 20]
    assert addressee(name, encoded(name, fields)[:HEAD_BYTES]) == head


@by_name
@pytest.mark.parametrize(
    "fields",
    [
        [],
        [50],
        [50, 7],
        [50, 7, 8, {}],
        [50, 7, []],
        [50, 0, {}],
        [50, 2**53 + 1, {}],
        [50, -1, {}],
        [50, 1.5, {}],
        [50, "7", {}],
        [68, 7, {}],
        [68, 7, 0, {}],
        [36, 7, 8, 9, {}],
        [8, 48, 7, "x"],
        [99, 7, {}],
        {"50": 7},
        "text",
        Goodbye(details={}, reason="a.b").construct(),
        Call(request_id=7, options={}, procedure="a.b").construct(),
    ],
)
def test_what_has_no_sound_head(name: str, fields: Any) -> None:
    assert addressee(name, encoded(name, fields)) is None


@by_name
@given(head=st.binary(max_size=HEAD_BYTES))
def test_any_bytes_have_a_head_or_none(name: str, head: bytes) -> None:
    addressee(name, head)


@by_name
@given(head=heads, cut=st.integers(0, 27))
def test_cut_anywhere(name: str, head: Message, cut: int) -> None:
    fields = [head.WAMP_CODE, *ids_of(head), {}]
    assert addressee(name, encoded(name, fields)[:cut]) in (None, head)


@pytest.mark.parametrize("name", ["msgpack", "cbor"])
@pytest.mark.parametrize("value", [7.0, 1e15, float("nan"), float("inf"), 7.5])
def test_large_ids_come_as_floats_from_some(name: str, value: float) -> None:
    head = addressee(name, encoded(name, [50, value, {}]))
    assert head == (Result(request_id=int(value)) if value in (7.0, 1e15) else None)


def test_lists_that_are_spelt_at_length() -> None:
    assert addressee("msgpack", b"\xdc\x00\x03\x32\x07\x80") == Result(request_id=7)
    assert addressee("msgpack", b"\xdd\0\0\0\x03\x32\xd3" + struct.pack(">q", 7) + b"\xdf") == (
        Result(request_id=7)
    )
    assert addressee("cbor", b"\x9f\x18\x32\x07\xbf\xff") == Result(request_id=7)
    assert addressee("json", b" [ 50 ,\n7 , {") == Result(request_id=7)
