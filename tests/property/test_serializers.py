"""Serializers: messages come back, any bytes give a message or a RemoteProtocolError."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.property.wamp import anything, messages
from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import MESSAGES, Message, Yield, parse_message
from wampy.serializers import CBOR, JSON, MAX_DEPTH, MSGPACK, Serializer

each = pytest.mark.parametrize("serializer", [JSON, MSGPACK, CBOR], ids=lambda it: it.name)
#: Lists that look like messages, and often are none.
frames = st.builds(
    lambda code, elements: [code, *elements],
    st.sampled_from(list(MESSAGES)),
    st.lists(anything(), max_size=7),
)


def outcome(decode: Any, received: Any) -> Message | None:
    """Give the message; None for a RemoteProtocolError. Anything else is a failure."""
    try:
        message = decode(received)
    except RemoteProtocolError:
        return None
    assert isinstance(message, Message)
    return message


@each
@given(message=messages())
def test_round_trip(serializer: Serializer, message):
    assert serializer.decode(serializer.encode(message)) == message


@each
@given(received=st.binary(max_size=60))
@example(received=b"")
def test_any_bytes(serializer: Serializer, received):
    outcome(serializer.decode, received)


@given(frames)
def test_any_msgpack(fields):
    """The short way, by msgspec, and the long way take and refuse the same."""
    try:
        received = msgspec.msgpack.encode(fields)
    except (TypeError, ValueError, OverflowError):
        return
    decoded = msgspec.msgpack.decode(received)
    assert repr(outcome(MSGPACK.decode, received)) == repr(outcome(parse_message, decoded))


@given(frames)
def test_any_cbor(fields):
    try:
        received = cbor2.dumps(fields)
    except (TypeError, ValueError, cbor2.CBOREncodeError):
        return
    outcome(CBOR.decode, received)


@given(frames)
def test_any_json(fields):
    try:
        text = json.dumps(fields)
    except (TypeError, ValueError):
        return
    message = outcome(JSON.decode, text.encode())
    if "\\u" not in text:
        assert repr(message) == repr(outcome(parse_message, json.loads(text)))


@each
@given(message=messages(), data=st.data())
def test_bytes_changed_on_their_way(serializer: Serializer, message, data):
    received = bytearray(serializer.encode(message))
    index = data.draw(st.integers(0, len(received) - 1))
    received[index] = data.draw(st.integers(0, 255))
    outcome(serializer.decode, bytes(received))
    outcome(serializer.decode, bytes(received[:index]))


@each
@given(value=anything())
def test_any_value_is_sent_or_refused(serializer: Serializer, value):
    message = Yield(request_id=1, args=(value,))
    try:
        encoded = serializer.encode(message)
    except SerializationError:
        return
    assert serializer.decode(encoded).construct()[1] == 1


@each
@given(depth=st.integers(1, 2 * MAX_DEPTH), as_dictionary=st.booleans())
def test_what_is_sent_is_taken(serializer: Serializer, depth, as_dictionary):
    """Both sides have the same limit to nesting."""
    value: Any = "innermost"
    for _ in range(depth):
        value = {"k": value} if as_dictionary else [value]
    message = Yield(request_id=1, options={}, args=(value,))
    if depth < MAX_DEPTH:
        assert serializer.decode(serializer.encode(message)) == message
        return
    with pytest.raises(SerializationError):
        serializer.encode(message)
    unchecked = [70, 1, {}, [value]]
    encode: Any = {
        "json": msgspec.json.encode,
        "msgpack": msgspec.msgpack.encode,
        "cbor": cbor2.dumps,
    }[serializer.name]
    with pytest.raises(RemoteProtocolError):
        serializer.decode(encode(unchecked))
