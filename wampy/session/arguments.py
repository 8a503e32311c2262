"""The arguments of a handler: checked against its type hints, and converted to them.

What comes over the wire is texts, numbers, lists and dictionaries; a handler that says what it
wants gets that: ``int``, ``list[str]``, a ``date``, an Enum, a dataclass, a msgspec Struct, a
TypedDict. Rules:

- a parameter without a hint, with ``Any``, or with a class of a program's own that is none of
  these, is passed on as it came;
- the caller's mistake is told to the caller, by the parameter's name; the handler does not run.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from wampy.errors import InvalidArgument

#: Bytes come as bytes with each serializer: a text is none.
_AS_THEY_ARE = (bytes, bytearray, memoryview)
_SIMPLE = frozenset((str, int, float, bool, bytes, list, dict, set, tuple))
#: inspect.CO_VARARGS and CO_VARKEYWORDS.
_VARARGS, _VARKEYWORDS = 0x04, 0x08


class Arguments:
    """What a handler's hints say of its arguments. Immutable."""

    __slots__ = ("_named", "_positional", "_rest", "_rest_named")

    def __init__(self, handler: Callable[..., Any]) -> None:
        self._positional: list[tuple[str, Any]] = []
        self._named: dict[str, Any] = {}
        #: Of ``*args`` and ``**kwargs``.
        self._rest: Any = None
        self._rest_named: Any = None
        self._read(handler)

    @classmethod
    def of(cls, handler: Callable[..., Any]) -> Arguments | None:
        """Read a handler's hints; None where there is nothing to check."""
        arguments = cls(handler)
        hints = (
            *(hint for _, hint in arguments._positional),
            *arguments._named.values(),
            arguments._rest,
            arguments._rest_named,
        )
        return None if all(hint is None for hint in hints) else arguments

    def _read(self, handler: Callable[..., Any]) -> None:
        function = getattr(handler, "__func__", handler)
        is_bound = function is not handler
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        code = getattr(function, "__code__", None)
        if code is None or not getattr(function, "__annotations__", None):
            return
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError):
            return  # names that exist for type checkers only
        names = code.co_varnames
        count, named_count = code.co_argcount, code.co_kwonlyargcount
        for name in names[is_bound:count]:
            self._positional.append((name, _checkable(hints.get(name))))
        by_name = (
            *names[max(int(is_bound), code.co_posonlyargcount) : count],
            *names[count : count + named_count],
        )
        for name in by_name:
            self._named[name] = _checkable(hints.get(name))
        rest = list(names[count + named_count :])
        if code.co_flags & _VARARGS:
            self._rest = _checkable(hints.get(rest.pop(0)))
        if code.co_flags & _VARKEYWORDS:
            self._rest_named = _checkable(hints.get(rest.pop(0)))

    def convert(
        self, uri: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Give the arguments as the handler wants them.

        Args:
            uri: of the procedure or topic, for the error.
            args: by position.
            kwargs: by name.

        Raises:
            InvalidArgument: one is of a wrong type; names the parameter, never the value.
        """
        converted = []
        positional = self._positional
        for index, value in enumerate(args):
            if index < len(positional):
                name, hint = positional[index]
            else:
                name, hint = f"argument {index + 1}", self._rest
            converted.append(value if hint is None else _convert(uri, name, value, hint))
        if not kwargs:
            return converted, kwargs
        named = {}
        for name, value in kwargs.items():
            hint = self._named.get(name, self._rest_named)
            named[name] = value if hint is None else _convert(uri, name, value, hint)
        return converted, named


def _convert(uri: str, name: str, value: Any, hint: Any) -> Any:
    if type(value) is hint:
        return value
    try:
        return msgspec.convert(value, hint, builtin_types=_AS_THEY_ARE)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`")
        raise InvalidArgument(
            "wamp.error.invalid_argument",
            [f"{uri}: {name}{place}: {reason[:1].lower()}{reason[1:]}"],
            {"parameter": name},
        ) from None


def _checkable(hint: Any) -> Any:
    """Give a hint that msgspec can check; None where there is none, or nothing to check."""
    if hint is None or hint is Any or hint is object:
        return None
    if isinstance(hint, type) and hint in _SIMPLE:
        return hint
    try:
        return None if _has_custom(msgspec.inspect.type_info(hint)) else hint
    except (TypeError, NameError, AttributeError):
        return None


def _has_custom(info: Any) -> bool:
    """Whether a class that msgspec knows nothing of is part of a type."""
    seen: set[int] = set()
    left = [info]
    while left:
        one = left.pop()
        if isinstance(one, msgspec.inspect.CustomType | msgspec.inspect.ExtType):
            return True
        if not isinstance(one, msgspec.inspect.Type | msgspec.inspect.Field) or id(one) in seen:
            continue
        seen.add(id(one))
        for name in one.__struct_fields__:
            value = getattr(one, name)
            left.extend(value if isinstance(value, tuple) else (value,))
    return False
