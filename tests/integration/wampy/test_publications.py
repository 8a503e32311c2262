"""Who hears an event, and what is kept of it; over both Routers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wampy
from tests.conftest import TICKETS, RealRouter
from tests.support import wait_until
from wampy import Session, current_event

Join = Callable[..., Session]
Uri = Callable[[str], str]


@pytest.mark.sockets
def test_exclude_and_eligible(join: Join, uri: Uri, router: RealRouter) -> None:
    publisher, other = join(), join()
    known = join(router.ticket_url, authid="joe", ticket=TICKETS["joe"])
    sessions = {"publisher": publisher, "other": other, "known": known}
    heard: dict[str, list[int]] = {name: [] for name in sessions}
    for name, session in sessions.items():
        session.subscribe(uri("topic"), heard[name].append)
    authid, role = known.details["authid"], known.details["authrole"]
    wanted: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"other", "known"}),
        ({"exclude_me": False}, {"publisher", "other", "known"}),
        ({"exclude": [other.id]}, {"known"}),
        ({"exclude_authid": [authid]}, {"other"}),
        ({"exclude_authrole": [role]}, {"other"}),
        ({"eligible": [known.id]}, {"known"}),
        ({"eligible_authid": [authid]}, {"known"}),
        ({"eligible_authrole": [role]}, {"known"}),
    ]
    for number, (options, _) in enumerate(wanted):
        publisher.publish(uri("topic"), number, options=options, acknowledge=True)
    # The last word: whoever has heard it has heard all before it.
    publisher.publish(uri("topic"), -1, options={"exclude_me": False}, acknowledge=True)
    wait_until(lambda: all(numbers and numbers[-1] == -1 for numbers in heard.values()))
    for number, (options, names) in enumerate(wanted):
        assert {name for name in sessions if number in heard[name]} == names, options


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"exclude": 7}, r"PUBLISH\.Options\.exclude: expected `array`"),
        ({"exclude": ["7"]}, r"PUBLISH\.Options\.exclude\[0\]: expected `int`, got `str`"),
        ({"eligible_authid": [7]}, r"PUBLISH\.Options\.eligible_authid\[0\]: expected `str`"),
        ({"acknowledge": 1}, r"PUBLISH\.Options\.acknowledge: expected `bool`, got `int`"),
        ({"exclude_me": "no"}, r"PUBLISH\.Options\.exclude_me: expected `bool`"),
        ({"retain": None}, r"PUBLISH\.Options\.retain: expected `bool`"),
        ([("retain", True)], r"PUBLISH\.Options is a list"),
    ],
)
def test_an_option_of_a_wrong_type_is_not_sent(
    join: Join, uri: Uri, options: Any, place: str
) -> None:
    session = join()
    with pytest.raises(wampy.LocalProtocolError, match=place):
        session.publish(uri("topic"), options=options)
    # Neither the session nor a request id was lost.
    assert session.publish(uri("topic"), acknowledge=True)


def test_a_retained_event_comes_to_who_subscribes_later(join: Join, uri: Uri) -> None:
    publisher, late, later = join(), join(), join()
    seen: list[tuple[int, bool]] = []
    without: list[int] = []
    publisher.publish(uri("topic"), 7, acknowledge=True, options={"retain": True})
    late.subscribe(
        uri("topic"),
        lambda value: seen.append((value, current_event().is_retained)),
        options={"get_retained": True},
    )
    later.subscribe(uri("topic"), without.append)
    wait_until(lambda: seen == [(7, True)])
    publisher.publish(uri("topic"), 8, acknowledge=True)
    wait_until(lambda: seen[1:] == [(8, False)])
    wait_until(lambda: without == [8])
