"""What all messages share: construction by keyword, the wire list, checked parsing.

Rules:

- a message is a value: frozen, compared by its fields, named and spelt as in the spec;
- ``construct()`` gives the list that goes on the wire, without trailing empty Arguments and
  ArgumentsKw. What a Router would end the Session for is refused there, see ``outgoing.py``;
- parsing turns any list into a message or a RemoteProtocolError, never another exception. Unknown
  keys in Options and Details, and surplus elements at the end, are ignored, as the spec asks;
- the annotations say for msgspec what an element may be on the wire, and for type checkers what a
  program may give: serializers let msgspec make messages straight from bytes, and ``parse`` says
  what is wrong where it cannot. Both take and refuse the same, a property test holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import msgspec

from wampy.errors import RemoteProtocolError, SerializationError, kind_of
from wampy.ids import MAX_ID

if TYPE_CHECKING:
    Id = int
    RequestId = int | None
    RevocableId = int
    Details = Mapping[str, Any] | None
    Arguments = Sequence[Any] | None
    ArgumentsKw = Mapping[str, Any] | None
else:
    #: An ID that the message always has.
    Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
    #: The same; a program leaves it out, since it is given at send.
    RequestId = Id
    #: The same, or 0 for a revocation.
    RevocableId = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
    #: Options, Details, Extra; None is an empty dictionary.
    Details = dict[str, Any]
    Arguments = tuple[Any, ...]
    ArgumentsKw = dict[str, Any]


#: The default of ArgumentsKw; msgspec makes an empty dictionary for each message.
NO_KWARGS: dict[str, Any] = {}


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One WAMP message; subclasses name its fields in the order of the wire."""

    #: The number that the list on the wire begins with.
    WAMP_CODE: ClassVar[int] = 0
    #: The name in the spec, such as ``CALL``.
    name: ClassVar[str] = ""

    def construct(self) -> list[Any]:
        """Give the list that goes on the wire; a request id not given yet is None in it.

        Raises:
            SerializationError: an element is of the wrong type, an ID out of its range, or a URI
                none by the loose rule.
        """
        raise NotImplementedError

    def serialize(self) -> str:
        """Give the message as JSON text, as ``construct()`` spells it.

        Raises:
            SerializationError: an argument is of a type that JSON does not know.
        """
        from wampy.serializers import JSON

        return JSON.encode(self).decode()

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """Make the message from the list that came on the wire, its code included.

        Raises:
            RemoteProtocolError: an element is missing or of the wrong type.
        """
        raise NotImplementedError


def payload(
    head: list[Any], args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> list[Any]:
    """Add Arguments and ArgumentsKw to a wire list, as far as they are not empty.

    Raises:
        SerializationError: Arguments is no list or tuple, or ArgumentsKw no mapping.
    """
    # The type first: what else there is may have no truth value, as an array of numpy has none.
    if not isinstance(args, (list, tuple, type(None))):
        raise SerializationError(f"Arguments is {kind_of(args)}; expected a list")
    if type(kwargs) is not dict and kwargs is not None and not isinstance(kwargs, Mapping):
        raise SerializationError(f"ArgumentsKw is {kind_of(kwargs)}; expected a dict")
    if kwargs:
        head.append(args or [])
        head.append(kwargs)
    elif args:
        head.append(args)
    return head


class Fields:
    """Checked access to the elements of a received list."""

    __slots__ = ("_fields", "_name")

    def __init__(self, name: str, fields: Sequence[Any], least: int) -> None:
        if len(fields) < least:
            raise RemoteProtocolError(
                f"{name} has {len(fields)} elements; expected {least} at least"
            )
        self._name = name
        self._fields = fields

    def _wrong(self, index: int, what: str, expected: str) -> RemoteProtocolError:
        found = type(self._fields[index]).__name__
        return RemoteProtocolError(f"{self._name}.{what} is a {found}; expected {expected}")

    def identifier(self, index: int, what: str, *, least: int = 1) -> int:
        """Give an ID; ``least`` is 0 where revocation uses that.

        A float without a fraction is taken: so some MessagePack libraries send large integers.
        """
        value = self._fields[index]
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise self._wrong(index, what, "an ID")
        if not least <= value <= MAX_ID:
            raise RemoteProtocolError(f"{self._name}.{what} is out of the range of IDs")
        return value

    def code(self, index: int, what: str) -> int:
        """Give a message code."""
        value = self._fields[index]
        if type(value) is not int:
            raise self._wrong(index, what, "a message code")
        return value

    def uri(self, index: int, what: str) -> str:
        """Give a URI; what it looks like is for whoever uses it to judge."""
        value = self._fields[index]
        if type(value) is not str:
            raise self._wrong(index, what, "a URI")
        return value

    text = uri

    def mapping(self, index: int, what: str) -> dict[str, Any]:
        """Give a dictionary whose keys are strings."""
        value = self._fields[index]
        if type(value) is not dict:
            raise self._wrong(index, what, "a dictionary")
        if not all(type(key) is str for key in value):
            raise RemoteProtocolError(f"{self._name}.{what} has a key that is no string")
        return value

    def args(self, index: int) -> tuple[Any, ...]:
        """Give Arguments; empty when left out."""
        if len(self._fields) <= index:
            return ()
        value = self._fields[index]
        # Some peers send null for an empty list.
        if value is None:
            return ()
        if type(value) is not list:
            raise self._wrong(index, "Arguments", "a list")
        return tuple(value)

    def kwargs(self, index: int) -> Mapping[str, Any]:
        """Give ArgumentsKw; empty when left out."""
        if len(self._fields) <= index or self._fields[index] is None:
            return {}
        return self.mapping(index, "ArgumentsKw")


Parser = Callable[[Sequence[Any]], Message]
