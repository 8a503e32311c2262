"""Payload passthru: a payload that the sender packs, and the Router passes on unread.

With ``ppt_scheme`` in the options of a call, a publication or a result, its arguments travel as
one: packed by ``ppt_serializer``, a table of ``args`` and ``kwargs``. Rules:

- ``native`` (the default), ``json``, ``msgpack`` and ``cbor`` are packed and unpacked here;
- what is packed holds the same values as any other payload, and with ``json`` no bytes, NaN or
  infinity: the libraries would pack something else in their place, without a word;
- what a program encrypts (``ppt_cipher``), or packs by a serializer of its own (``x_…``), it gives
  and gets as one argument of bytes, untouched;
- what comes packed and cannot be unpacked is the sender's mistake: it ends no Session.

Spec: Advanced Profile, "Payload Passthru Mode".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from wampy.errors import LocalProtocolError, RemoteProtocolError, SerializationError
from wampy.serializers import _culprit, _is_plain

Arguments = tuple[Sequence[Any] | None, Mapping[str, Any] | None]
_PREFIX = "ppt_"


def is_packed(options: Mapping[str, Any] | None) -> bool:
    """Whether Options or Details speak of a packed payload."""
    return bool(options) and any(key.startswith(_PREFIX) for key in options or ())


def pack(
    what: str,
    options: Mapping[str, Any],
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> Arguments:
    """Give the arguments that travel for those a program gives.

    Args:
        what: whose Options they are, for the error, such as ``CALL.Options``.
        options: with ``ppt_`` in them.
        args: by position.
        kwargs: by name.

    Raises:
        LocalProtocolError: the options do not go together, or the serializer is not known.
        SerializationError: it cannot pack the arguments; names the place.
    """
    scheme, name = options.get("ppt_scheme"), options.get("ppt_serializer", "native")
    if not scheme:
        raise LocalProtocolError(f"{what} has ppt_ options without ppt_scheme")
    if options.get("ppt_cipher") or name.startswith("x_"):
        if kwargs or len(args or ()) != 1 or not isinstance((args or ("",))[0], bytes):
            raise LocalProtocolError(
                f"{what}: with ppt_cipher, or a serializer of your own, give one argument: "
                "the packed payload, as bytes"
            )
        return args, None
    packer = _codec(name)
    if packer is None:
        raise LocalProtocolError(
            f"{what}.ppt_serializer is {name!r}; expected native, json, msgpack, cbor, or x_… for "
            "your own"
        )
    payload: dict[str, Any] = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
    if name != "native":
        for place, value in payload.items():
            found = _unpackable(value, place, name)
            if found is not None:
                raise SerializationError(f"{what}: {name} cannot pack the arguments: {found}")
    try:
        return [packer[0](payload)], None
    except Exception as error:  # of three libraries, for whatever a program gave
        raise SerializationError(f"{what}: {name} cannot pack the arguments: {error}") from error


def unpack(
    details: Mapping[str, Any], args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> Arguments:
    """Give the arguments in those that came; as they are, where only the program can unpack them.

    Raises:
        RemoteProtocolError: they are not what the details say.
    """
    name = details.get("ppt_serializer", "native")
    codec = _codec(name) if isinstance(name, str) and not details.get("ppt_cipher") else None
    if codec is None:
        return args, kwargs
    try:
        (packed,) = args or ()
        payload = codec[1](packed)
        found = payload.get("args") or (), payload.get("kwargs") or {}
        if not isinstance(found[0], list | tuple) or not isinstance(found[1], dict):
            raise TypeError("args is no list, or kwargs no table")
    except Exception as error:  # of three libraries, for whatever a stranger sent
        text = f"a payload packed by {name} cannot be unpacked: {error}"
        raise RemoteProtocolError(text) from error
    return found


def _codec(name: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]] | None:
    """Give what packs and what unpacks; None for a serializer that is not known here."""
    match name:
        case "native":
            return _as_it_is, _as_it_is
        case "json":
            return msgspec.json.encode, msgspec.json.decode
        case "msgpack":
            return msgspec.msgpack.encode, msgspec.msgpack.decode
        case "cbor":
            try:
                import cbor2
            except ImportError:
                return None
            return cbor2.dumps, cbor2.loads
    return None


def _unpackable(value: Any, place: str, name: str) -> str | None:
    """Say what a serializer would change or refuse of a list or table, and where it stands."""
    if name == "json":
        return _culprit(value, place, 0, name) or _octets(value, place)
    return None if _is_plain(value, 0) else _culprit(value, place, 0, name)


def _octets(value: Any, place: str) -> str | None:
    """Say where the first bytes stand; WAMP's own spelling of them in JSON is not of this one."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{place} is bytes, which only msgpack, cbor and native carry"
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return None
    places = (_octets(item, f"{place}[{key!r:.40}]") for key, item in items)
    return next((found for found in places if found is not None), None)


def _as_it_is(value: Any) -> Any:
    return value
