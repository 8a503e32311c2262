"""Serializers: messages come back, any bytes give a message or a RemoteProtocolError."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.property.wamp import anything, ids, messages
from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import MESSAGES, Message, Result, Yield, parse_message
from wampy.protocol.heads import addressee
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
    with pytest.raises(RemoteProtocolError):
        serializer.decode(encode_any(serializer, unchecked))


@each
@given(request_id=ids, rest=st.binary(max_size=40))
def test_what_is_refused_behind_a_sound_head_has_an_addressee(
    serializer: Serializer, request_id, rest
):
    """A payload that cannot be taken does not hide whom the message concerns."""
    head = encode_any(serializer, [50, request_id, {}])
    received = head[:-1] + b"," + rest if serializer is JSON else head + rest
    if outcome(serializer.decode, received) is None:
        assert addressee(serializer.name, received) == Result(request_id=request_id)


@each
@given(received=st.one_of(st.binary(max_size=60), frames))
def test_whom_a_message_concerns_is_in_it(serializer: Serializer, received):
    """What is taken and what is passed over are of the same code, and have the same ids."""
    if not isinstance(received, bytes):
        try:
            received = encode_any(serializer, received)
        except (TypeError, ValueError, OverflowError, cbor2.CBOREncodeError):
            return
    head, message = addressee(serializer.name, received), outcome(serializer.decode, received)
    if head is None or message is None:
        return
    assert type(head) is type(message)
    for name in head.__struct_fields__:
        if name.endswith("_id"):
            assert getattr(head, name) == getattr(message, name)


def encode_any(serializer: Serializer, value: Any) -> bytes:
    """Give the bytes of what may be no message."""
    encode: Any = {
        "json": msgspec.json.encode,
        "msgpack": msgspec.msgpack.encode,
        "cbor": cbor2.dumps,
    }[serializer.name]
    encoded: bytes = encode(value)
    return encoded
