"""Plans carried out with a real Crossbar: who gets in, who may what, what is said when it fails."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest.model import Join, Permission, TicketUser
from orchestrator.router import Credential, new_principals, plan_router, port_of
from tests.integration.orchestrator.router.started import (
    Started,
    is_allowed,
    join,
    manifest,
    rights,
)
from wampy.errors import JoinRejected

META = "wamp.session.count"
INSIDE = "wampy.demo.peer.search.0.heartbeat"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A generated Crossbar with a user and a role of the manifest's, for all tests here."""
    run_dir = Path(tempfile.mkdtemp(prefix="wampy-"))
    asked = manifest(
        run_dir,
        tickets={"alice": TicketUser("frontend", "hers")},
        roles={"frontend": (Permission("com.shop.", "prefix", frozenset({"call", "register"})),)},
    )
    started = Started(plan_router(asked, new_principals(), port_of(asked)), run_dir / "log")
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.close()
        shutil.rmtree(run_dir)


@pytest.mark.parametrize("principal", ["orchestrator", "peer", "operator"])
@pytest.mark.parametrize("way", ["stack_url", "public_url"])
def test_the_principals_join_on_both_transports(router: Started, principal: str, way: str) -> None:
    credential = getattr(router.launch.principals, principal)
    with join(getattr(router.launch, way), credential) as session:
        assert session.id is not None
        assert rights(session, "com.example.x") == {"call", "register", "publish", "subscribe"}
        assert rights(session, INSIDE) == {"call", "register", "publish", "subscribe"}
        assert is_allowed(lambda: session.call(META)) == (principal != "peer")


def test_nobody_is_anonymous_on_the_unix_socket(router: Started) -> None:
    with pytest.raises(JoinRejected), join(router.launch.stack_url):
        pass


@pytest.mark.parametrize("way", ["stack_url", "public_url"])
def test_a_wrong_ticket_is_rejected(router: Started, way: str) -> None:
    with (
        pytest.raises(JoinRejected),
        join(getattr(router.launch, way), Credential("operator", "guessed")),
    ):
        pass


def test_a_user_does_not_join_on_the_unix_socket(router: Started) -> None:
    with pytest.raises(JoinRejected), join(router.launch.stack_url, Credential("alice", "hers")):
        pass


def test_anonymous_uses_what_is_outside_and_registers_nothing(router: Started) -> None:
    with join(router.launch.public_url) as session:
        assert rights(session, "com.example.x") == {"call", "publish", "subscribe"}
        assert rights(session, INSIDE) == set()
        assert rights(session, "wampy.demo.transition") == set()
        assert not is_allowed(lambda: session.call(META))
        assert not is_allowed(lambda: session.call("wamp.session.kill", 1))
        assert not is_allowed(lambda: session.subscribe("wamp.session.on_join", print))


@pytest.mark.parametrize("pattern", ["", "w", "wamp", "wampy", "wampy."])
def test_anonymous_hears_nothing_inside_by_a_prefix(router: Started, pattern: str) -> None:
    with join(router.launch.public_url) as session:
        assert not is_allowed(lambda: session.subscribe(pattern, print, match="prefix"))
        assert is_allowed(lambda: session.subscribe("com.", print, match="prefix"))


def test_a_user_has_the_permissions_of_the_manifest(router: Started) -> None:
    with join(router.launch.public_url, Credential("alice", "hers")) as session:
        assert rights(session, "com.shop.buy") == {"call", "register"}
        assert rights(session, "com.example.x") == set()
        assert rights(session, INSIDE) == set()
        assert not is_allowed(lambda: session.call(META))


def test_rawsocket_works_on_the_public_port(router: Started) -> None:
    with join(f"tcp://127.0.0.1:{router.launch.port}") as session:
        assert rights(session, "com.example.x") == {"call", "publish", "subscribe"}


def test_the_configuration_is_private(router: Started) -> None:
    (config,) = router.launch.files
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700


def test_it_ends_cleanly_by_the_first_step(run_dir: Path, start) -> None:
    asked = manifest(run_dir, anonymous="off")
    router = start(plan_router(asked, new_principals(), port_of(asked)))
    router.wait_until_ready()
    with pytest.raises(JoinRejected), join(router.launch.public_url):
        pass
    signum, wait_s = router.launch.stop_steps[0]
    router.process.send_signal(signum)
    assert router.process.wait(wait_s) == 0


def test_a_port_taken_after_the_look_is_told(run_dir: Path, start) -> None:
    asked = manifest(run_dir)
    launch = plan_router(asked, new_principals(), port_of(asked))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", launch.port))
        listener.listen(1)
        router = start(launch)
        code = router.wait_until_ended()
        told = launch.explain(code, None, router.lines())
    assert told.startswith(f"[router] port: 127.0.0.1:{launch.port} is taken by ")


def own_config(folder: Path, port: int, **more: Any) -> Path:
    """Write a node configuration of a user's: tickets on the unix socket, anonymous on TCP."""
    permission = {
        "uri": "",
        "match": "prefix",
        "allow": {"call": True, "register": True, "publish": True, "subscribe": True},
    }
    roles = [{"name": name, "permissions": [permission]} for name in ("anonymous", "backend")]
    auth = {"ticket": {"type": "static", "principals": {"b": {"ticket": "t", "role": "backend"}}}}
    worker = {
        "type": "router",
        "realms": [{"name": "realm1", "roles": roles}],
        "transports": [
            {
                "type": "websocket",
                "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
            },
            {
                "type": "rawsocket",
                "endpoint": {"type": "unix", "path": "own.sock"},
                "auth": auth,
            },
        ],
    }
    folder.mkdir()
    path = folder / "config.json"
    path.write_text(json.dumps({"version": 2, "workers": [worker], **more}))
    return path


@pytest.mark.parametrize(("given", "scheme"), [(None, "ws"), (Join("b", "t"), "unix")])
def test_an_own_configuration_works(run_dir: Path, start, given: Join | None, scheme: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    config = own_config(run_dir / "own", port)
    asked = manifest(run_dir, config=config, join=given)
    router = start(plan_router(asked, new_principals(), port_of(asked)))
    router.wait_until_ready()
    assert router.launch.stack_url.startswith(scheme)
    with join(router.launch.stack_url, router.launch.principals.peer) as session:
        assert rights(session, "com.example.x") == {"call", "register", "publish", "subscribe"}


def test_an_own_configuration_that_is_wrong_is_told(run_dir: Path, start) -> None:
    config = own_config(run_dir / "own", 18996, color="blue")
    asked = manifest(run_dir, config=config)
    router = start(plan_router(asked, new_principals(), 18996))
    told = router.launch.explain(router.wait_until_ended(), None, router.lines())
    assert told == (
        f"[router] config: {config} is refused by Crossbar:"
        " encountered unknown attribute 'color' in top-level configuration"
    )
