"""What the arguments of a Session mean; that wrong ones are refused in one clear way."""

from __future__ import annotations

from typing import Any

import pytest

from wampy import AsyncSession, LocalProtocolError, Session
from wampy.auth import Anonymous, Scram, Ticket
from wampy.session.configuring import check_ping_interval, method_of


@pytest.mark.parametrize("kind", [Session, AsyncSession])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ping_interval": -1}, "ping_interval is -1; expected seconds, or 0"),
        ({"ping_interval": float("nan")}, "ping_interval is nan"),
        ({"ping_interval": float("inf")}, "ping_interval is inf"),
        ({"ping_interval": "5"}, "ping_interval is a str"),
        ({"ping_interval": None}, "ping_interval is None"),
        ({"ping_interval": True}, "ping_interval is a bool"),
        ({"on_join": 5}, "on_join is an int; expected a function"),
        ({"on_leave": "x"}, "on_leave is a str"),
        ({"on_reconnect": []}, "on_reconnect is a list"),
        ({"auth": "ticket"}, "auth is a str; expected one of wampy.auth"),
        ({"auth": 5}, "auth is an int"),
        ({"auth": Ticket}, "auth is the class Ticket"),
        ({"auth": [Ticket("a", "b"), "c"]}, "auth is a str"),
        ({"auth": [Ticket("a", "b"), Anonymous()]}, "Anonymous.. beside others"),
        ({"auth": [Scram("a", "b"), Anonymous()]}, "Anonymous.. beside others"),
    ],
)
def test_wrong_arguments_are_named(kind: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        kind("ws://127.0.0.1:9/ws", **options)


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 0.5, 10.0])
def test_an_interval_of_pings(seconds: float) -> None:
    check_ping_interval(seconds)


def test_what_may_be_a_secret_is_not_shown() -> None:
    with pytest.raises(LocalProtocolError) as raised:
        method_of("hush", None, None)  # type: ignore[arg-type]
    assert "hush" not in str(raised.value)


def test_the_url_is_shown_without_the_blanks_around_it() -> None:
    assert AsyncSession(" ws://127.0.0.1:9/ws\n").url == "ws://127.0.0.1:9/ws"
