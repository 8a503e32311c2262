"""Cryptosign with channel binding: over real TLS, to each Router, by each kind of Session."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.conftest import CrossbarProcess, free_port, short_folder
from tests.integration.wampy.relay import CERTIFICATE, KEY, Relay
from tests.integration.wampy.router.conftest import RunningRouter
from tests.integration.wampy.test_proxy import ConnectProxy
from tests.support import wait_until
from wampy import AsyncSession, Session
from wampy.auth import AnyOf, Authentication, Cryptosign, Ticket
from wampy.router.authentication import Authenticator, CryptosignPrincipal
from wampy.router.config import Tls

SEED = "11" * 32
PUBLIC_KEY = Cryptosign(None, SEED).public_key
WAYS = ["wss://localhost:{}/ws", "tcps://localhost:{}"]

Join = Callable[..., dict[str, Any]]


def bound(seed: str = SEED) -> Cryptosign:
    return Cryptosign("dave", seed, channel_binding="tls-unique")


def unbound() -> Cryptosign:
    return Cryptosign("dave", SEED)


def running(**options: Any) -> Iterator[RunningRouter]:
    """Run a built-in Router that knows Dave's key, and nobody else."""
    dave = CryptosignPrincipal(role="frontend", authorized_keys=[PUBLIC_KEY])
    authenticator = Authenticator(anonymous=None, cryptosign={"dave": dave})
    with short_folder() as folder:
        router = RunningRouter(folder, authenticator=authenticator, **options)
        yield router
        router.end()


@pytest.fixture(scope="module")
def builtin() -> Iterator[RunningRouter]:
    yield from running(tls=Tls(CERTIFICATE, KEY))


@pytest.fixture
def plain() -> Iterator[RunningRouter]:
    """Give one without TLS."""
    yield from running()


@pytest.fixture(scope="module")
def crossbar_port(crossbar_executable: Path) -> Iterator[int]:
    """Run a Crossbar that knows Dave's key; it takes TLS 1.3 only."""
    port = free_port()
    dave = {"authorized_keys": [PUBLIC_KEY], "role": "frontend"}
    auth = {"auth": {"cryptosign": {"type": "static", "principals": {"dave": dave}}}}
    tls = {"certificate": str(CERTIFICATE), "key": str(KEY)}
    transport = {
        "type": "universal",
        "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1", "tls": tls},
        "rawsocket": {"serializers": ["msgpack"], **auth},
        "websocket": {"ws": {"type": "websocket", "serializers": ["json"], **auth}},
    }
    realm = {"name": "realm1", "roles": [{"name": "frontend", "permissions": []}]}
    worker = {"type": "router", "realms": [realm], "transports": [transport]}
    with short_folder() as folder:
        config: dict[str, object] = {"version": 2, "workers": [worker]}
        process = CrossbarProcess(crossbar_executable, folder, config)
        yield port
        process.stop()


@pytest.fixture(params=["builtin", "crossbar"])
def port(request: pytest.FixtureRequest) -> int:
    if request.param == "builtin":
        return int(request.getfixturevalue("builtin").port)
    return int(request.getfixturevalue("crossbar_port"))


def ca_for(url: str) -> str | None:
    """Give whom to trust; a URL without TLS takes nobody."""
    return str(CERTIFICATE) if url.startswith(("wss:", "tcps:")) else None


def join_blocking(url: str, auth: Authentication, **options: Any) -> dict[str, Any]:
    with Session(
        url, auth=auth, ca=ca_for(url), reconnect=False, timeout=10.0, **options
    ) as session:
        return dict(session.details)


def join_async(url: str, auth: Authentication) -> dict[str, Any]:
    async def join() -> dict[str, Any]:
        async with AsyncSession(
            url, auth=auth, ca=ca_for(url), reconnect=False, timeout=10.0
        ) as session:
            return dict(session.details)

    try:
        return asyncio.run(join())
    finally:
        gc.collect()  # a connection that is left open is a warning then, and so an error


@pytest.fixture(params=[join_blocking, join_async])
def join(request: pytest.FixtureRequest) -> Join:
    """Join by each kind of Session, and give WELCOME.Details."""
    found: Join = request.param
    return found


@pytest.fixture
def tls12(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients speak TLS 1.2."""
    make = ssl.create_default_context

    def older(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = make(*args, **kwargs)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(ssl, "create_default_context", older)


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(port: int, **options: Any) -> Relay:
        made.append(Relay(port, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---------------------------------------------------------------------- who joins


@pytest.mark.parametrize("way", WAYS)
def test_the_right_key_joins(port: int, way: str, join: Join) -> None:
    """Over TLS 1.3, the only one that this Crossbar takes."""
    details = join(way.format(port), bound())
    assert [details[key] for key in ("authid", "authmethod")] == ["dave", "cryptosign"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("tls12")
def test_so_it_does_over_tls_1_2(builtin: RunningRouter, way: str, join: Join) -> None:
    assert join(way.format(builtin.port), bound())["authid"] == "dave"


def test_another_key_does_not(port: int, join: Join) -> None:
    with pytest.raises(wampy.JoinRejected):
        join(WAYS[0].format(port), bound("22" * 32))


def test_who_asks_for_no_binding_joins_as_before(port: int, join: Join) -> None:
    assert join(WAYS[0].format(port), unbound())["authid"] == "dave"


def test_a_bound_key_may_be_one_of_several_methods(port: int, join: Join) -> None:
    several = AnyOf([bound(), Ticket("dave", "none that is known")])
    assert join(WAYS[0].format(port), several)["authmethod"] == "cryptosign"


def test_it_is_bound_through_a_proxy_that_passes_tls_on(port: int) -> None:
    proxy = ConnectProxy()
    try:
        way = f"http://joe:s3cret@127.0.0.1:{proxy.port}"
        assert join_blocking(WAYS[0].format(port), bound(), proxy=way)["authid"] == "dave"
        assert proxy.targets
    finally:
        proxy.close()


def test_each_connection_is_bound_anew(port: int, relay: Callable[..., Relay]) -> None:
    between = relay(port)
    with Session(
        WAYS[0].format(between.port), auth=bound(), ca=str(CERTIFICATE), timeout=10.0
    ) as session:
        former = session.id
        between.cut()
        wait_until(lambda: session.id not in (None, former))


def test_so_is_each_of_an_async_session(port: int, relay: Callable[..., Relay]) -> None:
    between = relay(port)

    async def lose_and_return() -> None:
        async with AsyncSession(
            WAYS[0].format(between.port), auth=bound(), ca=str(CERTIFICATE), timeout=10.0
        ) as session:
            former = session.id
            between.cut()
            while session.id in (None, former):
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(lose_and_return(), 30.0))


# ---------------------------------------------------------------------- who is between


@pytest.mark.parametrize("way", WAYS)
def test_who_ends_tls_between_gets_a_login_that_is_worth_nothing(
    port: int, way: str, join: Join, relay: Callable[..., Relay]
) -> None:
    """It has a certificate that the client trusts, and passes all on; unbound it joins."""
    between = relay(port, is_tls=True, is_tls_behind=True)
    assert join(way.format(between.port), unbound())["authid"] == "dave"
    with pytest.raises(wampy.JoinRejected):
        join(way.format(between.port), bound())


@pytest.mark.usefixtures("tls12")
def test_so_it_does_with_tls_1_2(
    builtin: RunningRouter, join: Join, relay: Callable[..., Relay]
) -> None:
    between = relay(builtin.port, is_tls=True, is_tls_behind=True)
    with pytest.raises(wampy.JoinRejected, match="wrong credentials"):
        join(WAYS[0].format(between.port), bound())


@pytest.mark.parametrize("way", WAYS)
def test_a_router_behind_what_ends_tls_for_it_says_so(
    plain: RunningRouter, way: str, join: Join, relay: Callable[..., Relay]
) -> None:
    between = relay(plain.port, is_tls=True)
    with pytest.raises(wampy.JoinRejected, match="needs TLS up to this router"):
        join(way.format(between.port), bound())


# ---------------------------------------------------------------------- no downgrade


def test_without_tls_nothing_is_said_at_all(plain: RunningRouter, join: Join) -> None:
    for url in (plain.ws_url, plain.tcp_url, plain.unix_url):
        with pytest.raises(wampy.ConnectFailed, match="there is no TLS here; use wss://") as caught:
            join(url, bound())
        assert url in str(caught.value)
        assert join(url, unbound())["authid"] == "dave"


def test_a_router_that_forgets_the_binding_is_left(
    builtin: RunningRouter, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the spec would let it, and as somebody between would like it."""
    begin = Authenticator.begin

    def forget(self: Authenticator, details: Any, **options: Any) -> Any:
        extra = {**details["authextra"], "channel_binding": None}
        return begin(self, {**details, "authextra": extra}, **options)

    monkeypatch.setattr(Authenticator, "begin", forget)
    with pytest.raises(wampy.RemoteProtocolError, match="tls-unique was asked for"):
        join(WAYS[0].format(builtin.port), bound())


def test_another_binding_is_refused_by_name(
    builtin: RunningRouter, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bound()
    monkeypatch.setattr(client, "channel_binding", "tls-exporter")
    with pytest.raises(wampy.JoinRejected, match="must be tls-unique, or null"):
        join(WAYS[0].format(builtin.port), client)
