"""Messages to bytes and back: JSON and MessagePack.

Rules:

- any bytes give a message or a RemoteProtocolError, never another exception;
- what cannot be put on the wire gives a SerializationError that names its type and its place;
- JSON has no binary: a string that begins with NUL is Base64 of bytes, both ways.
  Spec: Basic Profile, "Serializations", "Binary conversion of JSON Strings". A text that itself
  begins with NUL is therefore refused in JSON: it would arrive as bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

import msgspec

from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import Message, parse_message

#: How deep lists and dictionaries may be nested; deeper ones end Python's own stack.
MAX_DEPTH = 200


class Serializer(Protocol):
    """One way to put messages on the wire; thread-safe."""

    @property
    def name(self) -> str:
        """``json`` or ``msgpack``."""
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
    """JSON, by the standard library: it alone lets bytes be spelt as WAMP wants them."""

    name = "json"
    is_binary = False
    websocket_subprotocol = "wamp.2.json"
    rawsocket_id = 1

    def __init__(self) -> None:
        self._encoder = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_default
        )
        self._decoder = json.JSONDecoder(parse_constant=_no_constant)

    def encode(self, message: Message) -> bytes:
        """See ``Serializer.encode``."""
        fields = message.construct()
        try:
            text = self._encoder.encode(fields)
            if "\\u0000" in text:
                _refuse_nul(fields)
            return text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            _explain(message, error)

    def decode(self, received: bytes) -> Message:
        """See ``Serializer.decode``."""
        try:
            text = received.decode("utf-8")
            fields = self._decoder.decode(text)
            if "\\u0000" in text:
                fields = _to_bytes(fields)
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
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_no_such_type)
        self._decoder = msgspec.msgpack.Decoder(ext_hook=_no_extension)

    def encode(self, message: Message) -> bytes:
        """See ``Serializer.encode``."""
        try:
            return self._encoder.encode(message.construct())
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            _explain(message, error)

    def decode(self, received: bytes) -> Message:
        """See ``Serializer.decode``."""
        try:
            fields = self._decoder.decode(received)
        except RecursionError as error:
            raise RemoteProtocolError("MessagePack is nested too deeply") from error
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            # TypeError: a map with a key that Python cannot hash.
            raise RemoteProtocolError(f"not MessagePack: {error}") from error
        return parse_message(fields)


def _json_default(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\0" + base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__qualname__} cannot be put on the wire")


def _no_such_type(value: Any) -> NoReturn:
    raise TypeError(f"a {type(value).__qualname__} cannot be put on the wire")


def _no_extension(code: int, content: memoryview) -> NoReturn:
    raise ValueError(f"extension type {code} means nothing in WAMP")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _to_bytes(value: Any) -> Any:
    """Turn every string that begins with NUL into the bytes that it stands for."""
    if isinstance(value, str):
        if not value.startswith("\0"):
            return value
        try:
            return base64.b64decode(value[1:], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("a string that begins with NUL is not Base64") from error
    if isinstance(value, list):
        return [_to_bytes(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_bytes(item) for key, item in value.items()}
    return value


def _refuse_nul(value: Any) -> None:
    """Refuse texts that begin with NUL: the other side would take them for bytes."""
    if isinstance(value, str) and value.startswith("\0"):
        raise ValueError("a text that begins with NUL means bytes in JSON")
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_nul(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            _refuse_nul(item)


def _explain(message: Message, error: Exception) -> NoReturn:
    """Say which value of a message it was, and where it stands."""
    for what in ("args", "kwargs", "options", "details", "extra"):
        found = _culprit(getattr(message, what, None), what, 0)
        if found is not None:
            raise SerializationError(f"{message.name}: {found}") from error
    raise SerializationError(f"{message.name}: {error}") from error


def _culprit(value: Any, place: str, depth: int) -> str | None:
    """Find the first value that no serializer takes."""
    if depth > MAX_DEPTH:
        return f"{place[:40]}… is nested too deeply, or contains itself"
    if value is None or isinstance(value, (bool, bytes, bytearray, memoryview)):
        return None
    if isinstance(value, str):
        if value.startswith("\0"):
            return f"{place} is a text that begins with NUL, which means bytes in JSON"
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{place} is a text with a lone surrogate"
        return None
    if isinstance(value, int):
        in_range = -(1 << 63) <= value < (1 << 64)
        return None if in_range else f"{place} is an integer beyond 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{place} is {value}, which JSON does not know"
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{place} has a key that is a {type(key).__qualname__}, not a string"
            found = _culprit(item, f"{place}[{key!r}]", depth + 1)
            if found is not None:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _culprit(item, f"{place}[{index}]", depth + 1)
            if found is not None:
                return found
        return None
    return f"{place} is a {type(value).__qualname__}, which cannot be put on the wire"


JSON: Serializer = JsonSerializer()
MSGPACK: Serializer = MsgpackSerializer()
#: By name, the best first: that is what a WebSocket client offers.
SERIALIZERS: dict[str, Serializer] = {"msgpack": MSGPACK, "json": JSON}
