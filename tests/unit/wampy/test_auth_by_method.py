"""Who somebody is, by the name of a method."""

from __future__ import annotations

import pytest

from wampy.auth import METHODS, Anonymous, by_method
from wampy.errors import LocalProtocolError

SECRETS = dict.fromkeys(METHODS, "secret") | {"cryptosign": "ab" * 32}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_offers_itself(method):
    made = by_method(method, "joe", SECRETS[method])
    details = made.hello_details()
    assert details["authmethods"][0].removeprefix("wamp-") == method
    assert details["authid"] == "joe"
    assert SECRETS[method] not in repr(made)


def test_nobody_in_particular():
    assert isinstance(by_method("scram", None, None), Anonymous)


def test_no_such_method():
    with pytest.raises(ValueError, match="expected one of ticket, wampcra, scram, cryptosign"):
        by_method("magic", "joe", "secret")


@pytest.mark.parametrize("method", ["wampcra", "cryptosign"])
def test_a_secret_of_no_use_is_not_shown(method):
    with pytest.raises(LocalProtocolError) as raised:
        by_method(method, "joe", 12345)  # type: ignore[arg-type]
    assert "12345" not in str(raised.value)
