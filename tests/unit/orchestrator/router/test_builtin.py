"""The built-in Router's plan: who may do what, and why it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.manifest.model import KeyUser, Permission, RouterLimits, TicketUser
from orchestrator.router import RouterLaunch, new_principals, plan_router
from tests.unit.orchestrator.router.conftest import MakeManifest
from wampy.router.authorization import Role
from wampy.router.config import RouterConfig
from wampy.router.settings import config_of

ALL = {"call", "register", "publish", "subscribe"}


def plan(make_manifest: MakeManifest, **router: Any) -> RouterLaunch:
    return plan_router(make_manifest(type="builtin", **router), new_principals(), 4711)


def config(launch: RouterLaunch) -> RouterConfig:
    [text] = launch.files.values()
    return config_of(json.loads(text))


def allowed(role: Role, uri: str) -> set[str]:
    return {action for action in ALL if role.may(uri, action)}


def test_the_roles_of_the_stack_and_of_everybody_else(make_manifest: MakeManifest) -> None:
    roles = config(plan(make_manifest)).roles
    for name in ("orchestrator", "operator"):
        for uri in ("a.b", "wamp.session.count", "wampy.demo.transition"):
            assert allowed(roles[name], uri) == ALL
    assert allowed(roles["peer"], "wampy.demo.peer.a.0.heartbeat") == ALL
    assert allowed(roles["peer"], "wamp.session.kill") == set()
    assert allowed(roles["anonymous"], "a.b") == ALL - {"register"}
    for uri in ("wamp.session.count", "wampy.demo.transition"):
        assert allowed(roles["anonymous"], uri) == set()


def test_a_permission_that_spells_it_opens_what_is_the_stacks_own(
    make_manifest: MakeManifest,
) -> None:
    permissions = (
        Permission("", "prefix", frozenset({"call"})),
        Permission("wamp.", "prefix", frozenset({"call"})),
    )
    roles = config(plan(make_manifest, roles={"monitor": permissions})).roles
    assert allowed(roles["monitor"], "wamp.session.count") == {"call"}
    assert allowed(roles["monitor"], "wampy.demo.transition") == set()


def test_who_joins_and_where(make_manifest: MakeManifest) -> None:
    launch = plan(
        make_manifest,
        anonymous="off",
        tickets={"alice": TicketUser("front", "a")},
        wampcra={"bob": TicketUser("front", "b")},
        cryptosign={"dave": KeyUser("front", ("0f" * 32,))},
        roles={"front": (Permission("a.", "prefix", frozenset(ALL)),)},
        authorizer="a.authorize",
    )
    made = config(launch)
    unix, tcp = made.listeners
    assert unix.authenticator.authmethods == ("ticket",)
    assert set(tcp.authenticator.authmethods) == {"ticket", "wampcra", "cryptosign"}
    assert made.roles["front"].authorizer == "a.authorize"
    assert launch.public_url == "ws://127.0.0.1:4711/ws"
    assert launch.stack_url.startswith("unix://")
    assert not [word for word in launch.argv or () if word == "a" or word == "b"]


def test_the_limits_reach_it(make_manifest: MakeManifest) -> None:
    limits = RouterLimits(message_bytes=1000, pending_calls=3, closes_slow=True)
    made = config(plan(make_manifest, limits=limits, stop_grace_s=7.0))
    assert (made.limits.message_bytes, made.limits.closes_slow) == (1000, True)
    assert made.limits.drain_s == 7.0
    assert made.realm_limits.pending_calls == 3
    assert [name for name, role in made.roles.items() if not role.is_limited] == ["orchestrator"]


@pytest.mark.parametrize(
    ("code", "signal", "lines", "said"),
    [
        (None, None, [], "it has not become ready"),
        (1, None, ["INFO x", "it broke"], "exit code 1: it broke"),
        (None, 9, ["x"], "killed by SIGKILL"),
        (1, None, ["cannot listen on 127.0.0.1:4711: Address already in use"], "[router] port:"),
    ],
)
def test_why_it_ended(
    make_manifest: MakeManifest, code: int | None, signal: int | None, lines: list[str], said: str
) -> None:
    assert plan(make_manifest).explain(code, signal, lines).startswith(said)
