from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from wampy import errors
from wampy.errors import (
    ApplicationError,
    Canceled,
    ConnectFailed,
    JoinRejected,
    NoSuchProcedure,
    NoSuchRealm,
    NotAuthenticated,
    NotAuthorized,
    RequestError,
    RequestTimeout,
    WampyError,
    join_rejected,
    request_error,
)


def test_everything_is_a_wampy_error():
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    ours = [value for value in classes if issubclass(value, Exception)]
    assert len(ours) > 20
    assert all(issubclass(value, WampyError) for value in ours)


def test_a_timeout_is_also_pythons():
    assert issubclass(RequestTimeout, TimeoutError)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("wamp.error.no_such_procedure", NoSuchProcedure),
        ("wamp.error.not_authorized", NotAuthorized),
        ("wamp.error.authorization_failed", NotAuthorized),
        ("wamp.error.canceled", Canceled),
        ("wamp.error.cancelled", Canceled),
        ("com.example.error.full", ApplicationError),
    ],
)
def test_well_known_uris_have_classes(uri, expected):
    error = request_error(uri, ["what"], {"key": 1}, {"from": "there"})
    assert type(error) is expected
    assert (error.uri, error.args, error.kwargs) == (uri, ("what",), {"key": 1})
    assert error.details == {"from": "there"}


def test_a_request_error_says_what_the_other_side_said():
    assert str(RequestError("a.b")) == "a.b"
    assert str(RequestError("a.b", ["no", 5], {"why": "x"})) == "a.b: no, 5, why='x'"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("wamp.error.no_such_realm", NoSuchRealm),
        ("wamp.error.authentication_failed", NotAuthenticated),
        ("com.example.busy", JoinRejected),
    ],
)
def test_an_abort_has_the_class_of_its_reason(uri, expected):
    error = join_rejected(uri, {"message": "sorry"})
    assert type(error) is expected
    assert str(error) == f"{uri}: sorry"
    assert error.details == {"message": "sorry"}


def test_an_abort_without_words_or_with_strange_ones():
    assert str(join_rejected("a.b", {})) == "a.b"
    assert join_rejected("a.b", {"message": ["x"]}).message == "['x']"


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed("ws://localhost:1/ws", "refused"),
        NoSuchRealm("wamp.error.no_such_realm", "no realm", {"a": 1}),
        NoSuchProcedure("wamp.error.no_such_procedure", ("x",), {"k": 2}, {"d": 3}),
    ],
)
def test_errors_survive_pickling(error):
    """They cross from one process to another."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_failed_connection_says_where_to_and_why():
    error = ConnectFailed("ws://localhost:1/ws", "refused")
    assert str(error) == "cannot connect to ws://localhost:1/ws: refused"


def test_a_declared_class_that_takes_no_cause_is_left_out():
    """Whatever a program's own class does: its caller gets an error, and nobody else anything."""

    @errors.error("com.test.frozen")
    @dataclass(frozen=True)
    class Frozen(Exception):
        number: int

    came = ApplicationError("com.test.frozen", [1])
    assert errors.as_declared(came) is came
