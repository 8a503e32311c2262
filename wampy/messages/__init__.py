"""All WAMP messages of the Basic Profile, CANCEL and INTERRUPT, and those of authentication.

One class a message, each in a module of its own: ``wampy.messages.call.Call``.
"""

from __future__ import annotations

from typing import Any, Union

from wampy.errors import RemoteProtocolError, kind_of
from wampy.messages.abort import Abort
from wampy.messages.authenticate import Authenticate
from wampy.messages.base import Message, Parser
from wampy.messages.call import Call
from wampy.messages.cancel import Cancel
from wampy.messages.challenge import Challenge
from wampy.messages.error import Error
from wampy.messages.event import Event
from wampy.messages.goodbye import Goodbye
from wampy.messages.hello import Hello
from wampy.messages.interrupt import Interrupt
from wampy.messages.invocation import Invocation
from wampy.messages.publish import Publish
from wampy.messages.published import Published
from wampy.messages.register import Register
from wampy.messages.registered import Registered
from wampy.messages.result import Result
from wampy.messages.subscribe import Subscribe
from wampy.messages.subscribed import Subscribed
from wampy.messages.unregister import Unregister
from wampy.messages.unregistered import Unregistered
from wampy.messages.unsubscribe import Unsubscribe
from wampy.messages.unsubscribed import Unsubscribed
from wampy.messages.welcome import Welcome
from wampy.messages.yield_ import Yield

#: Every class by the number that its list begins with.
MESSAGES: dict[int, type[Message]] = {
    message.WAMP_CODE: message
    for message in (
        Hello,
        Welcome,
        Abort,
        Challenge,
        Authenticate,
        Goodbye,
        Error,
        Publish,
        Published,
        Subscribe,
        Subscribed,
        Unsubscribe,
        Unsubscribed,
        Event,
        Call,
        Cancel,
        Result,
        Register,
        Registered,
        Unregister,
        Unregistered,
        Invocation,
        Interrupt,
        Yield,
    )
}

#: What msgspec decodes bytes to: the message with the code that the list begins with.
WIRE_TYPE: Any = Union[tuple(MESSAGES.values())]  # noqa: UP007 - there is no other way to build it

#: The dictionary that no other required element follows. msgspec knows it by its default, which is
#: for programs, and so takes a list without it: whoever decodes to WIRE_TYPE has to look.
LAST_DICTIONARY: dict[type[Message], str] = {
    Hello: "details",
    Welcome: "details",
    Challenge: "extra",
    Authenticate: "extra",
    Event: "details",
    Cancel: "options",
    Result: "details",
    Invocation: "details",
    Interrupt: "options",
    Yield: "options",
}

_PARSERS: dict[int, Parser] = {code: message.parse for code, message in MESSAGES.items()}


def parse_message(fields: Any) -> Message:
    """Make the message from whatever a serializer decoded.

    Raises:
        RemoteProtocolError: it is no list, its code is unknown, or an element is wrong.
    """
    if type(fields) is not list or not fields:
        raise RemoteProtocolError("a message is a list that begins with its code")
    code = fields[0]
    parser = _PARSERS.get(code) if type(code) is int else None
    if parser is None:
        # Not its repr where it is no small integer: that could be endless, or raise.
        shown = code if type(code) is int and 0 <= code < 1 << 64 else kind_of(code)
        raise RemoteProtocolError(f"{shown} is not the code of a message")
    return parser(fields)


__all__ = [
    "LAST_DICTIONARY",
    "MESSAGES",
    "WIRE_TYPE",
    "Abort",
    "Authenticate",
    "Call",
    "Cancel",
    "Challenge",
    "Error",
    "Event",
    "Goodbye",
    "Hello",
    "Interrupt",
    "Invocation",
    "Message",
    "Publish",
    "Published",
    "Register",
    "Registered",
    "Result",
    "Subscribe",
    "Subscribed",
    "Unregister",
    "Unregistered",
    "Unsubscribe",
    "Unsubscribed",
    "Welcome",
    "Yield",
    "parse_message",
]
