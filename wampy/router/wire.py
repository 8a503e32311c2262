"""Messages to bytes and back, as a Router sees them: payloads stay undecoded.

Rules:

- Arguments and ArgumentsKw of what the Router only passes on are ``msgspec.Raw``: the bytes of
  their serializer, checked once, when they come (characters, nesting, keys), since whoever gets
  them ends its Session over a fault in them;
- between equal serializers these bytes are passed on; between different ones they are decoded and
  encoded, WAMP's binary strings of JSON included;
- which serializer they are of is seen by their first octet: a list or dictionary of JSON and one of
  MessagePack never begin alike. Those of CBOR, which may begin like MessagePack's, are ``CborRaw``;
- what msgspec does not take goes the long way of ``wampy.serializers``, which says what is wrong;
- keys that are no texts are refused before a dictionary is made of them: there are as many lists
  and large integers of one hash as anyone likes, and each added is compared with all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Union

import msgpack
import msgspec

from wampy.errors import RemoteProtocolError
from wampy.ids import MAX_ID
from wampy.messages import MESSAGES, Error, Event, Invocation, Message, Result, parse_message
from wampy.serializers import CBOR, JSON, MAX_DEPTH, MSGPACK, Serializer, is_shallow

RAW = msgspec.Raw
_NONE = msgspec.Raw(b"")
#: How JSON text begins to spell bytes.
NUL = b"\\u0000"
_FIRST_OF_MSGPACK = 0x80
#: The first octet of a list in CBOR, plus how many elements it has: so many can be said there.
_FIRST_OF_CBOR = 0x80
_MOST_ELEMENTS = 23
_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
#: A payload shorter than this cannot be nested too deeply: each level takes an octet at least.
_SHORT_BYTES = MAX_DEPTH
#: A message no longer than this may have keys of any kind at first: too few to take long.
_FEW_KEYS_BYTES = 4096
#: Whether there is no list or dictionary among types; without a loop in Python.
_is_flat = frozenset((dict, list, tuple)).isdisjoint
_TEXT = frozenset((str,))
_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


class CborRaw(bytes):
    """Arguments or ArgumentsKw in CBOR; empty: none."""

    __slots__ = ()


class Relayed(msgspec.Struct, frozen=True, array_like=True):
    """A message whose payload is passed on; its fields are those of the message of that name."""

    WAMP_CODE: ClassVar[int] = 0
    name: ClassVar[str] = ""


class RelayedCall(Relayed, frozen=True, array_like=True, tag=48):
    """CALL, see ``wampy.messages.Call``."""

    WAMP_CODE: ClassVar[int] = 48
    name: ClassVar[str] = "CALL"

    request_id: _Id
    options: dict[str, Any]
    procedure: str
    args: msgspec.Raw = _NONE
    kwargs: msgspec.Raw = _NONE


class RelayedPublish(Relayed, frozen=True, array_like=True, tag=16):
    """PUBLISH, see ``wampy.messages.Publish``."""

    WAMP_CODE: ClassVar[int] = 16
    name: ClassVar[str] = "PUBLISH"

    request_id: _Id
    options: dict[str, Any]
    topic: str
    args: msgspec.Raw = _NONE
    kwargs: msgspec.Raw = _NONE


class RelayedYield(Relayed, frozen=True, array_like=True, tag=70):
    """YIELD, see ``wampy.messages.Yield``."""

    WAMP_CODE: ClassVar[int] = 70
    name: ClassVar[str] = "YIELD"

    request_id: _Id
    options: dict[str, Any]
    args: msgspec.Raw = _NONE
    kwargs: msgspec.Raw = _NONE


class RelayedError(Relayed, frozen=True, array_like=True, tag=8):
    """ERROR, see ``wampy.messages.Error``."""

    WAMP_CODE: ClassVar[int] = 8
    name: ClassVar[str] = "ERROR"

    request_type: int
    request_id: _Id
    details: dict[str, Any]
    error: str
    args: msgspec.Raw = _NONE
    kwargs: msgspec.Raw = _NONE


_RELAYED: dict[int, type[Relayed]] = {
    cls.WAMP_CODE: cls for cls in (RelayedCall, RelayedPublish, RelayedYield, RelayedError)
}
_WIRE_TYPE: Any = Union[  # noqa: UP007 - there is no other way to build it
    tuple(_RELAYED.get(code, cls) for code, cls in MESSAGES.items())
]


class Wire:
    """One serializer, as the Router uses it; not thread-safe.

    Args:
        serializer: the client's, for everything that is not passed on.
    """

    def __init__(self, serializer: Serializer) -> None:
        self.name = serializer.name
        self.is_binary = serializer.is_binary
        self._serializer = serializer
        codec = msgspec.json if serializer is JSON else msgspec.msgpack
        self._decode: Any = codec.Decoder(_WIRE_TYPE).decode
        self._decode_args: Any = codec.Decoder(list[Any] | None).decode
        self._decode_kwargs: Any = codec.Decoder(dict[str, Any] | None).decode
        self._encode = codec.Encoder().encode
        self._is_json = serializer is JSON
        self._last: tuple[Any, bytes] = (None, b"")

    # ------------------------------------------------------------------ in

    def decode(self, received: bytes) -> Any:
        """Give the message: one of the four above, or one of ``wampy.messages``.

        Raises:
            RemoteProtocolError: it is none.
        """
        # The backslash first: a single octet is found ten times as fast as six.
        if self._is_json and b"\\" in received and NUL in received:
            return self._serializer.decode(received)  # bytes in JSON, or what only looks like them
        if not self._is_json and len(received) > _FEW_KEYS_BYTES:
            _refuse_keys_of_msgpack(received)
        try:
            message = self._decode(received)
            if isinstance(message, Relayed):
                if self._is_sound(message):
                    return message
            elif len(received) <= _SHORT_BYTES:
                # It may lack its last dictionary: the long way knows.
                return self._serializer.decode(received)
        except _ERRORS:
            # The long way says why, or takes it after all.
            pass
        return self._serializer.decode(received)

    def _is_sound(self, message: Any) -> bool:
        """Whether the payload is one that every client can take. Raises msgspec's errors."""
        is_json = self._is_json
        if not is_json:
            options = message.details if message.WAMP_CODE == 8 else message.options
            if options and not _is_flat(map(type, options.values())):
                _check_keys([options])
        args, kwargs = message.args, message.kwargs
        if not len(args):
            return True
        decoded = self._decode_args(args)
        if decoded and not _is_flat(map(type, decoded)):
            if len(args) > _SHORT_BYTES and not is_shallow(decoded):
                return False
            if not is_json:
                _check_keys(decoded)
        if len(kwargs):
            decoded = self._decode_kwargs(kwargs)
            if decoded and not _is_flat(map(type, decoded.values())):
                if len(kwargs) > _SHORT_BYTES and not is_shallow([decoded]):
                    return False
                if not is_json:
                    _check_keys([decoded])
        return True

    # ------------------------------------------------------------------ out

    def encode(self, message: Any) -> bytes:
        """Give the bytes of a message.

        The same object twice in a row, as an EVENT to many, is encoded once.

        Raises:
            SerializationError: a payload of another serializer has a value that this one lacks.
        """
        last, encoded = self._last
        if last is not message:
            encoded = self._encode_anew(message)
            self._last = (message, encoded)
        return encoded

    def _encode_anew(self, message: Any) -> bytes:
        head = _HEADS.get(type(message))
        if head is None:
            return self._serializer.encode(message)
        args, kwargs = message.args, message.kwargs
        if type(args) is not RAW:
            if type(args) is CborRaw:
                return self._encode_unpacked(message)
            return self._serializer.encode(message)
        if len(args) and (memoryview(args)[0] < _FIRST_OF_MSGPACK) != self._is_json:
            return self._encode_unpacked(message)
        fields = head(message)
        if len(args):
            fields.append(args)
            if len(kwargs):
                fields.append(kwargs)
        try:
            octets: bytes = self._encode(fields)
        except _ERRORS:
            # Something passed on in Details, such as an integer of 80 bits: the long way says what.
            return self._encode_unpacked(message)
        return octets

    def _encode_unpacked(self, message: Any) -> bytes:
        args, kwargs = unpacked(message.args, message.kwargs)
        return self._serializer.encode(msgspec.structs.replace(message, args=args, kwargs=kwargs))


class CborWire(Wire):
    """The same for CBOR, which msgspec does not know: cbor2 takes messages apart item by item."""

    def __init__(self) -> None:
        super().__init__(CBOR)

    def decode(self, received: bytes) -> Any:
        """See ``Wire.decode``."""
        count = received[0] - _FIRST_OF_CBOR if received else 0
        if not 0 < count <= _MOST_ELEMENTS:
            # No list, or one that is spelt at length.
            return parse_message(CBOR.items(received, 1, text_keys=True)[0])
        items = CBOR.items_ending(received, count, offset=1, text_keys=True)
        message: Any = parse_message([value for value, _ in items])
        relayed = _RELAYED.get(message.WAMP_CODE)
        if relayed is None:
            return message
        _check_keys([value for value, _ in items])
        *names, _, _ = relayed.__struct_fields__
        at = len(names) + 1
        if count <= at or items[at][0] is None:
            return message
        ends = [end for _, end in items]
        args = CborRaw(received[ends[at - 1] : ends[at]])
        kwargs = CborRaw(received[ends[at] : ends[at + 1]] if count > at + 1 else b"")
        return relayed(*[getattr(message, name) for name in names], args, kwargs)

    def _encode_anew(self, message: Any) -> bytes:
        head = _HEADS.get(type(message))
        if head is None:
            return self._serializer.encode(message)
        args, kwargs = message.args, message.kwargs
        if type(args) is not CborRaw:
            if type(args) is RAW:
                return self._encode_unpacked(message)
            return self._serializer.encode(message)
        fields = head(message)
        try:
            octets = CBOR.dumps(fields)
        except (*_ERRORS, CBOR.library.CBOREncodeError):
            return self._encode_unpacked(message)
        count = len(fields) + 1 + bool(kwargs)
        return b"".join((bytes((_FIRST_OF_CBOR + count,)), octets[1:], args, kwargs or b""))


def wire_of(serializer: Serializer) -> Wire:
    """Give the wire of a serializer."""
    return CborWire() if serializer is CBOR else Wire(serializer)


def _refuse_keys_of_msgpack(received: bytes) -> None:
    """Refuse a dictionary, however deep, with a key that is neither text nor bytes.

    The hashes of these two nobody outside can choose.
    """
    try:
        msgpack.unpackb(received, strict_map_key=True)
    except (msgpack.UnpackException, ValueError, TypeError, OverflowError) as error:
        raise RemoteProtocolError(f"not MessagePack with strings as keys: {error}") from error


def _check_keys(level: list[Any]) -> None:
    """Refuse a dictionary, however deep, with a key that is no text: JSON has no others."""
    while level:
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                if not _TEXT.issuperset(map(type, value)):
                    raise RemoteProtocolError("a dictionary has a key that is no string")
                value = value.values()
            elif kind is not list and kind is not tuple:
                continue
            if not _is_flat(map(type, value)):
                below += value
        level = below


def unpacked(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Decode a payload, whatever it is of; one that is decoded is given as it is."""
    if type(args) is CborRaw:
        (args,) = CBOR.items(args, 1)
        (kwargs,) = CBOR.items(kwargs, 1) if kwargs else ({},)
    if type(args) is not RAW:
        return tuple(args or ()), kwargs or {}
    if not len(args):
        return (), {}
    octets, more = bytes(args), bytes(kwargs)
    # As the payload of a YIELD, so that the rules of the serializers hold.
    if octets[0] < _FIRST_OF_MSGPACK:
        message: Any = JSON.decode(b"[70,1,{}," + octets + (b"," + more if more else b"") + b"]")
    else:
        head = b"\x95\x46\x01\x80" if more else b"\x94\x46\x01\x80"
        message = MSGPACK.decode(head + octets + more)
    return message.args, message.kwargs


def _result(message: Any) -> list[Any]:
    return [50, message.request_id, message.details or {}]


def _invocation(message: Any) -> list[Any]:
    return [68, message.request_id, message.registration_id, message.details or {}]


def _event(message: Any) -> list[Any]:
    return [36, message.subscription_id, message.publication_id, message.details or {}]


def _error(message: Any) -> list[Any]:
    return [8, message.request_type, message.request_id, message.details or {}, message.error]


_HEADS: dict[type[Message], Callable[[Any], list[Any]]] = {
    Result: _result,
    Invocation: _invocation,
    Event: _event,
    Error: _error,
}
