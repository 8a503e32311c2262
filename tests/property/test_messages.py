"""Messages: what is made comes back as it was, and no list whatever breaks the parser."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from tests.property.wamp import anything, messages
from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import MESSAGES, Message, Unregistered, Unsubscribed, parse_message


def as_received(value: Any) -> Any:
    """Give lists for tuples, as serializers decode them."""
    if isinstance(value, (list, tuple)):
        return [as_received(item) for item in value]
    if isinstance(value, dict):
        return {key: as_received(item) for key, item in value.items()}
    return value


@given(messages())
def test_round_trip(message):
    fields = message.construct()
    assert fields[0] == message.WAMP_CODE
    assert parse_message(as_received(fields)) == message


@given(st.one_of(anything(), st.lists(anything())))
def test_any_value(value):
    check(value)


@example(35, [0, {}])
@example(67, [0, {}])
@given(st.sampled_from(list(MESSAGES)), st.lists(anything(), max_size=7))
def test_any_list_with_a_code(code, elements):
    check([code, *as_received(elements)])


@given(messages(), st.data())
def test_a_message_with_one_element_changed(message, data):
    fields = as_received(message.construct())
    assert isinstance(fields, list)
    index = data.draw(st.integers(0, len(fields) - 1))
    fields[index] = as_received(data.draw(anything()))
    check(fields)


def check(value: object) -> None:
    """A message, or a RemoteProtocolError; and a message can be sent again, if its URIs are ones.

    What comes from others may have a text there that is none: that is for its user to judge.
    """
    try:
        message = parse_message(value)
    except RemoteProtocolError:
        return
    assert isinstance(message, Message)
    try:
        fields = message.construct()
    except SerializationError as error:
        refusal = str(error)
    else:
        if isinstance(message, (Unsubscribed, Unregistered)) and not message.details:
            # Empty Details are left out when sent, and nothing is what comes back then.
            message = msgspec.structs.replace(message, details=None)
        assert parse_message(as_received(fields)) == message or message != message
        return
    assert "is not a URI" in refusal or "match" in refusal
