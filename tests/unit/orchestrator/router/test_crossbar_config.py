"""The node configuration that is generated for Crossbar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest, RouterLimits, TicketUser
from orchestrator.router.crossbar_config import node_config
from orchestrator.router.principals import new_principals

MakeManifest = Callable[..., Manifest]

PRINCIPALS = new_principals()


@pytest.fixture
def configure(make_manifest: MakeManifest):
    def configure(**router: Any) -> dict[str, Any]:
        section = make_manifest(**router).router
        return node_config(section, "realm1", PRINCIPALS, 4711, "/run/router.sock")

    return configure


def transports(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    stack, public = config["workers"][0]["transports"]
    return stack, public


def test_it_listens_where_the_manifest_says_and_on_the_unix_socket(configure) -> None:
    stack, public = transports(configure())
    assert stack["type"] == "rawsocket"
    assert stack["endpoint"] == {"type": "unix", "path": "/run/router.sock"}
    assert public["endpoint"] == {
        "type": "tcp",
        "version": 4,
        "port": 4711,
        "interface": "127.0.0.1",
    }
    assert list(public["websocket"]) == ["ws"]


def test_a_name_is_listened_on_by_its_address(configure) -> None:
    _, public = transports(configure(host="localhost"))
    assert public["endpoint"]["interface"] in ("127.0.0.1", "::1")


def test_ipv6_is_said(configure) -> None:
    _, public = transports(configure(host="::1"))
    assert (public["endpoint"]["version"], public["endpoint"]["interface"]) == (6, "::1")


def test_the_root_path_is_possible(configure) -> None:
    assert list(transports(configure(path="/"))[1]["websocket"]) == [""]


def test_a_path_of_several_components_is_refused(configure) -> None:
    with pytest.raises(RouterUnavailable, match=r"\[router\] path: '/a/b' has several components"):
        configure(path="/a/b")


def test_dead_connections_are_noticed(configure) -> None:
    options = transports(configure())[1]["websocket"]["ws"]["options"]
    assert options["auto_ping_interval"] == 10_000
    assert options["auto_ping_timeout"] == 5_000


def test_pings_are_the_manifest_s(configure) -> None:
    limits = RouterLimits(ping_interval_s=1.5, ping_timeout_s=2.0)
    options = transports(configure(limits=limits))[1]["websocket"]["ws"]["options"]
    assert (options["auto_ping_interval"], options["auto_ping_timeout"]) == (1500, 2000)


@pytest.mark.parametrize(
    ("size", "websocket", "rawsocket"),
    [
        (2**24, 2**24, 2**24),
        (2**16, 2**16, 2**16),
        (2**16 + 1, 2**16 + 1, 2**16),
        (2**17 - 1, 2**17 - 1, 2**16),
        (512, 512, 512),
        (2**26, 2**26, 2**24),
    ],
)
def test_message_size_holds_on_every_way_in(
    configure, size: int, websocket: int, rawsocket: int
) -> None:
    """RawSocket knows powers of 2 up to 16 MiB: never more than the manifest allows."""
    stack, public = transports(configure(limits=RouterLimits(message_bytes=size)))
    assert public["websocket"]["ws"]["options"]["max_message_size"] == websocket
    assert public["rawsocket"]["options"] == {"max_message_size": rawsocket}
    assert stack["options"] == {"max_message_size": rawsocket}


def test_sessions_are_limited_on_the_public_listener_only(configure) -> None:
    stack, public = transports(configure(limits=RouterLimits(sessions=7)))
    assert public["max_connections"] == 7
    assert "max_connections" not in stack
    assert transports(configure())[1]["max_connections"] == 10_000


def test_tls_is_of_the_public_listener(make_manifest: MakeManifest) -> None:
    tls = {"certificate": "/c.pem", "key": "/k.pem"}
    section = make_manifest().router
    config = node_config(section, "realm1", PRINCIPALS, 4711, "/run/router.sock", tls)
    stack, public = transports(config)
    assert public["endpoint"]["tls"] == tls
    assert "tls" not in stack["endpoint"]


def test_only_this_run_s_principals_join_on_the_unix_socket(configure) -> None:
    users = {"alice": TicketUser("anonymous", "x")}
    auth = transports(configure(tickets=users))[0]["auth"]
    assert list(auth) == ["ticket"]
    assert set(auth["ticket"]["principals"]) == {"orchestrator", "peer", "operator"}


def test_principals_users_and_anonymous_join_by_tcp(configure) -> None:
    config = configure(tickets={"alice": TicketUser("anonymous", "hers")})
    auth = transports(config)[1]["websocket"]["ws"]["auth"]
    assert auth == transports(config)[1]["rawsocket"]["auth"]
    principals = auth["ticket"]["principals"]
    assert set(principals) == {"orchestrator", "peer", "operator", "alice"}
    assert principals["alice"] == {"ticket": "hers", "role": "anonymous"}
    assert principals["peer"] == {"ticket": PRINCIPALS.peer.secret, "role": "peer"}
    assert auth["anonymous"] == {"type": "static", "role": "anonymous"}


def test_anonymous_can_be_off(configure) -> None:
    config = configure(anonymous="off")
    assert list(transports(config)[1]["websocket"]["ws"]["auth"]) == ["ticket"]
    roles = [role["name"] for role in config["workers"][0]["realms"][0]["roles"]]
    assert roles == ["orchestrator", "operator", "peer"]


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ({"roles": {"peer": ()}}, "'peer' is a role of the stack itself"),
        (
            {"tickets": {"peer": TicketUser("anonymous", "x")}},
            r"ticket.peer: 'peer' is the stack's",
        ),
        ({"tickets": {"a": TicketUser("frontend", "x")}}, r"add \[\[router.roles.frontend\]\]"),
        ({"tickets": {"a": TicketUser("orchestrator", "x")}}, "role 'orchestrator'"),
        ({"anonymous": "guest"}, r"anonymous: role 'guest' has no permissions"),
    ],
)
def test_what_cannot_be_names_the_key(configure, router: dict[str, Any], message: str) -> None:
    with pytest.raises(RouterUnavailable, match=message):
        configure(**router)
