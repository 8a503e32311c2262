"""Fixtures: Sessions that are ended, URIs that nobody else uses, relays that break, scripts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import RealRouter
from tests.integration.wampy.relay import Relay
from tests.integration.wampy.scripted import KINDS, Script, ScriptedRouter
from wampy import Session
from wampy.testing.routers import MemoryRouter

_NUMBERS = itertools.count()


#: The fixtures of each Router; what needs a socket or a process, marked ``sockets``, has no memory.
ROUTERS = {"builtin": "builtin_router", "crossbar": "crossbar", "memory": "memory_router"}
WAYS = ["ws msgpack", "ws json", "ws cbor", "unix msgpack", "unix cbor", "tcp json"]
MEMORY_WAYS = ["memory msgpack", "memory json", "memory cbor"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses ``router`` over each of them, and what uses ``way`` over each way in, too."""
    # The tests of the Router itself have a ``router`` of their own, which they make.
    if "router" not in metafunc.fixturenames or "make_router" in metafunc.fixturenames:
        return
    names = list(ROUTERS)
    if "relay" in metafunc.fixturenames or metafunc.definition.get_closest_marker("sockets"):
        names.remove("memory")
    own = metafunc.definition.iter_markers("parametrize")
    if "way" not in metafunc.fixturenames or any("way" in mark.args[0] for mark in own):
        metafunc.parametrize("router", names, indirect=True, scope="session")
        return
    ways = [(name, way) for name in names for way in (MEMORY_WAYS if name == "memory" else WAYS)]
    metafunc.parametrize(("router", "way"), ways, indirect=True)


@pytest.fixture(scope="session")
def router(request: pytest.FixtureRequest) -> RealRouter:
    """Each Router: a client behaves alike on all of them."""
    found: RealRouter = request.getfixturevalue(ROUTERS[request.param])
    return found


@pytest.fixture(scope="session")
def memory_router() -> Iterator[RealRouter]:
    """One Router in memory for the whole run: no socket, so no port and no process of its own."""
    with MemoryRouter() as made:
        yield RealRouter(
            url=made.url,
            tcp_url=made.url,
            unix_url=made.url,
            ticket_url="",
            realm=made.realm,
            host="",
            port=0,
            pid=0,
        )


@pytest.fixture
def way(request: pytest.FixtureRequest, router: RealRouter) -> dict[str, Any]:
    """Give each way in, as arguments of Session."""
    kind, serializer = request.param.split()
    urls = {"ws": router.url, "unix": router.unix_url, "tcp": router.tcp_url, "memory": router.url}
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


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Any:
    """A Session of threads, or of tasks; to be used with ``with``."""
    return KINDS[request.param]


@pytest.fixture
def offer(kind: Any, router: RealRouter) -> Iterator[Callable[..., Any]]:
    """Join with a Session of each kind, used as one of threads is; ended after the test."""
    made: list[Any] = []

    def joined(url: str = "", **options: Any) -> Any:
        made.append(kind(url or router.unix_url, timeout=10.0, **options))
        made[-1].begin()
        return made[-1]

    yield joined
    for session in made:
        session.end()


@pytest.fixture
def offering(offer: Callable[..., Any]) -> Any:
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


@pytest.fixture(params=["rawsocket", "websocket"])
def scripted(request: pytest.FixtureRequest) -> Iterator[Callable[..., ScriptedRouter]]:
    """Make Routers with a script for each connection."""
    made: list[ScriptedRouter] = []

    def make(*scripts: Script) -> ScriptedRouter:
        made.append(ScriptedRouter(*scripts, is_websocket=request.param == "websocket"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=list(KINDS))
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Begin Sessions of threads, or of tasks; ended after the test."""
    made: list[Any] = []

    def begin(router: ScriptedRouter, **options: Any) -> Any:
        options.setdefault("timeout", 10.0)
        made.append(KINDS[request.param](router.url, **options))
        made[-1].begin()
        return made[-1]

    yield begin
    for one in made:
        one.end()


@pytest.fixture
def later() -> Iterator[Callable[..., Future[Any]]]:
    """Do something in another thread."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit
