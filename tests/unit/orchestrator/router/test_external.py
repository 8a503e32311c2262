"""A Router that already runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Join, Manifest
from orchestrator.router import new_principals, plan_router, port_of

MakeManifest = Callable[..., Manifest]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("ws://router.example:9000/ws", "router.example", 9000),
        ("ws://router.example/ws", "router.example", 80),
        ("wss://router.example/ws", "router.example", 443),
        ("tcp://10.0.0.1:4000", "10.0.0.1", 4000),
        ("tcp://10.0.0.1", "10.0.0.1", 8080),
        ("ws://[::1]:8080/ws", "::1", 8080),
        ("unix:///run/router.sock", "/run/router.sock", 0),
    ],
)
def test_it_is_joined_where_the_url_says(
    make_manifest: MakeManifest, url: str, host: str, port: int
) -> None:
    manifest = make_manifest(type="external", url=url, join=Join("alice", "secret"))
    launch = plan_router(manifest, new_principals(), port_of(manifest))
    assert (launch.argv, launch.cwd, launch.files, launch.stop_steps) == (None, None, {}, ())
    assert (launch.host, launch.port) == (host, port)
    assert launch.stack_url == launch.public_url == url
    assert launch.principals.peer.authid == "alice"


@pytest.mark.parametrize(
    "url", ["", "http://x:1/ws", "ws://", "ws:///ws", "ws://x:port/ws", "ws://x:70000/", "unix://"]
)
def test_a_url_that_is_none_is_refused(make_manifest: MakeManifest, url: str) -> None:
    manifest = make_manifest(type="external", url=url)
    with pytest.raises(RouterUnavailable, match=r"\[router\] url: .* is no Router's URL; expected"):
        plan_router(manifest, new_principals(), 0)


def test_it_says_where_nobody_answered(make_manifest: MakeManifest) -> None:
    manifest = make_manifest(type="external", url="ws://127.0.0.1:1/ws")
    launch = plan_router(manifest, new_principals(), 1)
    assert launch.explain(None, None, ["connection refused"]) == (
        "the Router at ws://127.0.0.1:1/ws cannot be joined: connection refused;"
        " is it running, and is [router] url right?"
    )
