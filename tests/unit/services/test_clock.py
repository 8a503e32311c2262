"""Clock without a Router."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.clock import Clock
from wampy.errors import ConnectionLost, SessionClosed


def make(session, index=0):
    clock = Clock.create(index=index)
    clock.session = session
    return clock


def test_now_is_utc_with_milliseconds(session):
    text = make(session).now()
    assert datetime.fromisoformat(text).utcoffset() == timedelta(0)
    assert len(text) == len("2026-01-31T12:00:00.000+00:00")


def test_first_replica_ticks_and_no_other(session):
    make(session, index=1).tick()
    assert session.published == []
    make(session).tick()
    ((topic, (time,), kwargs),) = session.published
    assert topic == "com.example.clock.tick"
    assert datetime.fromisoformat(time)
    assert kwargs == {}


@pytest.mark.parametrize("failure", [ConnectionLost("gone"), SessionClosed("ended")])
def test_second_without_a_router_is_no_error(session, failure):
    session.failure = failure
    make(session).tick()
