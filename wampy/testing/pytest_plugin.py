"""Fixtures for who tests WAMP programs: ``wampy_router``, ``wampy_session``, ``wampy_sessions``.

pytest finds them by itself where wampy is installed. Imports next to nothing until one is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wampy.session import Session
    from wampy.testing.routers import Router


@pytest.fixture(scope="session")
def wampy_router() -> Iterator[Router]:
    """A Router in this process, for all tests: everybody may do everything on ``realm1``.

    ``Session(wampy_router)`` joins it; others do by ``wampy_router.url``.
    """
    from wampy.testing.routers import Router

    with Router() as router:
        yield router


@pytest.fixture
def wampy_sessions(wampy_router: Router) -> Iterator[Callable[..., Session]]:
    """Make joined Sessions with ``wampy_router``; they are ended after the test.

    Takes what ``Session`` takes behind the Router; the timeout is 10 s unless it says otherwise.
    """
    from wampy.session import Session

    made: list[Session] = []

    def join(**options: Any) -> Session:
        session = Session(wampy_router, **{"timeout": 10.0, **options})
        made.append(session)
        session.begin()
        return session

    try:
        yield join
    finally:
        for session in made:
            session.end()


@pytest.fixture
def wampy_session(wampy_sessions: Callable[..., Session]) -> Session:
    """Give a joined Session with ``wampy_router``; it is ended after the test."""
    return wampy_sessions()
