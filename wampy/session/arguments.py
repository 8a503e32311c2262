"""The arguments of a handler: checked against its type hints, and converted to them.

What comes over the wire is texts, numbers, lists and dictionaries; a handler that says what it
wants gets that: ``int``, ``list[str]``, a ``date``, an Enum, a dataclass, a msgspec Struct, a
TypedDict. Rules:

- a parameter without a hint, with ``Any``, or with a class of a program's own that is none of
  these, is passed on as it came;
- the caller's mistake is told to the caller, by the parameter's name; the handler does not run;
- of a function behind a decorator, the decorator's own hints count, for that gets the arguments:
  ``functools.wraps`` puts the other's in their place, and then nothing is known, and nothing
  checked;
- a hint that means nothing is told once, in a WARNING; the other parameters are checked.
"""

from __future__ import annotations

import logging
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, SimpleNamespace
from typing import Any

import msgspec

from wampy.errors import InvalidArgument

logger = logging.getLogger(__name__)

#: Bytes come as bytes with each serializer: a text is none.
_AS_THEY_ARE = (bytes, bytearray, memoryview)
#: Of a long Enum not all is told.
_CHOICES_SHOWN = 20
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
        code: Any = getattr(function, "__code__", None)
        hints = {} if code is None else _own_hints(function)
        if not hints:
            return
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
        if reason.startswith("Invalid enum value"):
            reason += _choices(hint, place)
    except TypeError as error:
        # A set of what cannot be in one.
        reason, place = str(error), ""
    raise InvalidArgument(
        "wamp.error.invalid_argument",
        [f"{uri}: {name}{place}: {reason[:1].lower()}{reason[1:]}"],
        {"parameter": name},
    )


def _own_hints(function: Any) -> dict[str, Any]:
    """Give the hints of a function's parameters that mean something; a WARNING for the others."""
    try:
        written = dict(function.__annotations__)
        if written == getattr(getattr(function, "__wrapped__", None), "__annotations__", None):
            return {}
    except AttributeError:
        return {}
    except NameError as error:  # as from Python 3.14 on, which evaluates all of them at once
        name = getattr(function, "__qualname__", function)
        logger.warning("%s: its arguments are not checked: a hint means nothing: %s", name, error)
        return {}
    written.pop("return", None)
    hints = {}
    for name, hint in written.items():
        # One by one: a name that exists for type checkers only says nothing of the others.
        one = SimpleNamespace(
            __annotations__={name: hint}, __type_params__=getattr(function, "__type_params__", ())
        )
        try:
            hints.update(typing.get_type_hints(one, function.__globals__, include_extras=True))
        except Exception as error:  # whatever evaluating a text may raise
            logger.warning(
                "%s: parameter %s is not checked: its hint %r means nothing: %s",
                getattr(function, "__qualname__", function),
                name,
                hint,
                error,
            )
    return hints


def _choices(hint: Any, place: str) -> str:
    """Say what may be given where a Literal or an Enum is meant; empty where that is not clear."""
    infos = [msgspec.inspect.type_info(hint)]
    for field, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", place):
        infos = [inner for info in infos for inner in _inside(info, field, index)]
    values = [
        value
        for info in _alternatives(infos)
        for value in (
            info.values
            if isinstance(info, msgspec.inspect.LiteralType)
            else [member.value for member in info.cls]
            if isinstance(info, msgspec.inspect.EnumType)
            else ()
        )
    ]
    shown = ", ".join(map(repr, values[:_CHOICES_SHOWN]))
    more = f" and {len(values) - _CHOICES_SHOWN} more" if len(values) > _CHOICES_SHOWN else ""
    return f"; expected one of {shown}{more}" if values else ""


def _alternatives(infos: Sequence[Any]) -> Iterator[Any]:
    for info in infos:
        if isinstance(info, msgspec.inspect.UnionType):
            yield from _alternatives(info.types)
        elif isinstance(info, msgspec.inspect.Metadata):
            yield from _alternatives([info.type])
        else:
            yield info


def _inside(info: Any, field: str, index: str) -> Iterator[Any]:
    """Give what is at one step of a place: a field's type, or an item's."""
    for one in _alternatives([info]):
        if field:
            fields = getattr(one, "fields", ())
            yield from (item.type for item in fields if item.encode_name == field)
        elif isinstance(one, msgspec.inspect.DictType):
            yield from (one.key_type, one.value_type)
        elif isinstance(one, msgspec.inspect.TupleType):
            if index.isdigit() and int(index) < len(one.item_types):
                yield one.item_types[int(index)]
        elif hasattr(one, "item_type"):
            yield one.item_type


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


#: Whose frames are below a handler's own.
_OURS = (
    "wampy.session.jobs",
    "wampy.session.yielding",
    "wampy.testing.workers",
    "wampy.dispatch",
    "asyncio.",
)


def misfit(
    handler: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], error: TypeError
) -> tuple[str, str | None] | None:
    """Say what is missing or surplus, where a handler's TypeError means that no line of it ran.

    Returns:
        a text without names of the program's inside, and the parameter where one is meant; None
        where the handler ran and the error is its own, or where that cannot be told.
    """
    frames = []
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            frames.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    reason = _misfit_behind(handler, frames, error) if frames else _unbound(handler, args, kwargs)
    if reason is None:
        return None
    named = re.search(r"'(\w+)'", reason)
    return reason, named[1] if named else None


def _unbound(
    handler: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str | None:
    """Say why arguments cannot be bound to a handler's parameters; None where they can."""
    import inspect  # touches much memory that processes share

    try:
        signature = inspect.signature(handler, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return None


def _misfit_behind(
    handler: Callable[..., Any], frames: list[CodeType], error: TypeError
) -> str | None:
    """Say what a function misses that decorators call with what they got; None where it ran."""
    function = getattr(handler, "__func__", handler)
    decorators = []
    while hasattr(function, "__wrapped__"):
        decorators.append(getattr(function, "__code__", None))
        function = function.__wrapped__
    who, _, reason = str(error).partition("() ")
    if not all(code in decorators for code in frames):
        return None
    if not reason or who != getattr(function, "__qualname__", None):
        return None
    # The numbers count what a decorator gives by itself, too.
    return "too many positional arguments" if reason.startswith("takes ") else reason
