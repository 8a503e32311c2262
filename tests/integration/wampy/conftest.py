"""Fixtures: Sessions that are ended, URIs that nobody else uses, relays that break."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RealRouter
from tests.integration.wampy.relay import Relay
from wampy import AsyncSession, Session

_NUMBERS = itertools.count()


@pytest.fixture(params=["builtin", "crossbar"], scope="session")
def router(request: pytest.FixtureRequest) -> RealRouter:
    """Each Router: a client behaves alike on both."""
    name = {"builtin": "builtin_router", "crossbar": "crossbar"}[request.param]
    found: RealRouter = request.getfixturevalue(name)
    return found


@pytest.fixture(
    params=["ws msgpack", "ws json", "ws cbor", "unix msgpack", "unix cbor", "tcp json"]
)
def way(request: pytest.FixtureRequest, router: RealRouter) -> dict[str, Any]:
    """Give each way in, as arguments of Session."""
    kind, serializer = request.param.split()
    urls = {"ws": router.url, "unix": router.unix_url, "tcp": router.tcp_url}
    return {"router": urls[kind], "serializer": serializer}


@pytest.fixture
def join(router: RealRouter) -> Iterator[Callable[..., Session]]:
    """Join with a Session, by default over the unix socket; ended after the test."""
    sessions: list[Session] = []

    def joined(where: Any = None, **options: Any) -> Session:
        options.setdefault("timeout", 10.0)
        where = where or options.pop("router", router.unix_url)
        session = Session(where, **options)
        sessions.append(session)
        session.begin()
        return session

    yield joined
    for session in sessions:
        session.end()


class Offering:
    """A Session of either kind, used from the test's own thread.

    What an AsyncSession does is done in a loop of its own, and waited for.
    """

    def __init__(self, kind: type[Session] | type[AsyncSession], url: str, **options: Any) -> None:
        options.setdefault("timeout", 10.0)
        self.session: Any = kind(url, **options)
        self.is_async = kind is AsyncSession
        self._loop = asyncio.new_event_loop() if self.is_async else None
        if self._loop is not None:
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        try:
            self.wait(self.session.begin)
        except BaseException:
            self.end()
            raise

    def register(self, *args: Any, **kwargs: Any) -> Any:
        return self.wait(self.session.register, *args, **kwargs)

    def subscribe(self, *args: Any, **kwargs: Any) -> Any:
        return self.wait(self.session.subscribe, *args, **kwargs)

    @property
    def meta(self) -> Any:
        """The meta API; of an AsyncSession as if it blocked."""
        return Awaited(self.session.meta, self.wait) if self.is_async else self.session.meta

    def wait(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of the Session's; give what it gives in the end."""
        if not self.is_async:
            return function(*args, **kwargs)
        assert self._loop is not None, "it has ended"

        async def do() -> Any:
            return await function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(20.0)

    def end(self) -> None:
        """End it. Idempotent."""
        if self.is_async and self._loop is None:
            return
        self.wait(self.session.end)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
            self._loop.close()
            self._loop = None


class Awaited:
    """An object whose methods are coroutines, as if they waited."""

    def __init__(self, of: Any, wait: Callable[..., Any]) -> None:
        self._of = of
        self._wait = wait

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        if callable(found):
            return lambda *args, **kwargs: self._wait(found, *args, **kwargs)
        return Awaited(found, self._wait)


@pytest.fixture(params=[Session, AsyncSession], ids=["threads", "tasks"])
def offer(request: pytest.FixtureRequest, router: RealRouter) -> Iterator[Callable[..., Offering]]:
    """Make Offerings, of each kind of Session; ended after the test."""
    made: list[Offering] = []

    def make(url: str = "", **options: Any) -> Offering:
        made.append(Offering(request.param, url or router.unix_url, **options))
        return made[-1]

    yield make
    for item in made:
        item.end()


@pytest.fixture
def offering(offer: Callable[..., Offering]) -> Offering:
    """One Session that offers and listens, of each kind."""
    return offer()


@pytest.fixture
def uri() -> Callable[[str], str]:
    """Make URIs of this test's own."""
    number = next(_NUMBERS)
    return lambda name: f"com.example.test{number}.{name}"


@pytest.fixture
def relay(router: RealRouter) -> Iterator[Callable[..., Relay]]:
    """Make relays to the real Router."""
    made: list[Relay] = []

    def make(**options: Any) -> Relay:
        made.append(Relay(options.pop("target", router.port), **options))
        return made[-1]

    yield make
    for item in made:
        item.close()
