"""Peers of `services`, run in this process over a real Router."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wampy import Peer, Session
from wampy.host import PeerHost

Start = Callable[..., PeerHost]


@pytest.fixture
def start(builtin_router, tmp_path: Path) -> Iterator[Start]:
    """Run a Peer: ``start(Store, config={…}, index=1, url=…)``; drained after the test."""
    hosts: list[PeerHost] = []

    def run(
        cls: type[Peer],
        config: dict[str, Any] | None = None,
        *,
        index: int = 0,
        url: str | None = None,
    ) -> PeerHost:
        peer = cls.create(config=config or {}, index=index)
        host = PeerHost(peer, Session(url or builtin_router.unix_url, realm="realm1"))
        hosts.append(host)
        host.start(30.0)
        return host

    yield run
    for host in reversed(hosts):
        host.drain(5.0)


@pytest.fixture
def store_config(tmp_path: Path) -> dict[str, Any]:
    """Where this test's Store keeps its documents."""
    return {"path": str(tmp_path / "data" / "store.db")}


@pytest.fixture
def search_config(tmp_path: Path) -> dict[str, Any]:
    """Where this test's Search replicas keep their indexes."""
    return {"folder": str(tmp_path / "data")}


@pytest.fixture
def client(builtin_router) -> Iterator[Session]:
    """A Session to call from, over WebSocket as other programs do."""
    with Session(builtin_router.url, realm="realm1") as session:
        yield session
