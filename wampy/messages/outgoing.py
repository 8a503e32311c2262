"""Checked elements of a message that is to be sent: what ``construct()`` puts into its list.

A Router ends the whole Session for one element of the wrong type, and some for a URI with white
space: so a program's mistake is refused here, where every message passes on its way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wampy.errors import SerializationError, kind_of
from wampy.ids import MAX_ID
from wampy.uris import uri_fault


def _wrong(what: str, value: object, expected: str) -> SerializationError:
    """Name the type, never the value: it may be a secret."""
    return SerializationError(f"{what} is {kind_of(value)}; expected {expected}")


def identifier(what: str, value: Any, least: int = 1) -> int:
    """Give an ID; ``least`` is 0 where revocation uses that.

    Raises:
        SerializationError: it is no integer, or out of the range of IDs.
    """
    if type(value) is not int:
        raise _wrong(what, value, "an ID")
    if not least <= value <= MAX_ID:
        raise SerializationError(f"{what} is out of the range of IDs")
    return value


def request_id(what: str, value: Any) -> int | None:
    """Give the ID of a request; None where it is given only when the message is sent.

    Raises:
        SerializationError: it is neither None nor an ID.
    """
    if type(value) is int and 0 < value <= MAX_ID:
        return value
    return None if value is None else identifier(what, value)


def code(what: str, value: Any) -> int:
    """Give the code of a message.

    Raises:
        SerializationError: it is no integer.
    """
    if type(value) is not int:
        raise _wrong(what, value, "the code of a message")
    return value


def text(what: str, value: Any) -> str:
    """Give a text.

    Raises:
        SerializationError: it is none.
    """
    if not isinstance(value, str):
        raise _wrong(what, value, "a text")
    return value


def uri(what: str, value: Any, match: str = "exact") -> str:
    """Give a URI, or a pattern where ``match`` is ``prefix`` or ``wildcard``.

    Raises:
        SerializationError: it is none by the loose rule, or ``match`` is none of the three.
    """
    if not isinstance(value, str):
        raise _wrong(what, value, "a URI")
    fault = uri_fault(value, match)
    if fault is not None:
        raise SerializationError(f"{what}: {fault}")
    return value


def dictionary(what: str, value: Any) -> Mapping[str, Any]:
    """Give Options, Details or Extra; an empty dictionary for None.

    Raises:
        SerializationError: it is no mapping.
    """
    if type(value) is dict or isinstance(value, Mapping):
        return value
    if value is None:
        return {}
    raise _wrong(what, value, "a dictionary")


def match_in(what: str, options: Any) -> str:
    """Give how the pattern of a SUBSCRIBE or REGISTER matches: ``exact`` if Options do not say.

    Raises:
        SerializationError: Options is no mapping, or what it says is no text.
    """
    return text(f"{what}['match']", dictionary(what, options).get("match", "exact"))
