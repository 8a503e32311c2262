"""Secrets from the environment and from files; several methods in one HELLO."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampy.auth import (
    AnyOf,
    Cryptosign,
    Scram,
    SecretError,
    Ticket,
    TlsCertificate,
    WampCra,
    secret,
)
from wampy.errors import LocalProtocolError
from wampy.messages import Challenge


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hers")
    monkeypatch.setenv("EMPTY", "")
    assert secret(env="A_SECRET") == "hers"
    with pytest.raises(SecretError, match="MISSING is not set"):
        secret(env="MISSING")
    with pytest.raises(SecretError, match="EMPTY is empty"):
        secret(env="EMPTY")
    with pytest.raises(TypeError, match="either env or file"):
        secret()
    with pytest.raises(TypeError, match="either env or file"):
        secret(env="A_SECRET", file="x")


def test_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "secret"
    for content, wanted in ((b"hers\n", "hers"), (b"hers\r\n", "hers"), (b" h \n\n", " h \n")):
        path.write_bytes(content)
        path.chmod(0o600)
        assert secret(file=path) == wanted
    assert not caplog.records
    path.chmod(0o644)
    secret(file=str(path))
    assert "chmod 600" in caplog.text
    path.write_bytes(b"\n")
    with pytest.raises(SecretError, match="secret is empty"):
        secret(file=path)
    path.write_bytes(b"\xffhidden")
    with pytest.raises(SecretError, match="is not in UTF-8") as caught:
        secret(file=path)
    assert "hidden" not in str(caught.value)
    with pytest.raises(SecretError, match="cannot be read: no such file"):
        secret(file=tmp_path / "missing")


def test_several_methods_are_offered_in_order() -> None:
    both = AnyOf([Scram("joe", "x"), WampCra("joe", "y"), Ticket("joe", "z")])
    details = both.hello_details()
    assert details["authmethods"] == ["scram", "wampcra", "ticket", "wamp-scram"]
    assert details["authid"] == "joe"
    assert details["authextra"]["nonce"]
    assert both.sends_secret
    answer = both.authenticate(Challenge(authmethod="ticket", extra={}))
    assert answer.signature == "z"
    both.welcomed({})  # that of the ticket: nothing to check
    with pytest.raises(LocalProtocolError, match="asks for 'cookie'"):
        both.authenticate(Challenge(authmethod="cookie", extra={}))
    key = Cryptosign(None, "11" * 32)
    mixed = AnyOf([key, Scram("joe", "x"), TlsCertificate()]).hello_details()
    assert mixed["authextra"]["pubkey"] == key.public_key
    assert mixed["authextra"]["nonce"]
    assert not AnyOf([key, TlsCertificate()]).sends_secret
    assert "z" not in repr(both)


def test_a_handshake_is_of_one_session() -> None:
    import copy

    both = AnyOf([Scram("joe", "x")])
    first, second = copy.copy(both), copy.copy(both)
    one, other = first.hello_details(), second.hello_details()
    assert one["authextra"]["nonce"] != other["authextra"]["nonce"]
    assert first._methods[0]._nonce == one["authextra"]["nonce"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("methods", "text"),
    [
        ([], "auth offers nothing"),
        ([Ticket("joe", "a"), Ticket("joe", "b")], "one of each method"),
        ([Ticket("joe", "a"), WampCra("eve", "b")], "'eve' and 'joe'; HELLO has one authid"),
    ],
)
def test_what_does_not_go_together(methods: list, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        AnyOf(methods)
