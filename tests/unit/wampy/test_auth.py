from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from wampy import auth
from wampy.auth import Anonymous, Cryptosign, Scram, Ticket, WampCra, scram
from wampy.auth.wampcra import derive_key, sign
from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.messages import Authenticate, Challenge


def test_anonymous_says_nothing():
    assert Anonymous().hello_details() == {}


def test_anonymous_has_no_answer():
    with pytest.raises(LocalProtocolError, match="'ticket'; give authid and ticket"):
        Anonymous().authenticate(Challenge(authmethod="ticket"))


def test_a_ticket_is_offered_with_its_authid():
    details = Ticket("joe", "secret").hello_details()
    assert details == {"authmethods": ["ticket"], "authid": "joe"}


def test_a_ticket_answers_its_challenge():
    answer = Ticket("joe", "secret").authenticate(Challenge(authmethod="ticket"))
    assert answer == Authenticate(signature="secret", extra={})


def test_a_ticket_answers_no_other_challenge():
    """A Router that asks for another method would get the ticket in a form that it leaks."""
    with pytest.raises(LocalProtocolError, match="'wampcra', but only ticket") as failure:
        Ticket("joe", "secret").authenticate(Challenge(authmethod="wampcra"))
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("wrong", [b"secret", 5, None, "", ["secret"]])
def test_a_ticket_and_its_authid_are_texts(wrong):
    """A Router ends the connection for anything else, and does not say why."""
    for what, arguments in (("authid", (wrong, "x")), ("ticket", ("joe", wrong))):
        with pytest.raises(LocalProtocolError, match=f"^{what} is ") as failure:
            Ticket(*arguments)
        assert "secret" not in str(failure.value)


def test_a_ticket_is_never_shown():
    ticket = Ticket("joe", "secret")
    for shown in (repr(ticket), str(ticket), f"{[ticket]}"):
        assert "secret" not in shown
        assert "joe" in shown


# ---------------------------------------------------------------------- WAMP-CRA


def cra(**extra):
    return Challenge(authmethod="wampcra", extra={"challenge": "{}", **extra})


def test_a_secret_signs_the_challenge():
    """RFC 4231, test case 2."""
    challenge = Challenge(authmethod="wampcra", extra={"challenge": "what do ya want for nothing?"})
    answer = WampCra("joe", "Jefe").authenticate(challenge)
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert base64.b64decode(answer.signature).hex() == expected


def test_a_salted_secret_is_derived_first():
    """RFC 7914, section 11; the key is the base64 text of it, as Autobahn and Crossbar have it."""
    expected = (
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
    )
    key = derive_key("passwd", "salt", 1, 64)
    assert base64.b64decode(key).hex() == expected
    answer = WampCra("joe", "passwd").authenticate(cra(salt="salt", iterations=1, keylen=64))
    assert answer.signature == sign(key, "{}")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"challenge": 5}, "challenge is an int"),
        ({"challenge": None}, "challenge is None"),
        ({"salt": 5, "iterations": 1, "keylen": 32}, "salt is an int"),
        ({"salt": "x", "iterations": 1}, "keylen is None"),
        ({"salt": "x", "iterations": "1", "keylen": 32}, "iterations is a str"),
        ({"salt": "x", "iterations": True, "keylen": 32}, "iterations is a bool"),
        ({"salt": "x", "iterations": 0, "keylen": 32}, "iterations is 0"),
        ({"salt": "x", "iterations": 1_000_001, "keylen": 32}, "expected 1 to 1000000"),
        ({"salt": "x", "iterations": 1, "keylen": 2000}, "keylen is 2000"),
        ({"salt": "x", "iterations": 1_000_000, "keylen": 33}, "more than 1000000"),
    ],
)
def test_a_hostile_router_gets_no_signature(extra, words):
    with pytest.raises(RemoteProtocolError, match=words):
        WampCra("joe", "secret").authenticate(cra(**extra))


# ---------------------------------------------------------------------- SCRAM


def challenge_to(client, method="wamp-scram", **extra):
    """Give a CHALLENGE that answers the client's HELLO, changed."""
    nonce = client.hello_details()["authextra"]["nonce"]
    costs = {"salt": "W22ZaJ0SNY7soEsUEjb6gQ==", "kdf": "pbkdf2", "iterations": 4096}
    return Challenge(authmethod=method, extra={"nonce": nonce + "abcd", **costs, **extra})


def test_the_vector_of_rfc_7677():
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    nonce = "rOprNGfwEbeRWgbNEkqO"
    both = nonce + "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    salted = scram.salted_passwords("pencil", salt, "pbkdf2", 4096, None)["wamp-scram"]
    message = scram.auth_message(
        "wamp-scram", "user", nonce, both, "W22ZaJ0SNY7soEsUEjb6gQ==", 4096
    )
    keys = scram.Keys.of(salted)
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert keys.has_proved(proof, message)
    assert not keys.has_proved(proof[:-1], message)
    verifier = base64.b64encode(keys.signature(message)).decode()
    assert verifier == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert repr(keys) == "Keys()"


def test_each_handshake_has_its_nonce():
    client = Scram("joe", "secret")
    one, other = client.hello_details(), client.hello_details()
    assert one["authmethods"] == ["scram", "wamp-scram"]
    assert one["authextra"]["nonce"] != other["authextra"]["nonce"]


def test_the_drafts_router_joins_octets_and_not_texts():
    """So does Crossbar: the text of both nonces does then not begin with the text of ours."""
    client = Scram("joe", "secret", random=bytes)
    nonce = base64.b64encode(bytes(16) + b"\xff" * 16).decode()
    assert client.authenticate(challenge_to(client, "scram", nonce=nonce)).extra == {}
    with pytest.raises(RemoteProtocolError, match="does not begin with ours"):
        client.authenticate(challenge_to(client, nonce=nonce))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"nonce": "abcd"}, "does not begin with ours"),
        ({"nonce": 5}, "nonce is an int"),
        ({"salt": 5}, "salt is an int"),
        ({"salt": "!"}, "salt is not 8 octets"),
        ({"salt": "AAAA"}, "salt is not 8 octets"),
        ({"kdf": "md5"}, "kdf is none"),
        ({"kdf": None}, "kdf is None"),
        ({"iterations": 1_000_001}, "iterations is 1000001"),
        ({"iterations": 100}, "iterations is 100"),
        ({"iterations": "4096"}, "iterations is a str"),
        ({"kdf": "argon2id13"}, "memory is None"),
        ({"kdf": "argon2id13", "memory": 64 * 1024 + 1}, "memory is 65537"),
        ({"kdf": "argon2id13", "memory": 8, "iterations": 4097}, "iterations is 4097"),
        ({"kdf": "argon2id13", "memory": 7}, "memory is 7"),
        ({"kdf": "argon2id-13", "memory": 513, "iterations": 4096}, "4096 passes over 513 KiB"),
        ({"kdf": "argon2id-13", "memory": 64 * 1024, "iterations": 33}, "33 passes over 65536"),
        ({"kdf": "argon2id-13", "memory": 8, "iterations": 3}, "passes over"),
    ],
)
def test_a_hostile_router_gets_no_proof(extra, words):
    client = Scram("joe", "secret")
    with pytest.raises(RemoteProtocolError, match=words):
        client.authenticate(challenge_to(client, **extra))


@pytest.mark.parametrize(("iterations", "memory"), [(4096, 512), (2, 19 * 1024), (3, 64 * 1024)])
def test_what_honest_routers_ask_is_computed(iterations, memory):
    """As Autobahn and Crossbar derive, as OWASP and as RFC 9106 advise."""
    from wampy.auth.scram import _costs

    extra = {"kdf": "argon2id13", "iterations": iterations, "memory": memory}
    challenge = challenge_to(Scram("joe", "secret"), **extra)
    assert _costs(challenge) == ("argon2id13", iterations, memory)


def test_our_own_nonce_alone_is_no_answer():
    client = Scram("joe", "secret", random=bytes)
    nonce = client.hello_details()["authextra"]["nonce"]
    for wrong in (nonce, nonce + ",x"):
        with pytest.raises(RemoteProtocolError, match="does not begin with ours"):
            client.authenticate(challenge_to(client, nonce=wrong))


def test_a_challenge_before_hello_is_refused():
    with pytest.raises(RemoteProtocolError, match="does not begin with ours"):
        Scram("joe", "secret").authenticate(Challenge(authmethod="scram", extra={"nonce": "x"}))


def test_a_welcome_without_a_challenge_is_refused():
    client = Scram("joe", "secret")
    client.authenticate(challenge_to(client))
    client.hello_details()
    with pytest.raises(RemoteProtocolError, match="without a CHALLENGE"):
        client.welcomed({})


@pytest.mark.parametrize(
    ("arguments", "what"), [(("\u0007", "secret"), "authid"), (("joe", "\u0007"), "secret")]
)
def test_what_saslprep_prohibits_is_no_name_and_no_password(arguments, what):
    with pytest.raises(LocalProtocolError, match=f"{what} has characters"):
        Scram(*arguments)


# ---------------------------------------------------------------------- cryptosign

SEED = "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510"


@pytest.mark.parametrize(
    ("seed", "challenge", "signature"),
    [
        (
            SEED,
            "ff" * 32,
            "b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0c"
            "ae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03",
        ),
        (
            "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
            "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
            "d4209ad10d5aff6bfbc009d7e924795de138a63515efc7afc6b01b7fe5201372"
            "190374886a70207b042294af5bd64ce725cd8dceb344e6d11c09d1aaaf4d660f",
        ),
    ],
)
def test_the_specs_vectors_of_cryptosign(seed, challenge, signature):
    """Spec: Advanced Profile, "Cryptosign-based Authentication", test vectors."""
    asked = Challenge(authmethod="cryptosign", extra={"challenge": challenge})
    answer = Cryptosign("joe", seed).authenticate(asked)
    assert answer == Authenticate(signature=signature + challenge, extra={})


def test_a_key_is_offered_with_or_without_a_name():
    client = Cryptosign(None, SEED)
    extra = {"pubkey": client.public_key, "channel_binding": None}
    assert client.hello_details() == {"authmethods": ["cryptosign"], "authextra": extra}
    assert Cryptosign("joe", SEED).hello_details()["authid"] == "joe"


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"challenge": 5},
        {"challenge": "ff" * 31},
        {"challenge": "zz" * 32},
        {"challenge": "ff" * 32, "channel_binding": "tls-unique"},
    ],
)
def test_a_key_signs_nothing_but_challenges(extra):
    with pytest.raises(RemoteProtocolError):
        Cryptosign("joe", SEED).authenticate(Challenge(authmethod="cryptosign", extra=extra))


@pytest.mark.parametrize("wrong", ["ff" * 31, "zz" * 32, "", 5, " f" * 32])
def test_a_private_key_is_32_octets_in_hex(wrong):
    with pytest.raises(LocalProtocolError, match=r"^private_key is") as failure:
        Cryptosign("joe", wrong)
    assert not wrong or str(wrong) not in str(failure.value)


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    "client", [WampCra("joe", "secret"), Scram("joe", "secret"), Cryptosign("joe", SEED)]
)
def test_no_client_shows_its_secret_or_answers_what_it_did_not_offer(client):
    assert "joe" in repr(client)
    assert "secret" not in repr(client)
    assert SEED not in repr(client)
    with pytest.raises(LocalProtocolError, match="asks for 'ticket', but only"):
        client.authenticate(Challenge(authmethod="ticket"))


@pytest.mark.parametrize("kind", [Ticket, WampCra, Scram])
def test_a_secret_that_is_no_utf_8_is_refused_unseen(kind):
    with pytest.raises(LocalProtocolError, match="lone surrogate") as failure:
        kind("joe", "secret\ud800")
    assert "secret\\ud800" not in repr(failure.value)
    assert failure.value.__suppress_context__


def test_there_is_nothing_else_to_import():
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        auth.Nothing  # noqa: B018 - an attribute that is not there is the point


def test_a_start_does_not_load_openssl():
    """Peers and the orchestrator join with tickets, and are to start in no time."""
    code = "import sys, wampy.session; sys.exit('_hashlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_scram_checks_the_welcome():
    for client in (Anonymous(), Ticket("joe", "x"), WampCra("joe", "x"), Cryptosign("joe", SEED)):
        client.welcomed({})
