"""Decorators for the methods of a Peer. They attach metadata, and do nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

from wampy.durations import parse_duration
from wampy.options import check_concurrency, checked_expected

_Method = TypeVar("_Method", bound=Callable[..., Any])
#: Where the metadata is kept on a method.
_ATTRIBUTE = "_wampy_entrypoints"

MATCHES = ("exact", "prefix", "wildcard")
INVOKES = ("single", "first", "last", "roundrobin", "random")


@dataclass(frozen=True, slots=True)
class Procedure:
    """What ``@rpc`` says of a method.

    ``uri`` is None for the method's own name; ``invoke`` None for what the host decides.
    """

    uri: str | None
    match: str
    invoke: str | None
    concurrency: int | None
    expected: tuple[type[BaseException], ...]
    progressive: bool = False

    def options(self) -> dict[str, Any]:
        """Give REGISTER.Options, as far as the method says them."""
        options: dict[str, Any] = {}
        if self.match != "exact":
            options["match"] = self.match
        if self.invoke is not None:
            options["invoke"] = self.invoke
        return options


@dataclass(frozen=True, slots=True)
class Topic:
    """What ``@subscribe`` says of a method."""

    uri: str
    match: str

    def options(self) -> dict[str, Any]:
        """Give SUBSCRIBE.Options."""
        return {} if self.match == "exact" else {"match": self.match}


@dataclass(frozen=True, slots=True)
class Timer:
    """What ``@every`` says of a method."""

    interval_s: float


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What ``@healthcheck`` says of a method: that it is one."""


Entrypoint = Procedure | Topic | Timer | HealthCheck


@overload
def rpc(uri: _Method, /) -> _Method: ...
@overload
def rpc(
    uri: str | None = None,
    /,
    *,
    match: Literal["exact", "prefix", "wildcard"] = "exact",
    invoke: Literal["single", "first", "last", "roundrobin", "random"] | None = None,
    concurrency: int | None = None,
    expected: type[BaseException] | tuple[type[BaseException], ...] = (),
    progressive: bool = False,
) -> Callable[[_Method], _Method]: ...
def rpc(
    uri: Any = None,
    /,
    *,
    match: str = "exact",
    invoke: str | None = None,
    concurrency: int | None = None,
    expected: type[BaseException] | tuple[type[BaseException], ...] = (),
    progressive: bool = False,
) -> Any:
    """Make a method a procedure: ``@rpc``, ``@rpc("com.example.add")`` or ``@rpc(concurrency=1)``.

    The method may be ``async def``. One that yields gives each part to callers that want progress,
    and to others what it returns, or the last part where it returns nothing. What it raises reaches
    the caller, by name and text.

    Args:
        uri: the whole URI; default: the Peer's ``prefix`` and the method's name.
        match: ``prefix`` and ``wildcard`` offer all procedures that match.
        invoke: how the Router chooses among several Callees; default: shared, ``roundrobin``.
        concurrency: how many calls of it run at once; default: as many as the Peer runs at all.
        expected: exceptions that are the caller's fault: they are logged as a WARNING.
        progressive: whether calls of it may come in parts: the method gets one argument, CallParts,
            and iterates over it.

    Raises:
        TypeError, ValueError: at once, for what makes no sense.
    """
    if callable(uri):
        return _attach(uri, Procedure(None, match, invoke, concurrency, ()))
    if uri is not None and not isinstance(uri, str):
        raise TypeError(f"@rpc takes a URI, got {uri!r}")
    _check_member("match", match, MATCHES)
    if invoke is not None:
        _check_member("invoke", invoke, INVOKES)
    check_concurrency("@rpc", concurrency)
    classes = checked_expected("@rpc", expected)
    procedure = Procedure(uri, match, invoke, concurrency, classes, progressive)
    return lambda method: _attach(method, procedure)


def subscribe(
    topic: str, /, *, match: Literal["exact", "prefix", "wildcard"] = "exact"
) -> Callable[[_Method], _Method]:
    """Make a method the handler of a topic's events: ``@subscribe("com.example.changed")``.

    Events of one topic are handled one by one, in the order in which they came. What the method
    returns or yields goes nowhere.

    Args:
        topic: the whole URI, or a part of it for ``match="prefix"``.
        match: ``exact``, ``prefix`` or ``wildcard``.
    """
    if not isinstance(topic, str):
        raise TypeError('@subscribe takes a topic: @subscribe("com.example.changed")')
    _check_member("match", match, MATCHES)
    entry = Topic(topic, match)
    return lambda method: _attach(method, entry)


def every(interval: float | str) -> Callable[[_Method], _Method]:
    """Run a method again and again: ``@every("1s")``, ``@every(0.5)``.

    It starts with the Peer, first after one interval; a run that takes longer than the interval
    delays the next, two never overlap. What the method returns or yields goes nowhere.

    Args:
        interval: seconds, or a string with a unit: ``500ms``, ``2s``, ``5m``, ``1h``.
    """
    entry = Timer(parse_duration(interval))
    if entry.interval_s <= 0:
        raise ValueError(f"@every takes an interval above 0, got {interval!r}")
    return lambda method: _attach(method, entry)


def healthcheck(method: _Method) -> _Method:
    """Make a method a health check: what it raises, or False, makes the Peer unready with that.

    It runs in a thread of its own and must return within a few seconds.
    """
    if not callable(method):
        raise TypeError("@healthcheck takes no arguments")
    _attach(method, HealthCheck())
    return method


def entrypoints_of(cls: type) -> list[tuple[str, Entrypoint]]:
    """Give the entry points of a class: the method's name and what its decorators say.

    In order of definition, base classes first; a method that is overridden counts as the
    subclass has it.
    """
    found: dict[str, tuple[Entrypoint, ...]] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            function = getattr(member, "__func__", member)
            entries = getattr(function, _ATTRIBUTE, None)
            if entries is not None:
                found[name] = entries
            elif name in found and not callable(function):
                # One that is overridden without a decorator is still the same entry point.
                del found[name]
    return [(name, entry) for name, entries in found.items() for entry in entries]


def procedures_of(cls: type) -> list[tuple[str, str, Procedure]]:
    """Give the procedures of a Peer: URI, method name, and what ``@rpc`` says."""
    prefix = getattr(cls, "prefix", "")
    return [
        (entry.uri if entry.uri is not None else prefix + name, name, entry)
        for name, entry in entrypoints_of(cls)
        if isinstance(entry, Procedure)
    ]


def topics_of(cls: type) -> list[tuple[str, str, Topic]]:
    """Give the topics of a Peer: URI, method name, and what ``@subscribe`` says."""
    return [
        (entry.uri, name, entry) for name, entry in entrypoints_of(cls) if isinstance(entry, Topic)
    ]


def _attach(method: Any, entry: Entrypoint) -> Any:
    function = getattr(method, "__func__", method)
    if not callable(function):
        raise TypeError(f"{method!r} is no method")
    # The decorator that stands first is applied last.
    setattr(function, _ATTRIBUTE, (entry, *getattr(function, _ATTRIBUTE, ())))
    return method


def _check_member(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(known)}")
