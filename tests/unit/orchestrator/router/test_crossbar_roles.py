"""The roles that are generated for Crossbar, decided on as Crossbar does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.manifest.model import Manifest, Permission
from orchestrator.router import new_principals
from orchestrator.router.builtin import plan_builtin
from orchestrator.router.crossbar_roles import roles_of
from wampy.router.authorization import Permission as RouterPermission
from wampy.router.authorization import Role

MakeManifest = Callable[..., Manifest]


@pytest.fixture
def configure(make_manifest: MakeManifest):
    """Give the roles of a manifest."""
    return lambda **router: roles_of(make_manifest(**router).router)


def decide(permissions: list[dict[str, Any]], uri: str, action: str) -> bool:
    """Decide as Crossbar does: the longest permission that begins the URI, an exact one too."""
    matching = [one for one in permissions if uri.startswith(one["uri"])]
    if not matching:
        return False
    longest = max(matching, key=lambda one: len(one["uri"]))
    if longest["match"] != "prefix" and longest["uri"] != uri:
        return False
    return bool(longest["allow"][action])


def permissions_of(roles: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    (found,) = (one["permissions"] for one in roles if one["name"] == role)
    return found


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


def test_a_role_without_permissions_is_the_authorizer_s(configure) -> None:
    roles = configure(
        authorizer="com.example.authorize",
        roles={"asked": (), "broad": (Permission("", "prefix", frozenset({"call"})),)},
    )
    assert {"name": "asked", "authorizer": "com.example.authorize"} in roles
    assert decide(permissions_of(roles, "broad"), "com.example.x", "call")
    assert all("authorizer" not in one for one in roles if one["name"] != "asked")


def test_a_role_without_permissions_may_nothing_without_an_authorizer(configure) -> None:
    permissions = permissions_of(configure(roles={"none": ()}), "none")
    assert not decide(permissions, "com.example.x", "call")


def test_an_exact_permission_decides_on_nothing_but_its_uri(configure) -> None:
    roles = {
        "front": (
            Permission("com.", "prefix", frozenset({"call"})),
            Permission("com.shut", "exact", frozenset()),
            Permission("com.same", "exact", frozenset({"publish"})),
            Permission("com.same", "prefix", frozenset({"register"})),
        )
    }
    permissions = permissions_of(configure(roles=roles), "front")
    assert not decide(permissions, "com.shut", "call")
    assert decide(permissions, "com.shutter", "call")
    assert decide(permissions, "com.shut.x", "call")
    assert decide(permissions, "com.same", "publish")
    assert not decide(permissions, "com.same", "register")
    assert decide(permissions, "com.sames", "register")
    assert not decide(permissions, "com.sames", "call")


URIS = st.sampled_from(["", "w", "wamp", "wamp.", "wampy.", "wamp.a", "a", "a.", "a.b", "a.bc"])
PERMISSIONS = st.lists(
    st.builds(
        Permission,
        uri=URIS | st.text("wamp.ab", max_size=5).filter(lambda uri: ".." not in uri),
        match=st.sampled_from(["exact", "prefix"]),
        allow=st.frozensets(st.sampled_from(["call", "publish"])),
    ),
    max_size=4,
    unique_by=lambda one: (one.uri, one.match),
)


@example(
    [
        Permission("", "prefix", frozenset({"call"})),
        Permission("wamp.a", "exact", frozenset({"call"})),
    ],
    "wamp.ab",
)
@example(
    [
        Permission("wamp.", "exact", frozenset()),
        Permission("wampy.", "exact", frozenset({"call"})),
        Permission("", "prefix", frozenset({"call"})),
    ],
    "wampy.a",
)
@given(PERMISSIONS, URIS | st.text("wampy.abc", min_size=1, max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_both_routers_decide_alike(make_manifest: MakeManifest, permissions, uri: str) -> None:
    """Of calls and publications; a pattern may be refused by Crossbar where it covers more."""
    manifest = make_manifest(roles={"front": tuple(permissions)})
    (text,) = plan_builtin(manifest, new_principals(), 4711).files.values()
    builtin = Role(
        "front",
        tuple(
            RouterPermission(one["uri"], one["match"], frozenset(one["allow"]))
            for one in json.loads(text)["roles"]["front"]
        ),
    )
    generated = permissions_of(roles_of(manifest.router), "front")
    for action in ("call", "publish"):
        assert decide(generated, uri, action) == builtin.may(uri, action), (uri, action)
