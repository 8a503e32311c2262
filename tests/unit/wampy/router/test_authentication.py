"""Each method of the client's against the Router's, and what the Router gives away: nothing."""

from __future__ import annotations

import json
import sys

import pytest

from tests.unit.wampy.router.joining import (
    CRA,
    FAILED,
    METHODS,
    SCRAM,
    TICKET,
    begin,
    join,
    made,
)
from wampy.auth import Anonymous, Scram, WampCra
from wampy.auth.scram import normalized
from wampy.errors import LocalProtocolError
from wampy.messages import Abort, Authenticate
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    Identity,
    Rejected,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)

every_method = pytest.mark.parametrize("name", METHODS)


# ---------------------------------------------------------------------- each method, end to end


@every_method
def test_who_has_the_secret_joins(name):
    _, client, _ = METHODS[name]
    identity = join(made(name), client)
    assert (identity.authid, identity.authrole, identity.authprovider) == (
        "joe", "frontend", "static",
    )  # fmt: skip
    assert identity.authmethod == client.authmethods[0]
    assert identity.welcome_details()["authrole"] == "frontend"


@every_method
def test_who_has_another_secret_does_not(name):
    _, _, impostor = METHODS[name]
    assert join(made(name), impostor) == FAILED


@every_method
def test_who_does_not_exist_hears_the_same(name):
    """The challenge has the same shape and costs, and the answer the same words."""
    authenticator = made(name)
    _, client, impostor = METHODS[name]
    known = begin(authenticator, client.hello_details()).challenge
    unknown = begin(authenticator, {**client.hello_details(), "authid": "eve"}).challenge
    assert unknown.authmethod == known.authmethod
    assert unknown.extra.keys() == known.extra.keys()
    for key, value in known.extra.items():
        assert type(unknown.extra[key]) is type(value)
        if key in ("iterations", "memory", "keylen", "kdf", "channel_binding"):
            assert unknown.extra[key] == value
        elif key != "challenge" or name == "cryptosign":
            assert len(unknown.extra[key]) == len(value)
        else:
            ours, theirs = json.loads(value), json.loads(unknown.extra[key])
            assert ours.keys() == theirs.keys()
            assert ours["authrole"] == theirs["authrole"]
    assert join(authenticator, client, authid="eve") == FAILED
    assert join(authenticator, impostor, authid="eve") == FAILED


@every_method
def test_an_answer_counts_once(name):
    """Neither a second guess at one challenge, nor an answer that was heard, lets anybody in."""
    authenticator = made(name)
    _, client, _ = METHODS[name]
    pending = begin(authenticator, client.hello_details())
    answer = client.authenticate(pending.challenge)
    assert isinstance(pending.finish(answer), Identity)
    assert pending.finish(answer) == FAILED
    if name != "ticket":
        again = begin(authenticator, client.hello_details())
        assert again.finish(answer) == FAILED


@every_method
@pytest.mark.parametrize("signature", ["", "x", "ü", "\ud800", "=", "A" * 44, "a" * 192, "0" * 192])
def test_any_other_answer_is_none(name, signature):
    pending = begin(made(name), METHODS[name][1].hello_details())
    assert pending.finish(Authenticate(signature=signature, extra={})) == FAILED


@pytest.mark.parametrize("signature", [None, 5, b"x", ["x"]])
def test_an_answer_that_is_no_text_is_none(signature):
    pending = begin(made("ticket"), METHODS["ticket"][1].hello_details())
    assert pending.finish(Authenticate(signature=signature)) == FAILED


@every_method
def test_each_octet_of_a_signature_counts(name):
    authenticator = made(name)
    _, client, _ = METHODS[name]
    for place in (0, -2):
        pending = begin(authenticator, client.hello_details())
        answer = client.authenticate(pending.challenge)
        signature = list(answer.signature)
        signature[place] = "0" if signature[place] != "0" else "1"
        tampered = Authenticate(signature="".join(signature), extra=answer.extra)
        assert pending.finish(tampered) == FAILED


@every_method
def test_no_secret_is_shown(name):
    authenticator = made(name)
    pending = begin(authenticator, METHODS[name][1].hello_details())
    (principals,) = METHODS[name][0].values()
    for shown in (authenticator, authenticator._decoys, pending, pending.challenge, principals):
        assert "s3cret" not in repr(shown)


# ---------------------------------------------------------------------- anonymous


def test_anonymous_gets_the_role_and_a_name_of_its_own():
    """A name of the client's choice could be that of somebody."""
    authenticator = Authenticator(anonymous="guest")
    one = begin(authenticator, {"authid": "joe"})
    other = begin(authenticator, {"authmethods": ["anonymous"]})
    assert (one.authrole, one.authmethod, one.authprovider) == ("guest", "anonymous", "static")
    assert len({"joe", one.authid, other.authid}) == 3
    assert "authextra" not in one.welcome_details()
    Anonymous().welcomed(one.welcome_details())


@pytest.mark.parametrize("details", [{}, {"authmethods": None}, {"authmethods": []}])
def test_who_says_nothing_is_anonymous(details):
    assert begin(Authenticator(anonymous="guest"), details).authrole == "guest"
    assert begin(made("ticket"), details).reason == "wamp.error.no_matching_auth_method"


# ---------------------------------------------------------------------- several methods


def test_the_clients_order_decides():
    authenticator = Authenticator(anonymous="guest", ticket={"joe": TICKET}, wampcra={"joe": CRA})
    for order in (["ticket", "wampcra"], ["wampcra", "ticket"]):
        pending = begin(authenticator, {"authid": "joe", "authmethods": [*order, "anonymous"]})
        assert pending.challenge.authmethod == order[0]
    first = begin(authenticator, {"authid": "joe", "authmethods": ["anonymous", "ticket"]})
    assert isinstance(first, Identity)


def test_unknown_methods_are_passed_over():
    details = {"authid": "joe", "authmethods": ["cookie", "", "scram", "ticket"]}
    assert begin(made("ticket"), details).challenge.authmethod == "ticket"


def test_no_common_method():
    rejected = begin(made("ticket", anonymous="guest"), {"authmethods": ["tls"], "authid": "joe"})
    assert rejected == Rejected(
        "wamp.error.no_matching_auth_method",
        "none of the client's authmethods is among those here: anonymous, ticket",
    )
    assert rejected.abort() == Abort(
        details={"message": rejected.text}, reason="wamp.error.no_matching_auth_method"
    )


def test_who_has_a_ticket_only_joins_with_a_client_that_offers_more():
    authenticator = Authenticator(anonymous=None, ticket={"joe": TICKET}, wampcra={"ann": CRA})
    details = {"authmethods": ["wampcra", "ticket"]}
    pending = begin(authenticator, {**details, "authid": "joe"})
    assert pending.challenge.authmethod == "ticket"
    assert isinstance(pending.finish(Authenticate(signature="s3cret")), Identity)
    # Where the client does not offer the right one, it hears what a stranger would hear.
    pending = begin(authenticator, {"authmethods": ["wampcra"], "authid": "joe"})
    assert pending.finish(WampCra("joe", "s3cret").authenticate(pending.challenge)) == FAILED


def test_strangers_have_one_method_each_as_principals_do():
    authenticator = Authenticator(anonymous=None, ticket={"joe": TICKET}, wampcra={"ann": CRA})
    found = set()
    for number in range(40):
        methods = {
            begin(
                authenticator, {"authid": f"x{number}", "authmethods": order}
            ).challenge.authmethod
            for order in (["wampcra", "ticket"], ["ticket", "wampcra"])
        }
        assert len(methods) == 1
        found |= methods
    assert found == {"wampcra", "ticket"}


def test_who_prefers_to_be_somebody_does_not_become_nobody():
    authenticator = Authenticator(anonymous="guest", ticket={"joe": TICKET})
    details = {"authid": "eve", "authmethods": ["ticket", "anonymous"]}
    assert begin(authenticator, details).finish(Authenticate(signature="x")) == FAILED
    # Without a name it cannot be anybody.
    assert isinstance(begin(authenticator, {"authmethods": details["authmethods"]}), Identity)


@pytest.mark.parametrize("name", ["ticket", "wampcra", "scram"])
def test_a_name_is_needed(name):
    client = METHODS[name][1]
    rejected = begin(made(name), {**client.hello_details(), "authid": None})
    assert rejected.reason == "wamp.error.authentication_failed"
    assert "authid is missing" in rejected.text


def test_a_ticket_is_not_taken_where_others_may_listen():
    details = METHODS["ticket"][1].hello_details()
    rejected = begin(made("ticket"), details, is_private=False)
    assert rejected.reason == "wamp.error.no_matching_auth_method"
    assert "in the clear" in rejected.text
    both = Authenticator(anonymous=None, ticket={"joe": TICKET}, wampcra={"joe": CRA})
    pending = begin(both, {**details, "authmethods": ["ticket", "wampcra"]}, is_private=False)
    assert pending.challenge.authmethod == "wampcra"


# ---------------------------------------------------------------------- wrong HELLO.Details


@pytest.mark.parametrize(
    "wrong",
    [
        {"authmethods": "ticket"}, {"authmethods": 5}, {"authmethods": {"ticket": 1}},
        {"authmethods": ["ticket", 5]}, {"authmethods": [None]}, {"authmethods": [["ticket"]]},
        {"authid": 5}, {"authid": ["joe"]}, {"authid": b"joe"}, {"authid": True},
        {"authid": "x" * 257},
        {"authextra": "x"}, {"authextra": ["x"]}, {"authextra": 0},
    ],
)  # fmt: skip
@every_method
def test_wrong_types_are_the_clients_fault(name, wrong):
    authenticator = made(name, anonymous="guest")
    rejected = begin(authenticator, {**METHODS[name][1].hello_details(), **wrong})
    assert rejected.reason == "wamp.error.protocol_violation"
    assert "HELLO.Details." in rejected.text


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("scram", {}), ("scram", {"nonce": 5}), ("scram", {"nonce": ""}),
        ("scram", {"nonce": "a,b="}), ("scram", {"nonce": "AAAB AAAB"}),
        ("scram", {"nonce": "A" * 260}), ("scram", {"nonce": "AB=="}),
        ("cryptosign", {}), ("cryptosign", {"pubkey": 5}), ("cryptosign", {"pubkey": "ab"}),
        ("cryptosign", {"pubkey": "g" * 64}), ("cryptosign", {"pubkey": "a b " * 16}),
    ],
)  # fmt: skip
def test_wrong_authextra_is_the_clients_fault(name, wrong):
    details = {**METHODS[name][1].hello_details(), "authextra": wrong}
    assert begin(made(name), details).reason == "wamp.error.protocol_violation"


@pytest.mark.parametrize(
    ("name", "binding", "words"),
    [
        ("scram", "tls-unique", "no channel binding here"),
        ("scram", 5, "no channel binding here"),
        ("cryptosign", "tls-exporter", "must be tls-unique, or null"),
        ("cryptosign", 5, "must be tls-unique, or null"),
        ("cryptosign", ["tls-unique"], "must be tls-unique, or null"),
        ("cryptosign", "", "must be tls-unique, or null"),
    ],
)
def test_a_channel_binding_that_is_none_is_refused_and_said_so(name, binding, words):
    details = METHODS[name][1].hello_details()
    details["authextra"]["channel_binding"] = binding
    rejected = begin(made(name), details, channel_id=bytes(32))
    assert rejected.reason == "wamp.error.authentication_failed"
    assert words in rejected.text


def test_a_channel_binding_without_tls_is_refused_and_said_so():
    details = METHODS["cryptosign"][1].hello_details()
    details["authextra"]["channel_binding"] = "tls-unique"
    rejected = begin(made("cryptosign"), details)
    assert rejected.reason == "wamp.error.authentication_failed"
    assert "needs TLS up to this router" in rejected.text


def test_a_lone_surrogate_is_a_stranger():
    """Some serializers let it pass."""
    for name in ("ticket", "wampcra", "scram", "cryptosign"):
        details = {**METHODS[name][1].hello_details(), "authid": "\ud800"}
        assert begin(made(name), details).finish(Authenticate(signature="x")) == FAILED


# ---------------------------------------------------------------------- making one


@pytest.mark.parametrize(
    ("principals", "words"),
    [
        ({"ticket": {"": TICKET}}, "authid is empty"),
        ({"ticket": {"x" * 257: TICKET}}, "more than 256"),
        ({"ticket": {"joe": TicketPrincipal(role="", secret="s3cret")}}, "joe: role is empty"),
        ({"ticket": {"joe": TicketPrincipal(role="r", secret="")}}, "joe: secret is empty"),
        ({"wampcra": {"joe": WampCraPrincipal(role="r", secret="")}}, "secret is empty"),
        ({"wampcra": {"joe": WampCraPrincipal(role="r", secret="s3cret", salt="x")}}, "iterations"),
        (
            {"wampcra": {"joe": WampCraPrincipal(role="r", secret="s3cret", iterations=0)}},
            "iterations is 0",
        ),
        (
            {"wampcra": {"joe": WampCraPrincipal(
                role="r", secret="s3cret", iterations=1, keylen=0
            )}},
            "keylen is 0",
        ),
        ({"scram": {"joe": ScramPrincipal(role="r", secret="\u0007")}}, "prohibits the secret"),
        ({"scram": {"\u0007": SCRAM}}, "prohibits the authid"),
        ({"scram": {"\u212b": SCRAM, "\u00c5": SCRAM}}, "another's"),
        ({"scram": {"joe": ScramPrincipal(role="r", secret="s3cret", kdf="md5")}}, "kdf is 'md5'"),
        (
            {"scram": {"joe": ScramPrincipal(
                role="r", secret="s3cret", kdf="pbkdf2", iterations=10
            )}},
            "iterations is 10",
        ),
        (
            {"scram": {"joe": ScramPrincipal(
                role="r", secret="s3cret", iterations=100, memory_kib=64_000
            )}},
            r"iterations \* memory_kib",
        ),
        ({"cryptosign": {"joe": CryptosignPrincipal(role="r", authorized_keys=[])}}, "empty"),
        ({"cryptosign": {"joe": CryptosignPrincipal(role="r", authorized_keys="ab")}}, "no list"),
        ({"cryptosign": {"joe": CryptosignPrincipal(role="r", authorized_keys=["ab"])}}, "in hex"),
    ],
)  # fmt: skip
def test_principals_are_checked(principals, words):
    with pytest.raises(LocalProtocolError, match=words) as failure:
        Authenticator(anonymous=None, **principals)
    assert "s3cret" not in str(failure.value)


@pytest.mark.parametrize("role", ["", 5])
def test_the_anonymous_role_is_a_text(role):
    with pytest.raises(LocalProtocolError, match="anonymous is"):
        Authenticator(anonymous=role)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("argon2", "argon2.low_level", "scram"), ("cryptosign", "nacl.signing", "cryptosign")],
)
def test_a_missing_package_is_named_with_its_extra(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LocalProtocolError, match=rf"wampy-stack\[{extra}\]"):
        made(name)
    # Nobody else needs it.
    made("scram")


def test_the_default_costs_are_such_that_a_client_takes_them():
    principal = ScramPrincipal(role="r", secret="s3cret")
    authenticator = Authenticator(anonymous=None, scram={"joe": principal})
    assert isinstance(join(authenticator, Scram("joe", "s3cret")), Identity)


def test_saslprep_refuses_mixed_directions():
    assert normalized("\u0627\u0031") is None
    assert normalized("\u0627\u0031\u0628") == "\u0627\u0031\u0628"
    assert normalized("\u0627x\u0628") is None
    assert normalized("a\u00a0b") == "a b"
