"""Options: what is let through, and what an error says."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from wampy.errors import LocalProtocolError
from wampy.options import (
    CallOptions,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
    check_options,
)

GOOD: list[tuple[Any, Any]] = [
    (PublishOptions, {"exclude": (1, 2**53), "eligible_authid": ["a"], "acknowledge": True}),
    (PublishOptions, {"_mine": object()}),
    (PublishOptions, OrderedDict(retain=False)),
    (CallOptions, {"timeout": 0, "receive_progress": True, "ppt_scheme": "x_a"}),
    (RegisterOptions, {"match": "prefix", "invoke": "last", "force_reregister": True}),
    (SubscribeOptions, {"match": "wildcard", "get_retained": True}),
]
BAD: list[tuple[Any, Any, str]] = [
    (PublishOptions, {"exclude": [0]}, "X.exclude[0]: expected `int` >= 1"),
    (PublishOptions, {"exclude": [2**53 + 1]}, "X.exclude[0]: expected `int` <= 9007199254740992"),
    (PublishOptions, {"exclude": [True]}, "X.exclude[0]: expected `int`, got `bool`"),
    (CallOptions, {"timeout": -1}, "X.timeout: expected `int` >= 0"),
    (CallOptions, {"timeout": 1.5}, "X.timeout: expected `int`, got `float`"),
    (RegisterOptions, {"invoke": "all"},
     "X.invoke: 'all'; expected one of single, roundrobin, random, first, last"),
    (SubscribeOptions, {"match": "all"},
     "X.match: 'all'; expected one of exact, prefix, wildcard"),
    (SubscribeOptions, {1: 2}, "X has a key that is no text"),
    (SubscribeOptions, "match", "X is a str; expected a dictionary"),
    (SubscribeOptions, [], "X is a list; expected a dictionary"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "options"), GOOD)
def test_good_ones_are_given_back(schema: Any, options: Any) -> None:
    assert check_options("X", schema, options) is options


def test_none_are_none() -> None:
    assert check_options("X", CallOptions, None) == {}
    assert check_options("X", CallOptions, {}) == {}


@pytest.mark.parametrize(("schema", "options", "text"), BAD)
def test_bad_ones_are_named_by_their_place(schema: Any, options: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check_options("X", schema, options)
    assert str(caught.value) == text
