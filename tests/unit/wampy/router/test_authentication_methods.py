"""What is peculiar to one method of the Router's authentication."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.unit.wampy.router.joining import (
    ARGON,
    CRA,
    FAILED,
    METHODS,
    OTHER_SEED,
    SALTED,
    SCRAM,
    SEED,
    SIGN,
    begin,
    join,
    made,
)
from wampy.auth import Cryptosign, Scram, Ticket, WampCra, member_ticket
from wampy.auth.basic import base64_text, from_base64, xor
from wampy.auth.scram import DRAFT, SPEC
from wampy.errors import RemoteProtocolError
from wampy.messages import Authenticate, Challenge
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    Identity,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)

# ---------------------------------------------------------------------- ticket


def test_a_family_has_a_ticket_for_each_member_and_nobody_elses():
    family = TicketPrincipal(role="peer", secret="s3cret", is_family=True)
    alone = TicketPrincipal(role="front", secret="s3cret")
    authenticator = Authenticator(anonymous=None, ticket={"peer": family, "joe": alone})
    own = member_ticket("s3cret", "peer:a#1")
    identity = join(authenticator, Ticket("peer:a#1", own))
    assert isinstance(identity, Identity)
    assert (identity.authid, identity.authrole) == ("peer:a#1", "peer")
    assert isinstance(join(authenticator, Ticket("peer", "s3cret")), Identity)
    for authid, ticket in [
        ("peer:b#1", own), ("peer", own), ("peer:a#1", "s3cret"), ("joe:a", own), ("peer:", own),
        ("joe:a", member_ticket("s3cret", "joe:a")), ("peer:", member_ticket("s3cret", "peer:")),
    ]:  # fmt: skip
        assert join(authenticator, Ticket(authid, ticket)) == FAILED


# ---------------------------------------------------------------------- WAMP-CRA


def test_a_challenge_says_all_that_the_spec_wants():
    pending = begin(made("wampcra"), METHODS["wampcra"][1].hello_details())
    challenge = json.loads(pending.challenge.extra["challenge"])
    assert challenge.pop("nonce")
    assert challenge == {
        "authid": "joe", "authrole": "frontend", "authmethod": "wampcra",
        "authprovider": "static", "session": 7, "timestamp": "2014-05-13T16:53:20.250Z",
    }  # fmt: skip
    assert datetime.fromisoformat("2014-05-13T16:53:20.250Z").timestamp() == 1_400_000_000.25


def test_a_salt_of_ones_own_is_used_and_imitated():
    principal = WampCraPrincipal(
        role="r", secret="s3cret", salt="salt123", iterations=1000, keylen=16
    )
    authenticator = Authenticator(anonymous=None, wampcra={"joe": principal})
    client = WampCra("joe", "s3cret")
    assert isinstance(join(authenticator, client), Identity)
    known = begin(authenticator, client.hello_details()).challenge.extra
    assert (known["salt"], known["iterations"], known["keylen"]) == ("salt123", 1000, 16)
    unknown = begin(authenticator, {**client.hello_details(), "authid": "eve"}).challenge.extra
    assert len(unknown["salt"]) == 7
    assert unknown["salt"].isalnum()
    assert unknown["salt"] == unknown["salt"].lower() != "salt123"


def test_a_strangers_salt_is_always_the_same():
    for name in ("salted", "scram"):
        authenticator = made(name)
        details = {**METHODS[name][1].hello_details(), "authid": "eve"}
        salts = [begin(authenticator, details).challenge.extra["salt"] for _ in range(2)]
        others = begin(authenticator, {**details, "authid": "bob"}).challenge.extra["salt"]
        elsewhere = begin(made(name), details).challenge.extra["salt"]
        assert salts[0] == salts[1]
        assert len({salts[0], others, elsewhere}) == 3


def test_strangers_are_doubles_of_different_principals():
    authenticator = Authenticator(anonymous=None, wampcra={"joe": CRA, "ann": SALTED})
    shapes = set()
    for number in range(40):
        details = {"authid": f"x{number}", "authmethods": ["wampcra"]}
        shapes.add("salt" in begin(authenticator, details).challenge.extra)
    assert shapes == {True, False}


# ---------------------------------------------------------------------- SCRAM


class DraftScram(Scram):
    """Offers what Autobahn offers."""

    authmethods = (DRAFT,)


class SpecScram(Scram):
    """Offers what the spec wants."""

    authmethods = (SPEC,)


@pytest.mark.parametrize("principal", [SCRAM, ARGON])
@pytest.mark.parametrize("kind", [DraftScram, SpecScram])
def test_both_dialects(kind, principal):
    authenticator = Authenticator(anonymous=None, scram={"joe": principal})
    client = kind("joe", "s3cret")
    identity = join(authenticator, client)
    assert identity.authmethod == client.authmethods[0]
    key = "verifier" if kind is SpecScram else "scram_server_signature"
    assert list(identity.authextra) == [key]
    pending = begin(authenticator, client.hello_details())
    assert pending.challenge.extra["kdf"] == {
        (SCRAM.kdf, DRAFT): "pbkdf2", (SCRAM.kdf, SPEC): "pbkdf2",
        (ARGON.kdf, DRAFT): "argon2id-13", (ARGON.kdf, SPEC): "argon2id13",
    }[principal.kdf, client.authmethods[0]]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"nonce": "x"}, {"nonce": None}, {"nonce": 5}, {"channel_binding": "tls-unique"}],
)
def test_what_comes_back_with_a_proof_counts(change):
    client = SpecScram("joe", "s3cret")
    pending = begin(made("scram"), client.hello_details())
    answer = client.authenticate(pending.challenge)
    tampered = Authenticate(signature=answer.signature, extra={**(answer.extra or {}), **change})
    assert pending.finish(tampered) == FAILED


def test_a_proof_without_its_nonce_is_none():
    client = SpecScram("joe", "s3cret")
    pending = begin(made("scram"), client.hello_details())
    signature = client.authenticate(pending.challenge).signature
    assert pending.finish(Authenticate(signature=signature)) == FAILED


def test_the_router_has_to_prove_itself():
    authenticator = made("scram")
    client = Scram("joe", "s3cret")
    identity = join(authenticator, client)
    verifier = identity.authextra["scram_server_signature"]
    client.welcomed({"authextra": {"verifier": f"v={verifier}"}})
    octets = from_base64(verifier) or b""
    for wrong in ("", "x", base64_text(octets[:-1]), base64_text(bytes(32)), None, 5):
        with pytest.raises(RemoteProtocolError, match="does not know the secret"):
            client.welcomed({"authextra": {"verifier": wrong}})
    for nothing in ({}, {"authextra": None}, {"authextra": "x"}):
        with pytest.raises(RemoteProtocolError, match="does not know the secret"):
            client.welcomed(nothing)


def test_names_and_passwords_are_prepared():
    """The client may spell them in another way; it joins under the manifest's spelling."""
    principal = ScramPrincipal(role="r", secret="pa\u00adss\u2168", kdf="pbkdf2", iterations=4096)
    authenticator = Authenticator(anonymous=None, scram={"jo\u212be": principal})
    for kind in (DraftScram, SpecScram):
        identity = join(authenticator, kind("jo\u00e5e".replace("\u00e5", "\u00c5"), "passIX"))
        assert identity.authid == "jo\u212be"


def test_odd_names_are_escaped():
    authenticator = Authenticator(anonymous=None, scram={"a=b,c": SCRAM})
    for kind in (DraftScram, SpecScram):
        assert join(authenticator, kind("a=b,c", "s3cret")).authid == "a=b,c"


# ---------------------------------------------------------------------- cryptosign


def test_a_key_is_enough():
    identity = join(made("cryptosign"), Cryptosign(None, SEED))
    assert identity.authid == "joe"
    assert join(made("cryptosign"), Cryptosign(None, OTHER_SEED)) == FAILED


def test_a_key_of_two_needs_a_name():
    authenticator = Authenticator(anonymous=None, cryptosign={"joe": SIGN, "ann": SIGN})
    assert join(authenticator, Cryptosign(None, SEED)) == FAILED
    assert join(authenticator, Cryptosign("ann", SEED)).authid == "ann"


def test_a_signature_of_another_challenge_is_none():
    client = Cryptosign("joe", SEED)
    pending = begin(made("cryptosign"), client.hello_details())
    other = Challenge(authmethod="cryptosign", extra={"challenge": "00" * 32})
    assert pending.finish(client.authenticate(other)) == FAILED


def test_keys_are_of_their_owner():
    key = Cryptosign(None, OTHER_SEED).public_key
    other = CryptosignPrincipal(role="r", authorized_keys=(key, key.upper()))
    authenticator = Authenticator(anonymous=None, cryptosign={"joe": SIGN, "ann": other})
    assert join(authenticator, Cryptosign("joe", OTHER_SEED)) == FAILED
    assert join(authenticator, Cryptosign("ann", OTHER_SEED)).authid == "ann"


# ---------------------------------------------------------------------- cryptosign, bound

OURS, ANOTHER = b"\x0f" * 32, b"\xf0" * 32


def bound(channel_id: bytes) -> Cryptosign:
    client = Cryptosign("joe", SEED, "tls-unique")
    client.bind(channel_id)
    return client


def join_over(client: Cryptosign, channel_id: bytes) -> object:
    pending = begin(made("cryptosign"), client.hello_details(), channel_id=channel_id)
    assert pending.challenge.extra["channel_binding"] == client.channel_binding
    return pending.finish(client.authenticate(pending.challenge))


def test_a_bound_signature_holds_for_its_connection_only():
    assert isinstance(join_over(bound(OURS), OURS), Identity)
    assert join_over(bound(OURS), ANOTHER) == FAILED


def test_who_asks_for_no_binding_joins_over_tls_as_before():
    assert isinstance(join_over(Cryptosign("joe", SEED), OURS), Identity)


def test_a_signature_of_the_bare_challenge_is_no_bound_one():
    """And the other way round: what was asked for in HELLO counts."""
    asked, unbound = bound(OURS), Cryptosign("joe", SEED)
    pending = begin(made("cryptosign"), asked.hello_details(), channel_id=OURS)
    bare = Challenge(
        authmethod="cryptosign", extra={**pending.challenge.extra, "channel_binding": None}
    )
    assert pending.finish(unbound.authenticate(bare)) == FAILED
    pending = begin(made("cryptosign"), unbound.hello_details(), channel_id=OURS)
    named = Challenge(
        authmethod="cryptosign", extra={**pending.challenge.extra, "channel_binding": "tls-unique"}
    )
    assert pending.finish(asked.authenticate(named)) == FAILED


def test_the_spec_s_xor_does_not_stop_who_knows_of_it():
    """Whoever ends both connections can pass on a challenge that makes up for the difference.

    A limit of the spec's, and of each Router's that follows it: the docs must not promise more.
    """
    client = bound(OURS)
    pending = begin(made("cryptosign"), client.hello_details(), channel_id=ANOTHER)
    challenge = bytes.fromhex(pending.challenge.extra["challenge"])
    extra = {"challenge": xor(challenge, xor(OURS, ANOTHER)).hex(), "channel_binding": "tls-unique"}
    signed = client.authenticate(Challenge(authmethod="cryptosign", extra=extra))
    assert isinstance(pending.finish(signed), Identity)
