"""SCRAM with Argon2id at running Routers, with the costs that Autobahn derives keys with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import wampy
from tests.conftest import CrossbarProcess, free_port, short_folder
from tests.integration.wampy.router.conftest import RunningRouter
from wampy import AsyncSession, Session
from wampy.auth import Scram
from wampy.auth.scram import DRAFT, Keys, salted_passwords
from wampy.router.authentication import Authenticator, ScramPrincipal

PASSES, MEMORY_KIB = 4096, 512
PASSWORD = "her password"


@pytest.fixture
def builtin_url() -> Iterator[str]:
    carol = ScramPrincipal(
        role="frontend", secret=PASSWORD, iterations=PASSES, memory_kib=MEMORY_KIB
    )
    authenticator = Authenticator(anonymous=None, scram={"carol": carol})
    with short_folder() as folder:
        router = RunningRouter(folder, authenticator=authenticator)
        yield router.ws_url
        router.end()


@pytest.fixture
def crossbar_url(crossbar_executable: Path) -> Iterator[str]:
    salt = bytes(range(16))
    salted = salted_passwords(PASSWORD, salt, "argon2id13", PASSES, MEMORY_KIB)[DRAFT]
    keys = Keys.of(salted)
    carol = {
        "kdf": "argon2id-13",
        "iterations": PASSES,
        "memory": MEMORY_KIB,
        "salt": salt.hex(),
        "stored-key": keys.stored.hex(),
        "server-key": keys.server.hex(),
        "role": "frontend",
    }
    port = free_port()
    transport = {
        "type": "websocket",
        "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
        "auth": {"scram": {"type": "static", "principals": {"carol": carol}}},
    }
    realm = {"name": "realm1", "roles": [{"name": "frontend", "permissions": []}]}
    worker = {"type": "router", "realms": [realm], "transports": [transport]}
    with short_folder() as folder:
        config: dict[str, object] = {"version": 2, "workers": [worker]}
        process = CrossbarProcess(crossbar_executable, folder, config)
        yield f"ws://127.0.0.1:{port}/"
        process.stop()


@pytest.mark.parametrize("where", ["builtin_url", "crossbar_url"])
def test_who_knows_the_password_joins(where: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(where)
    with Session(url, auth=Scram("carol", PASSWORD), timeout=10.0) as session:
        assert (session.details["authid"], session.details["authmethod"]) == ("carol", DRAFT)

    async def join() -> str:
        async with AsyncSession(url, auth=Scram("carol", PASSWORD), timeout=10.0) as session:
            return str(session.details["authid"])

    assert asyncio.run(join()) == "carol"
    with pytest.raises(wampy.JoinRejected):
        Session(url, auth=Scram("carol", "guessed"), timeout=10.0).begin()
