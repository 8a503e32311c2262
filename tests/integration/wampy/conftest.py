"""Fixtures: Sessions that are ended, URIs that nobody else uses, relays that break."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RealCrossbar
from tests.integration.wampy.relay import Relay
from wampy import Session

_NUMBERS = itertools.count()


@pytest.fixture(params=["ws msgpack", "ws json", "unix msgpack", "tcp json"])
def way(request: pytest.FixtureRequest, crossbar: RealCrossbar) -> dict[str, Any]:
    """Give each way in, as arguments of Session."""
    kind, serializer = request.param.split()
    urls = {"ws": crossbar.url, "unix": crossbar.unix_url, "tcp": crossbar.tcp_url}
    return {"router": urls[kind], "serializer": serializer}


@pytest.fixture
def join(crossbar: RealCrossbar) -> Iterator[Callable[..., Session]]:
    """Join with a Session, by default over the unix socket; ended after the test."""
    sessions: list[Session] = []

    def joined(router: Any = None, **options: Any) -> Session:
        options.setdefault("timeout", 10.0)
        session = Session(router or crossbar.unix_url, **options)
        sessions.append(session)
        session.begin()
        return session

    yield joined
    for session in sessions:
        session.end()


@pytest.fixture
def uri() -> Callable[[str], str]:
    """Make URIs of this test's own."""
    number = next(_NUMBERS)
    return lambda name: f"com.example.test{number}.{name}"


@pytest.fixture
def relay(crossbar: RealCrossbar) -> Iterator[Callable[..., Relay]]:
    """Make relays to the real Crossbar."""
    made: list[Relay] = []

    def make(**options: Any) -> Relay:
        made.append(Relay(crossbar.port, **options))
        return made[-1]

    yield make
    for item in made:
        item.close()
