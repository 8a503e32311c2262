"""Arguments by type hints."""

from __future__ import annotations

import datetime
import enum
import functools
from typing import Any, Literal, TypedDict

import msgspec
import pytest

from wampy.errors import InvalidArgument
from wampy.session.arguments import Arguments


class Mine:
    """A class that msgspec knows nothing of."""


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: int


class Table(TypedDict):
    a: int


class Service:
    def method(self, a: int, b: list[Point], *rest: int, c: Colour | None = None, **more: str): ...

    def only(self, a: int, /, b: Mine, *, key: dict[str, float]): ...

    @classmethod
    def of(cls, a: Literal["x", "y"]): ...

    @staticmethod
    def static(a: datetime.date, b: Table, c: bytes = b""): ...


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@wrapped
def decorated(a: int, b: str = ""): ...


def convert(handler: Any, *args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    arguments = Arguments.of(handler)
    assert arguments is not None
    args_, kwargs_ = arguments.convert("com.u", args, kwargs)
    return list(args_), dict(kwargs_)


def test_what_fits_is_converted() -> None:
    service = Service()
    args, kwargs = convert(service.method, 1, [{"x": 2}], 3, c="red", d="e")
    assert args == [1, [Point(2)], 3]
    assert kwargs == {"c": Colour.RED, "d": "e"}
    mine = object()
    assert convert(service.only, 1, mine, key={"a": 1}) == ([1, mine], {"key": {"a": 1.0}})
    assert convert(Service.of, "x") == (["x"], {})
    assert convert(Service.static, "2026-01-02", {"a": 1}, b"\xff") == (
        [datetime.date(2026, 1, 2), {"a": 1}, b"\xff"],
        {},
    )
    assert convert(decorated, 1, b="x") == ([1], {"b": "x"})


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "text"),
    [
        (Service().method, ["1"], {}, "com.u: a: expected `int`, got `str`"),
        (Service().method, [], {"a": None}, "com.u: a: expected `int`, got `null`"),
        (Service().method, [1, [{"x": "1"}]], {}, "com.u: b[0].x: expected `int`, got `str`"),
        (Service().method, [1, [{}]], {}, "com.u: b[0]: object missing required field `x`"),
        (Service().method, [1, [], 2, "3"], {}, "com.u: argument 4: expected `int`, got `str`"),
        (Service().method, [1, []], {"c": "blue"}, "com.u: c: invalid enum value 'blue'"),
        (Service().method, [1, []], {"z": 1}, "com.u: z: expected `str`, got `int`"),
        (Service.static, [], {"c": "text"}, "com.u: c: expected `bytes`, got `str`"),
        (decorated, [True], {}, "com.u: a: expected `int`, got `bool`"),
    ],
)
def test_what_does_not_is_named(
    handler: Any, args: list[Any], kwargs: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        convert(handler, *args, **kwargs)
    assert caught.value.args == (text,)
    assert caught.value.kwargs["parameter"] in text


@pytest.mark.parametrize(
    "handler",
    [print, len, lambda x: x, functools.partial(decorated, 1), Mine, {}.get, lambda *a, **k: 0],
)
def test_where_nothing_is_said_nothing_is_checked(handler: Any) -> None:
    assert Arguments.of(handler) is None


def test_hints_that_only_checkers_know_are_none() -> None:
    def handler(a: NotThere, b: int): ...  # type: ignore[name-defined]  # noqa: F821

    assert Arguments.of(handler) is None


def test_surplus_arguments_are_for_the_call_to_refuse() -> None:
    assert convert(decorated, 1, "a", "surplus", unknown=1) == (
        [1, "a", "surplus"],
        {"unknown": 1},
    )
