"""Arguments by type hints."""

from __future__ import annotations

import datetime
import enum
import functools
from typing import Any, Literal, TypedDict

import msgspec
import pytest

from wampy.errors import InvalidArgument
from wampy.session.arguments import Arguments, misfit


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


def with_db(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function({"db": 1}, *args, **kwargs)

    return wrapper


@with_db
def injected(db: dict, text: str): ...


def narrowing(function):
    @functools.wraps(function)
    def wrapper(number):
        return function(int(number))

    return wrapper


@narrowing
def narrowed(number: int): ...


class Shade(msgspec.Struct):
    shade: Literal["dark", "light"]


def deep(a: list[dict[str, Shade]]): ...


def hashed(a: set[Any]): ...


Numbers = enum.Enum("Numbers", " ".join(f"N{number}" for number in range(25)))  # type: ignore[misc]


def many(a: Numbers): ...


def plain(a: int, b: str): ...


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


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "text"),
    [
        (Service().method, ["1"], {}, "com.u: a: expected `int`, got `str`"),
        (Service().method, [], {"a": None}, "com.u: a: expected `int`, got `null`"),
        (Service().method, [1, [{"x": "1"}]], {}, "com.u: b[0].x: expected `int`, got `str`"),
        (Service().method, [1, [{}]], {}, "com.u: b[0]: object missing required field `x`"),
        (Service().method, [1, [], 2, "3"], {}, "com.u: argument 4: expected `int`, got `str`"),
        (
            Service().method,
            [1, []],
            {"c": "blue"},
            "com.u: c: invalid enum value 'blue'; expected one of 'red'",
        ),
        (Service().method, [1, []], {"z": 1}, "com.u: z: expected `str`, got `int`"),
        (Service.static, [], {"c": "text"}, "com.u: c: expected `bytes`, got `str`"),
        (Service.of, ["z"], {}, "com.u: a: invalid enum value 'z'; expected one of 'x', 'y'"),
        (
            deep,
            [],
            {"a": [{"k": {"shade": "no"}}]},
            "com.u: a[0][...].shade: invalid enum value 'no'; expected one of 'dark', 'light'",
        ),
        (
            many,
            [99],
            {},
            "com.u: a: invalid enum value 99; expected one of "
            f"{', '.join(map(str, range(1, 21)))} and 5 more",
        ),
        (hashed, [[[1]]], {}, "com.u: a: unhashable type: 'list'"),
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
    [
        print,
        len,
        lambda x: x,
        functools.partial(deep, []),
        Mine,
        {}.get,
        lambda *a, **k: 0,
        decorated,
        injected,
        narrowed,
    ],
)
def test_where_nothing_is_said_nothing_is_checked(handler: Any) -> None:
    assert Arguments.of(handler) is None


@pytest.mark.parametrize("hint", ["NotThere", "how many of them", "1 +"])
def test_a_hint_that_means_nothing_is_told_and_the_others_are_checked(
    hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(a: Any, b: int): ...

    handler.__annotations__ = {"a": hint, "b": "int", "return": "NotThereEither"}
    assert convert(handler, "anything", 1) == (["anything", 1], {})
    with pytest.raises(InvalidArgument, match="b: expected `int`"):
        convert(handler, "anything", "1")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2  # convert() reads the handler each time
    assert "handler: parameter a is not checked" in told[0]
    assert repr(hint) in told[0]


def test_a_decorator_may_have_hints_of_its_own() -> None:
    def wrapper(number: int) -> Any: ...

    functools.update_wrapper(wrapper, plain, assigned=("__name__", "__qualname__"))
    assert convert(wrapper, 1) == ([1], {})
    with pytest.raises(InvalidArgument, match="number: expected `int`"):
        convert(wrapper, "1")


def raised_by(handler: Any, *args: Any, **kwargs: Any) -> TypeError:
    with pytest.raises(TypeError) as caught:
        handler(*args, **kwargs)
    error = caught.value
    # The first frame is the caller's.
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


def make() -> Any:
    class Inside:
        def kwonly(self, *, key: int): ...

    return Inside().kwonly


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "expected"),
    [
        (plain, [1], {}, ("missing a required argument: 'b'", "b")),
        (plain, [1, "a", 3], {}, ("too many positional arguments", None)),
        (plain, [1, "a"], {"z": 3}, ("got an unexpected keyword argument 'z'", "z")),
        (plain, [1, "a"], {"a": 3}, ("multiple values for argument 'a'", "a")),
        (make(), [], {}, ("missing a required argument: 'key'", "key")),
        (wrapped(plain), [1], {}, ("missing 1 required positional argument: 'b'", "b")),
        (wrapped(plain), [1, "a", 3], {}, ("too many positional arguments", None)),
        (wrapped(wrapped(plain)), [1], {}, ("missing 1 required positional argument: 'b'", "b")),
        (wrapped(plain), [1, "a"], {"z": 1}, ("got an unexpected keyword argument 'z'", "z")),
        (injected, [], {}, ("missing 1 required positional argument: 'text'", "text")),
        (narrowed, [], {}, ("missing a required argument: 'number'", "number")),
    ],
)
def test_what_is_missing_or_surplus_is_told(
    handler: Any, args: list[Any], kwargs: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    text, parameter = expected
    got = misfit(handler, args, kwargs, raised_by(handler, *args, **kwargs))
    assert got is not None
    # Later versions of Python say "keyword-only argument".
    assert (got[0].replace("keyword-only ", ""), got[1]) == (text, parameter)


def test_a_handler_that_ran_made_its_own_mistake() -> None:
    def calls() -> None:
        plain(1)  # type: ignore[call-arg]

    def adds(a: int) -> Any:
        return a + "1"  # type: ignore[operator]

    for handler, args in ((calls, []), (wrapped(calls), []), (adds, [1]), (wrapped(adds), [1])):
        assert misfit(handler, args, {}, raised_by(handler, *args)) is None


def test_surplus_arguments_are_for_the_call_to_refuse() -> None:
    assert convert(plain, 1, "a", "surplus", unknown=1) == (
        [1, "a", "surplus"],
        {"unknown": 1},
    )
