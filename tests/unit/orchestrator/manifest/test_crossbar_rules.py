"""What a manifest cannot have with Crossbar: named with its line, and only when it is asked for."""

from __future__ import annotations

import pytest

from tests.unit.orchestrator.manifest.support import PEER, faults, load

CROSSBAR = PEER + '[router]\ntype = "crossbar"\n'
#: Nothing of this is a fault with either Router.
USERS = """
[router.auth]
ticket = { alice = { role = "front", secret = "a" } }
wampcra = { bob = { role = "front", secret = "b" } }
scram = { carol = { role = "front", secret = "c" } }
cryptosign = { dave = { role = "front", authorized_keys = ["KEY"] } }
authorizer = "com.example.authorize"
[router.roles]
front = []
[[router.roles.broad]]
uri = ""
match = "prefix"
allow = ["call"]
[router.limits]
message_size = "64KiB"
sessions = 20
ping = { interval = "2s", timeout = "1s" }
""".replace("KEY", "0f" * 32)


@pytest.mark.parametrize("kind", ["builtin", "crossbar"])
def test_a_manifest_changes_router_by_one_word(tmp_path, kind):
    router = load(tmp_path, CROSSBAR.replace("crossbar", kind) + USERS).router
    assert router.type == kind
    assert router.authorizer == "com.example.authorize"
    assert (router.limits.message_bytes, router.limits.sessions) == (65536, 20)
    assert set(router.wampcra) | set(router.scram) | set(router.cryptosign) == {
        "bob",
        "carol",
        "dave",
    }


def test_tls_is_for_crossbar_too(tmp_path):
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).touch()
    tls = 'host = "0.0.0.0"\ntls = { certificate = "c.pem", key = "k.pem", client_ca = "c.pem" }\n'
    router = load(tmp_path, CROSSBAR + tls + '[router.auth]\nanonymous = "off"\n').router
    assert router.tls is not None
    assert router.tls.client_ca == tmp_path / "c.pem"


def test_defaults_that_crossbar_cannot_keep_are_no_faults(tmp_path):
    assert faults(tmp_path, CROSSBAR) == []


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("pending_calls = 1000", "pending_calls: expected only with type = "),
        ("registrations = 9", "registrations: expected only with"),
        ("join_timeout = '5s'", "join_timeout: expected only with"),
        ("queue = '8MiB'", "queue: expected only with"),
        ("slow_consumer = 'drop'", "slow_consumer: expected only with"),
        ("message_size = 511", "message_size: expected 512 B to 64 MiB with type = "),
        ("message_size = '65MiB'", "message_size: expected 512 B to 64 MiB with type = "),
        ("ping = { interval = '1s', timeout = '999ms' }", "ping.timeout: expected 1 s or more"),
        ("ping = { interval = 0.5 }", "ping.interval: expected 1 s or more"),
    ],
)
def test_a_limit_that_crossbar_cannot_keep(tmp_path, limit, expected):
    (found,) = faults(tmp_path, CROSSBAR + f"[router.limits]\n{limit}\n")
    assert found.startswith(f"wampy.toml:6: [router.limits] {expected}")
    assert faults(tmp_path, PEER + f"[router.limits]\n{limit}\n") == []


def test_the_fault_says_why_and_the_mend(tmp_path):
    (found,) = faults(tmp_path, CROSSBAR + "[router.limits]\nqueue = '1MiB'\n")
    assert found == (
        'wampy.toml:6: [router.limits] queue: expected only with type = "builtin":'
        " Crossbar bounds no queue; leave it out"
    )


def test_an_authorizer_beside_permissions(tmp_path):
    text = (
        "[router.auth]\nauthorizer = 'com.example.authorize'\n"
        "[[router.roles.front]]\nuri = 'com.'\nmatch = 'prefix'\nallow = ['call']\n"
    )
    assert faults(tmp_path, CROSSBAR + text) == [
        'wampy.toml:7: [router.roles.front]: expected no permissions, or one with uri = "" and'
        ' match = "prefix", beside [router.auth] authorizer: Crossbar asks that about all that a'
        " role does or about nothing; say front = [] under [router.roles], or type = "
        '"builtin"'
    ]
    assert faults(tmp_path, PEER + text) == []
    assert faults(tmp_path, CROSSBAR + text.replace("authorizer = ", "anonymous = 'off' #")) == []


def test_an_authorizer_that_crossbar_takes_for_no_uri(tmp_path):
    (found,) = faults(tmp_path, CROSSBAR + "[router.auth]\nauthorizer = 'com.Example-x'\n")
    assert found.startswith("wampy.toml:6: [router.auth] authorizer: expected small letters")


@pytest.mark.parametrize("method", ["ticket", "wampcra"])
def test_a_secret_that_crossbar_takes_for_a_variable(tmp_path, method):
    text = f"[router.auth]\n{method} = {{ a = {{ role = 'anonymous', secret = 'SECRET' }} }}\n"
    (found,) = faults(tmp_path, CROSSBAR + text.replace("SECRET", "$${HOME}"))
    assert found.startswith(f"wampy.toml:6: [router.auth] {method}.a.secret: expected another")
    assert "HOME" not in found
    assert faults(tmp_path, CROSSBAR + text.replace("SECRET", "$${HOME")) == []
    assert faults(tmp_path, PEER + text.replace("SECRET", "$${HOME}")) == []


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (
            "'jörg' = { role = 'anonymous', secret = 's' }",
            "scram.jörg: expected an authid in ASCII",
        ),
        ("'a\\u0007' = { role = 'anonymous', secret = 's' }", "SASLprep allows"),
        ("a = { role = 'anonymous', secret = 's\\u0007' }", "scram.a.secret: expected a secret"),
    ],
)
def test_scram_users_that_crossbar_cannot_have(tmp_path, user, expected):
    user = user.replace("'", '"')
    (found,) = faults(tmp_path, CROSSBAR + f"[router.auth]\nscram = {{ {user} }}\n")
    assert expected in found


def test_an_own_node_configuration_has_its_own_limits_and_tls(tmp_path):
    for name in ("node.json", "c.pem", "k.pem"):
        (tmp_path / name).touch()
    own = 'config = "node.json"\ntls = { certificate = "c.pem", key = "k.pem" }\n'
    assert faults(tmp_path, CROSSBAR + own + "[router.limits]\nsessions = 1\n") == [
        "wampy.toml:6: [router] tls: expected no such table with config: your own node decides",
        "wampy.toml:7: [router.limits]: expected no such table with config: your own node decides",
    ]
