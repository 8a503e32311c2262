"""The node configuration that is generated for Crossbar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest, Permission, TicketUser
from orchestrator.router.crossbar_config import node_config, roles_of
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


def decide(permissions: list[dict[str, Any]], uri: str, action: str) -> bool:
    """Decide as Crossbar does: the longest permission that begins the URI, an exact one too."""
    matching = [one for one in permissions if uri.startswith(one["uri"])]
    if not matching:
        return False
    longest = max(matching, key=lambda one: len(one["uri"]))
    if longest["match"] != "prefix" and longest["uri"] != uri:
        return False
    return bool(longest["allow"][action])


def permissions_of(config: dict[str, Any], role: str) -> list[dict[str, Any]]:
    (found,) = (
        one["permissions"]
        for one in config["workers"][0]["realms"][0]["roles"]
        if one["name"] == role
    )
    return found


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
    assert principals["peer"] == {"ticket": PRINCIPALS.peer.ticket, "role": "peer"}
    assert auth["anonymous"] == {"type": "static", "role": "anonymous"}


def test_anonymous_can_be_off(configure) -> None:
    config = configure(anonymous="off")
    assert list(transports(config)[1]["websocket"]["ws"]["auth"]) == ["ticket"]
    roles = [role["name"] for role in config["workers"][0]["realms"][0]["roles"]]
    assert roles == ["orchestrator", "operator", "peer"]


@pytest.mark.parametrize("role", ["orchestrator", "operator"])
@pytest.mark.parametrize("uri", ["com.example.x", "wamp.session.list", "wampy.demo.transition"])
@pytest.mark.parametrize("action", ["call", "register", "publish", "subscribe"])
def test_the_stack_itself_may_do_everything(configure, role: str, uri: str, action: str) -> None:
    assert decide(permissions_of(configure(), role), uri, action)


@pytest.mark.parametrize("action", ["call", "register", "publish", "subscribe"])
def test_peers_may_do_everything_but_meta(configure, action: str) -> None:
    permissions = permissions_of(configure(), "peer")
    assert decide(permissions, "com.example.x", action)
    assert decide(permissions, "wampy.demo.peer.search.0.heartbeat", action)
    assert not decide(permissions, "wamp.session.kill", action)


@pytest.mark.parametrize("uri", ["find", "com.example.x", "wampyre.x", "wamper", "w", "a"])
def test_anonymous_may_call_publish_and_subscribe_outside(configure, uri: str) -> None:
    permissions = permissions_of(configure(), "anonymous")
    assert decide(permissions, uri, "call")
    assert decide(permissions, uri, "publish")
    assert not decide(permissions, uri, "register")


@pytest.mark.parametrize("uri", ["wamp.session.list", "wampy.demo.transition", "wamp.", "wampy."])
@pytest.mark.parametrize("action", ["call", "register", "publish", "subscribe"])
def test_anonymous_may_nothing_inside(configure, uri: str, action: str) -> None:
    assert not decide(permissions_of(configure(), "anonymous"), uri, action)


@pytest.mark.parametrize("pattern", ["", "w", "wa", "wam", "wamp", "wampy", "wamp..x", ".session."])
def test_no_pattern_of_anonymous_covers_the_inside(configure, pattern: str) -> None:
    """Prefix "w" would hear ``wamp.session.on_join`` and ``wampy.demo.transition``."""
    assert not decide(permissions_of(configure(), "anonymous"), pattern, "subscribe")


@pytest.mark.parametrize(
    "pattern", ["c", "com.", "com..x", "wb", "wampx", "wampyr", "w.", "Z", "_"]
)
def test_other_patterns_of_anonymous_are_allowed(configure, pattern: str) -> None:
    assert decide(permissions_of(configure(), "anonymous"), pattern, "subscribe")


def test_a_role_has_just_its_permissions(configure) -> None:
    roles = {
        "frontend": (
            Permission("com.example.", "prefix", frozenset({"call"})),
            Permission("com.example.secret", "exact", frozenset()),
        )
    }
    permissions = permissions_of(configure(roles=roles), "frontend")
    assert decide(permissions, "com.example.find", "call")
    assert not decide(permissions, "com.example.find", "register")
    assert not decide(permissions, "com.example.secret", "call")
    assert not decide(permissions, "com.other", "call")
    assert not decide(permissions, "wamp.session.list", "call")


def test_a_role_with_everything_has_no_meta_procedures_unless_granted(configure) -> None:
    every = frozenset({"call", "register", "publish", "subscribe"})
    roles = {
        "broad": (Permission("", "prefix", every),),
        "meta": (
            Permission("", "prefix", every),
            Permission("wamp.", "prefix", frozenset({"call"})),
        ),
        "one": (
            Permission("", "prefix", every),
            Permission("wamp.session.count", "exact", frozenset({"call"})),
        ),
    }
    config = configure(roles=roles)
    broad, meta, one = (permissions_of(config, name) for name in roles)
    assert decide(broad, "com.example", "register")
    assert decide(broad, "com.", "register")
    assert not decide(broad, "", "register")
    assert not decide(broad, "wamp.session.list", "call")
    assert not decide(broad, "wampy.demo.peer.a.0.heartbeat", "call")
    assert decide(meta, "wamp.session.list", "call")
    assert not decide(meta, "wampy.demo.peer.a.0.heartbeat", "call")
    assert decide(one, "wamp.session.count", "call")
    assert not decide(one, "wamp.session.list", "call")


def test_anonymous_can_be_given_other_permissions(configure) -> None:
    roles = {"anonymous": (Permission("com.open.", "prefix", frozenset({"call"})),)}
    permissions = permissions_of(configure(roles=roles), "anonymous")
    assert decide(permissions, "com.open.x", "call")
    assert not decide(permissions, "com.x", "call")


def test_no_uri_is_configured_twice(make_manifest: MakeManifest) -> None:
    every = frozenset({"subscribe"})
    roles = {"broad": (Permission("", "prefix", every), Permission("w", "prefix", every))}
    for role in roles_of(make_manifest(roles=roles).router):
        uris = [permission["uri"] for permission in role["permissions"]]
        assert len(uris) == len(set(uris))


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
