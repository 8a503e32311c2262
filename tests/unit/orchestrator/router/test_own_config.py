"""A node configuration of the user's own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Join, Manifest
from orchestrator.router import new_principals, plan_router, port_of

MakeManifest = Callable[..., Manifest]
pytestmark = pytest.mark.usefixtures("crossbar_program")

WEBSOCKET = {"type": "websocket", "endpoint": {"type": "tcp", "port": 18999}}
TICKETS = {"ticket": {"type": "static", "principals": {}}}


@pytest.fixture
def own(tmp_path: Path, make_manifest: MakeManifest):
    """``own(transports, **router)``: a manifest whose Router has these transports."""

    def own(*transports: dict[str, Any], **router: Any) -> Manifest:
        worker = {"type": "router", "realms": [{"name": "realm1"}], "transports": list(transports)}
        path = tmp_path / "crossbar" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"version": 2, "workers": [worker]}))
        return make_manifest(config=path, **router)

    return own


def test_it_starts_where_the_configuration_is(own, tmp_path: Path) -> None:
    """Relative paths in it mean what they mean by hand."""
    launch = plan_router(own(WEBSOCKET), new_principals(), 18999)
    assert launch.cwd == tmp_path / "crossbar"
    assert launch.files == {}
    assert launch.argv is not None
    assert str(tmp_path / "crossbar" / "config.json") in launch.argv
    assert launch.public_url == launch.stack_url == "ws://127.0.0.1:18999/"
    assert launch.principals.peer.authid is None


def test_the_stack_takes_the_fastest_way_in(own, tmp_path: Path) -> None:
    universal = {
        "type": "universal",
        "endpoint": {"type": "tcp", "port": 18999, "interface": "127.0.0.1"},
        "rawsocket": {"serializers": ["cbor"]},
        "websocket": {"ws": {"type": "websocket"}},
    }
    unix = {"type": "rawsocket", "endpoint": {"type": "unix", "path": "x.sock"}}
    launch = plan_router(own(WEBSOCKET, universal, unix), new_principals(), 18999)
    assert launch.stack_url == f"unix://{tmp_path}/crossbar/x.sock"
    assert plan_router(own(universal), new_principals(), 0).stack_url == "tcp://127.0.0.1:18999"
    assert plan_router(own(universal), new_principals(), 0).public_url == "ws://127.0.0.1:18999/ws"


def test_the_stack_takes_a_way_that_lets_it_in(own) -> None:
    unix = {"type": "rawsocket", "endpoint": {"type": "unix", "path": "x.sock"}, "auth": TICKETS}
    launch = plan_router(own(unix, WEBSOCKET), new_principals(), 18999)
    assert launch.stack_url == "ws://127.0.0.1:18999/"
    launch = plan_router(own(unix, WEBSOCKET, join=Join("a", "b")), new_principals(), 18999)
    assert launch.stack_url.startswith("unix://")
    assert launch.principals.orchestrator.authid == "a"


def test_a_web_transport_has_paths(own) -> None:
    web = {
        "type": "web",
        "endpoint": {"type": "tcp", "port": 18999, "interface": "::1", "tls": {}},
        "paths": {"/": {"type": "static"}, "wamp": {"type": "websocket"}},
    }
    assert plan_router(own(web), new_principals(), 18999).public_url == "wss://[::1]:18999/wamp"


def test_rawsocket_alone_can_be_told(own) -> None:
    raw = {"type": "rawsocket", "endpoint": {"type": "tcp", "port": 18999, "interface": "::"}}
    assert plan_router(own(raw), new_principals(), 18999).public_url == "tcp://[::1]:18999"


def test_a_port_may_come_from_the_environment(own) -> None:
    transport = {"type": "websocket", "endpoint": {"type": "tcp", "port": "$PORT"}}
    assert plan_router(own(transport, environ={"PORT": "18998"}), new_principals(), 0).port == 18998
    with pytest.raises(RouterUnavailable, match="no transport"):
        plan_router(own(transport), new_principals(), 0)


def test_its_port_must_be_free(own) -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        manifest = own({"type": "websocket", "endpoint": {"type": "tcp", "port": port}})
        with pytest.raises(RouterUnavailable, match=f"{port} is taken"):
            port_of(manifest)
    assert port_of(manifest) == port


def test_a_yaml_configuration_is_joined_where_the_manifest_says(
    make_manifest: MakeManifest, tmp_path: Path
) -> None:
    (tmp_path / "node.yaml").write_text("version: 2\n")
    manifest = make_manifest(config=tmp_path / "node.yaml", port=18997, path="/x")
    assert plan_router(manifest, new_principals(), 18997).stack_url == "ws://127.0.0.1:18997/x"


def test_a_realm_that_it_lacks_is_an_error(own) -> None:
    with pytest.raises(RouterUnavailable, match="has no realm 'other', only realm1; add it there"):
        plan_router(own(WEBSOCKET, realm="other"), new_principals(), 0)


def test_no_way_in_is_an_error_that_says_what_is_missing(own) -> None:
    locked = {**WEBSOCKET, "auth": TICKETS}
    with pytest.raises(RouterUnavailable, match=r"without a ticket; set \[router\] join"):
        plan_router(own(locked), new_principals(), 0)
    with pytest.raises(RouterUnavailable, match="lets Peers join with a ticket"):
        plan_router(own(WEBSOCKET, join=Join("a", "b")), new_principals(), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no object"),
        ("{}", "has no realm 'realm1', only none"),
        ('{"workers": [1, {"type": "router", "realms": [1], "transports": [1]}]}', "has no realm"),
        (
            '{"workers": [{"type": "router", "realms": [{"name": "realm1"}], "transports":'
            ' [1, {}, {"endpoint": {"type": "unix"}}, {"endpoint": {"type": "tcp", "port": "x"}}]}'
            "]}",
            "no transport",
        ),
    ],
)
def test_what_is_no_node_configuration(
    make_manifest: MakeManifest, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "node.json").write_text(text)
    with pytest.raises(RouterUnavailable, match=message):
        plan_router(make_manifest(config=tmp_path / "node.json"), new_principals(), 0)


def test_a_file_that_is_not_there(make_manifest: MakeManifest, tmp_path: Path) -> None:
    with pytest.raises(RouterUnavailable, match=r"\[router\] config: .* cannot be read: No such"):
        plan_router(make_manifest(config=tmp_path / "node.json"), new_principals(), 0)
