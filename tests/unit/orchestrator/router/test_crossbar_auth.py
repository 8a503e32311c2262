"""Who joins a generated Crossbar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import KeyUser, Manifest, TicketUser
from orchestrator.router.crossbar_auth import public_auth, stack_auth
from orchestrator.router.principals import new_principals
from wampy.auth.scram import Keys, salted_passwords

MakeManifest = Callable[..., Manifest]

PRINCIPALS = new_principals()
SALT = bytes(range(16))


@pytest.fixture
def auth(make_manifest: MakeManifest):
    def auth(**router: Any) -> dict[str, Any]:
        return public_auth(make_manifest(**router).router, PRINCIPALS, lambda size: SALT[:size])

    return auth


def test_a_method_without_users_is_not_offered(auth) -> None:
    assert set(auth()) == {"ticket", "anonymous"}
    assert set(auth(anonymous="off")) == {"ticket"}


def test_wampcra_needs_the_secret_itself(auth) -> None:
    found = auth(wampcra={"bob": TicketUser("anonymous", "his")})
    assert found["wampcra"] == {
        "type": "static",
        "users": {"bob": {"secret": "his", "role": "anonymous"}},
    }


def test_scram_is_kept_without_the_password(auth) -> None:
    found = auth(scram={"carol": TicketUser("anonymous", "very secret")})
    assert "very secret" not in repr(found)
    stored = found["scram"]["principals"]["carol"]
    # Crossbar speaks the draft's dialect only.
    keys = Keys.of(salted_passwords("very secret", SALT, "argon2id13", 2, 19 * 1024)["scram"])
    assert stored == {
        "kdf": "argon2id-13",
        "iterations": 2,
        "memory": 19 * 1024,
        "salt": SALT.hex(),
        "stored-key": keys.stored.hex(),
        "server-key": keys.server.hex(),
        "role": "anonymous",
    }


def test_each_start_and_each_user_has_a_salt_of_its_own(make_manifest: MakeManifest) -> None:
    users = {name: TicketUser("anonymous", "same") for name in ("carol", "cecil")}
    found = public_auth(make_manifest(scram=users).router, PRINCIPALS)["scram"]["principals"]
    assert len({found[name]["salt"] for name in users}) == 2
    assert len({found[name]["stored-key"] for name in users}) == 2


def test_scram_without_argon2_is_told(auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "argon2.low_level", None)
    with pytest.raises(RouterUnavailable, match=r"\[router.auth\] scram.carol: .*argon2-cffi"):
        auth(scram={"carol": TicketUser("anonymous", "x")})


def test_public_keys_are_in_small_letters(auth) -> None:
    """Crossbar compares texts."""
    found = auth(cryptosign={"dave": KeyUser("anonymous", ("AB" * 32, "cd" * 32))})
    assert found["cryptosign"] == {
        "type": "static",
        "principals": {"dave": {"authorized_keys": ["ab" * 32, "cd" * 32], "role": "anonymous"}},
    }


def test_only_tickets_of_this_run_are_taken_on_the_unix_socket() -> None:
    found = stack_auth(PRINCIPALS)
    assert list(found) == ["ticket"]
    assert set(found["ticket"]["principals"]) == {"orchestrator", "peer", "operator"}


@pytest.mark.parametrize("method", ["tickets", "wampcra", "scram"])
@pytest.mark.parametrize(
    ("authid", "role", "message"),
    [
        ("peer", "anonymous", "'peer' is the stack's own"),
        ("alice", "front", r"role 'front' has no permissions; add \[\[router.roles.front\]\]"),
        ("alice", "orchestrator", "role 'orchestrator' has no permissions"),
    ],
)
def test_a_user_that_cannot_be_is_named(
    auth, method: str, authid: str, role: str, message: str
) -> None:
    with pytest.raises(RouterUnavailable, match=rf"{method.rstrip('s')}.{authid}: {message}"):
        auth(**{method: {authid: TicketUser(role, "x")}})
