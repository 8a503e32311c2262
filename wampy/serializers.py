"""Messages to bytes and back: JSON, MessagePack, and CBOR where its library is installed.

Rules:

- any bytes give a message or a RemoteProtocolError, never another exception;
- WAMP has strings, integers, booleans, floats, null, bytes, lists and dictionaries with strings as
  keys. Each serializer sends these and nothing else, or it would depend on what the Router takes
  whether a program works; some Routers end the Session for a key that is an integer. Anything else
  is a SerializationError that names its type and its place;
- three values do not fit each of them: JSON has no NaN and no infinity, and MessagePack no integers
  beyond 64 bits; the third is a text that begins with NUL, which JSON has for bytes, as Base64.
  Spec: Basic Profile, "Serializations", "Binary conversion of JSON Strings";
- what a Router passes on from others is taken as far as it makes sense, since a refusal costs the
  whole message: NaN in JSON; MessagePack's timestamps (``datetime``) and its other extension types
  (``msgspec.msgpack.Ext``); CBOR's dates (``datetime``) and other tags (``cbor2.CBORTag``), its
  "undefined" as None and JavaScript's arrays of octets as bytes. No tag builds anything else: some
  make values that contain themselves;
- for the same reason a JSON text that begins with NUL and is no Base64 is a text: as bytes it means
  nothing, and whoever sent it in MessagePack, where it is a text like any other, meant that;
- lists and dictionaries are nested MAX_DEPTH deep at most, both ways;
- what another thread changes while it is encoded may go out half changed;
- msgspec makes the message straight from the bytes. What it does not take goes the long way, which
  says what is wrong, or takes it after all.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Protocol

import msgspec

from wampy.errors import RemoteProtocolError, SerializationError, kind_of
from wampy.messages import (
    LAST_DICTIONARY,
    WIRE_TYPE,
    Call,
    Message,
    Publish,
    Yield,
    parse_message,
)

#: How deep lists and dictionaries may be nested, the message's own list not counted: ``repr`` and
#: whatever else walks through them would end Python's stack at about 1,000.
MAX_DEPTH = 200

#: What most values are; exactly these, for a subclass may be anything.
_SCALARS: frozenset[type] = frozenset((str, int, float, bool, type(None), bytes))
_CONTAINERS = frozenset((dict, list, tuple))
#: A list longer than this is first looked at in C.
_LONG = 16
_are_scalars = _SCALARS.issuperset
#: Those of them that JSON has as anybody has them.
_ALIKE: frozenset[type] = frozenset((str, int, bool, type(None)))
_are_alike = _ALIKE.issuperset
_last_dictionary = LAST_DICTIONARY.get
#: The messages that go out all the time.
_FREQUENT = frozenset((Call, Publish, Yield))

#: The tag with which JavaScript sends an Uint8Array: what follows are octets as they are.
#: Spec: RFC 8746, 2.1.
_OCTETS = 64
#: The tags of CBOR that cbor2 would follow, but for dates (0, 1) and large integers (2, 3):
#: fractions, addresses, regular expressions, sets, values that are shared or refer to themselves.
_TAGS_NOT_FOLLOWED = (
    4,
    5,
    25,
    28,
    29,
    30,
    35,
    36,
    37,
    52,
    54,
    100,
    256,
    258,
    260,
    261,
    1004,
    43000,
)
_UNDEFINED = b"\xf7"

#: What a decoder may raise; a map's key that cannot be hashed gives a TypeError.
_DECODE_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError)
_ENCODE_ERRORS = (TypeError, ValueError, OverflowError, BufferError, RecursionError)


class Serializer(Protocol):
    """One way to put messages on the wire; thread-safe."""

    @property
    def name(self) -> str:
        """``json``, ``msgpack`` or ``cbor``."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether WebSocket carries it in binary messages."""
        ...

    @property
    def websocket_subprotocol(self) -> str:
        """The WebSocket subprotocol, such as ``wamp.2.json``."""
        ...

    @property
    def rawsocket_id(self) -> int:
        """The number of the serializer in the RawSocket handshake."""
        ...

    def encode(self, message: Message) -> bytes:
        """Give the bytes of a message; SerializationError where a value has none."""
        ...

    def decode(self, received: bytes) -> Message:
        """Give the message; RemoteProtocolError for whatever is none."""
        ...


class JsonSerializer:
    """JSON, by msgspec; by the standard library what WAMP has in another way, or not at all.

    Those are bytes, and floats, among which are NaN and infinity.
    """

    name = "json"
    is_binary = False
    websocket_subprotocol = "wamp.2.json"
    rawsocket_id = 1

    def __init__(self) -> None:
        self._encoder = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_default
        )
        self._fast_encoder = msgspec.json.Encoder(enc_hook=_plain)
        self._fast_decoder: Any = msgspec.json.Decoder(WIRE_TYPE)
        self._decoder = json.JSONDecoder()

    def encode(self, message: Message) -> bytes:
        """See ``Serializer.encode``."""
        fields = message.construct()
        is_as_anywhere = _is_simple(message, _are_alike) or _is_plain(fields, 0, _ALIKE)
        if not is_as_anywhere and not _is_plain(fields, 0):
            _refuse_culprit(message, self.name)
        try:
            if is_as_anywhere:
                octets = self._fast_encoder.encode(fields)
            else:
                octets = self._encoder.encode(fields).encode()
            if _has_nul(octets):
                _refuse_culprit(message, self.name)
            return octets
        except _ENCODE_ERRORS as error:
            _refuse_culprit(message, self.name, error)
            raise SerializationError(f"{message.name}: {error}") from error

    def decode(self, received: bytes) -> Message:
        """See ``Serializer.decode``."""
        if not _has_nul(received):
            try:
                message: Message = self._fast_decoder.decode(received)
                if _is_sound(message, len(received)):
                    return message
            except (*_DECODE_ERRORS, RecursionError):
                # The long way says why, or takes it after all.
                pass
        try:
            text = received.decode("utf-8")
            fields = self._decoder.decode(text)
            _check_depth(fields)
            if "\\u" in text:
                fields = _unescaped(fields)
        except UnicodeDecodeError as error:
            raise RemoteProtocolError(f"not UTF-8: {error.reason}") from error
        except RecursionError as error:
            raise RemoteProtocolError("JSON is nested too deeply") from error
        except ValueError as error:
            raise RemoteProtocolError(f"not JSON: {error}") from error
        return parse_message(fields)


class MsgpackSerializer:
    """MessagePack, by msgspec."""

    name = "msgpack"
    is_binary = True
    websocket_subprotocol = "wamp.2.msgpack"
    rawsocket_id = 2

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
        self._fast_decoder: Any = msgspec.msgpack.Decoder(WIRE_TYPE)
        self._decoder = msgspec.msgpack.Decoder()

    def encode(self, message: Message) -> bytes:
        """See ``Serializer.encode``."""
        fields = message.construct()
        if not _is_simple(message) and not _is_plain(fields, 0):
            _refuse_culprit(message, self.name)
        try:
            return self._encoder.encode(fields)
        except _ENCODE_ERRORS as error:
            _refuse_culprit(message, self.name, error)
            raise SerializationError(f"{message.name}: {error}") from error

    def decode(self, received: bytes) -> Message:
        """See ``Serializer.decode``."""
        try:
            message: Message = self._fast_decoder.decode(received)
            if _is_sound(message, len(received)):
                return message
        except (*_DECODE_ERRORS, RecursionError):
            # The long way says why, or takes it after all.
            pass
        try:
            fields = self._decoder.decode(received)
            _check_depth(fields)
        except RecursionError as error:
            raise RemoteProtocolError("MessagePack is nested too deeply") from error
        except _DECODE_ERRORS as error:
            raise RemoteProtocolError(f"not MessagePack: {error}") from error
        return parse_message(fields)


class CborSerializer:
    """CBOR, by cbor2; that is imported when the first message is encoded or decoded.

    Spec: Advanced Profile, "Serializations", "CBOR".
    """

    name = "cbor"
    is_binary = True
    websocket_subprotocol = "wamp.2.cbor"
    rawsocket_id = 3

    def encode(self, message: Message) -> bytes:
        """See ``Serializer.encode``."""
        fields = message.construct()
        if not _is_simple(message) and not _is_plain(fields, 0):
            _refuse_culprit(message, self.name)
        try:
            return self.dumps(fields)
        except (*_ENCODE_ERRORS, self.library.CBOREncodeError) as error:
            _refuse_culprit(message, self.name, error)
            raise SerializationError(f"{message.name}: {error}") from error

    def decode(self, received: bytes) -> Message:
        """See ``Serializer.decode``."""
        (fields,) = self.items(received, 1)
        return parse_message(fields)

    # A Router needs the two by themselves, to pass payloads on.

    def dumps(self, value: Any) -> bytes:
        """Give the bytes of one value; TypeError, ValueError, or an error of cbor2's."""
        octets: bytes = self.library.dumps(value, default=_cbor_default, encoders=self._encoders)
        return octets

    def items(
        self, received: bytes, count: int, offset: int = 0, *, text_keys: bool = False
    ) -> list[Any]:
        """Give the ``count`` values of which ``received`` consists, from ``offset`` on.

        With ``text_keys``, keys that are neither texts nor bytes are refused, not hashed.

        Raises:
            RemoteProtocolError: it is no CBOR, too deep, or anything is left over.
        """
        items = self.items_ending(received, count, offset, text_keys=text_keys)
        return [value for value, _ in items]

    def items_ending(
        self, received: bytes, count: int, offset: int = 0, *, text_keys: bool = False
    ) -> list[tuple[Any, int]]:
        """Give the same, each value with the offset at which its bytes end."""
        source = io.BytesIO(received)
        source.seek(offset)
        found = []
        try:
            # One level more than may be, so that it is refused in the words of all serializers.
            decoder = self.library.CBORDecoder(
                source,
                semantic_decoders=self._tags,
                max_depth=MAX_DEPTH + 2,
                strict_hashable_types=text_keys,
            )
            for _ in range(count):
                value = decoder.decode()
                _check_depth([value] if offset else value)
                if _UNDEFINED in received:
                    value = self._defined(value)
                found.append((value, source.tell()))
        except (*_DECODE_ERRORS, RecursionError, self.library.CBORDecodeError) as error:
            raise RemoteProtocolError(f"not CBOR: {error}") from error
        if source.tell() != len(received):
            raise RemoteProtocolError("not CBOR: something follows the message")
        return found

    @cached_property
    def library(self) -> Any:
        """``cbor2``."""
        import cbor2

        return cbor2

    @cached_property
    def _tags(self) -> dict[int, Callable[[Any, bool], Any]]:
        def left_as_it_is(tag: int) -> Callable[[Any, bool], Any]:
            return lambda value, _: self.library.CBORTag(tag, value)

        def octets(value: Any, _: bool) -> Any:
            return value if type(value) is bytes else self.library.CBORTag(_OCTETS, value)

        return {_OCTETS: octets, **{tag: left_as_it_is(tag) for tag in _TAGS_NOT_FOLLOWED}}

    @cached_property
    def _encoders(self) -> dict[type, Callable[[Any, Any], None]]:
        # It would become the list of its octets.
        return {memoryview: lambda encoder, value: encoder.encode(bytes(value))}

    def _defined(self, value: Any) -> Any:
        """Replace JavaScript's "undefined", which nobody else knows."""
        if value is self.library.undefined:
            return None
        if type(value) is list:
            return [self._defined(item) for item in value]
        if type(value) is dict:
            return {key: self._defined(item) for key, item in value.items()}
        return value


def _cbor_default(encoder: Any, value: Any) -> None:
    encoder.encode(_plain(value))


def _plain(value: Any) -> Any:
    """Give the plain value that a subclass of it, or any mapping, stands for."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytes):
        return b"".join((value,))
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{kind_of(value)} cannot be put on the wire")


def _json_default(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\0" + base64.b64encode(value).decode()
    return _plain(value)


# ---------------------------------------------------------------------- what came


def _is_sound(message: Message, size: int) -> bool:
    """Whether a message that msgspec made keeps the rules that msgspec does not know."""
    last = _last_dictionary(type(message))
    if last is not None and getattr(message, last) is None:
        return False
    # Each level takes a byte at least.
    return size <= MAX_DEPTH or is_shallow(
        [getattr(message, name) for name in message.__struct_fields__]
    )


def _check_depth(fields: Any) -> None:
    if not is_shallow([fields] if type(fields) is dict else fields):
        raise RemoteProtocolError(f"lists and dictionaries are nested more than {MAX_DEPTH} deep")


def is_shallow(level: Any) -> bool:
    """Whether nothing in a message's list is nested too deeply; level by level, without recursion.

    Keys are looked at as well: MessagePack may have lists there.
    """
    if type(level) is not list:
        return True
    level = [item for item in level if type(item) in _CONTAINERS]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            for item in ((*value, *value.values()) if type(value) is dict else value)
            if type(item) in _CONTAINERS
        ]
        if not level:
            return True
    return not any(level)


def _unescaped(value: Any) -> Any:
    r"""Mind what ``\u`` can spell: bytes after NUL, and texts that are none."""
    if isinstance(value, str):
        if value.startswith("\0"):
            try:
                return base64.b64decode(value[1:], validate=True)
            except (binascii.Error, ValueError):
                pass  # nobody's bytes, so a text
        _refuse_surrogates(value)
        return value
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            _refuse_surrogates(key)
        return {key: _unescaped(item) for key, item in value.items()}
    return value


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a lone surrogate is no character") from error


# ---------------------------------------------------------------------- what is to be sent


def _has_nul(octets: bytes) -> bool:
    """Whether there may be a NUL in the texts of a JSON text."""
    # The backslash first: a single octet is found ten times as fast as six.
    return b"\\" in octets and b"\\u0000" in octets


def _is_simple(message: Any, are_scalars: Callable[[Any], bool] = _are_scalars) -> bool:
    """Whether a message is a frequent one, without options, all of whose arguments are scalars."""
    return (
        type(message) in _FREQUENT
        and not message.options
        and not message.kwargs
        and are_scalars(map(type, message.args or ()))
    )


def _is_plain(value: Any, depth: int, scalars: frozenset[type] = _SCALARS) -> bool:
    """Whether a list or dictionary holds nothing that needs a second look."""
    if depth > MAX_DEPTH:
        return False
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    if len(value) > _LONG and scalars.issuperset(map(type, value)):
        return True
    for item in value:
        kind = type(item)
        if kind not in scalars and (
            kind not in _CONTAINERS or (item and not _is_plain(item, depth + 1, scalars))
        ):
            return False
    return True


def _refuse_culprit(message: Message, serializer: str, cause: Exception | None = None) -> None:
    """Raise a SerializationError for the first value that cannot be sent, if there is one."""
    for what in message.__struct_fields__:
        found = _culprit(getattr(message, what), what, 0, serializer)
        if found is not None:
            raise SerializationError(f"{message.name}: {found}") from cause


def _culprit(value: Any, place: str, depth: int, serializer: str) -> str | None:
    """Say what is wrong with the first value that cannot be sent, and where it stands."""
    if isinstance(value, Mapping):
        items = list(value.items())
        for key, _ in items:
            if not isinstance(key, str):
                return f"{place} has a key that is {kind_of(key)}, not a string"
            # Keys are texts in each of them, whatever they begin with.
            found = _scalar_culprit(key, f"a key of {place}", "")
            if found is not None:
                return found
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return _scalar_culprit(value, place, serializer)
    if depth >= MAX_DEPTH and items:
        return f"{place[:40]}… is nested more than {MAX_DEPTH} deep, or contains itself"
    for key, item in items:
        found = _culprit(item, f"{place}[{key!r:.40}]", depth + 1, serializer)
        if found is not None:
            return found
    return None


def _scalar_culprit(value: Any, place: str, serializer: str) -> str | None:
    if isinstance(value, str):
        if serializer == "json" and value.startswith("\0"):
            return f"{place} is a text that begins with NUL, which means bytes in JSON"
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{place} is a text with a lone surrogate"
    elif isinstance(value, int):
        if serializer == "msgpack" and not -(1 << 63) <= value < (1 << 64):
            return f"{place} is an integer beyond 64 bits"
    elif isinstance(value, float):
        if serializer == "json" and not math.isfinite(value):
            return f"{place} is {value}, which JSON does not know"
    elif isinstance(value, memoryview):
        if not value.c_contiguous:
            return f"{place} is a memoryview that is not contiguous"
    elif value is not None and not isinstance(value, (bytes, bytearray)):
        return f"{place} is {kind_of(value)}, which cannot be put on the wire"
    return None


JSON: Serializer = JsonSerializer()
MSGPACK: Serializer = MsgpackSerializer()
CBOR = CborSerializer()
#: By name, the best first: that is what a client offers. CBOR is there if cbor2 is installed.
SERIALIZERS: dict[str, Serializer] = {"msgpack": MSGPACK, "json": JSON}
if find_spec("cbor2") is not None:
    SERIALIZERS[CBOR.name] = CBOR
