"""A login that is bound to its TLS connection: the client's side, without one."""

from __future__ import annotations

from typing import Any

import pytest

from wampy.auth import (
    Anonymous,
    AnyOf,
    Authentication,
    Cryptosign,
    Scram,
    Ticket,
    TlsCertificate,
    WampCra,
)
from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.messages import Authenticate, Challenge, Welcome
from wampy.protocol.received import Challenged
from wampy.protocol.session import ClientProtocol

SEED = "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510"
CHANNEL_ID = bytes.fromhex("62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff")
#: Seed, challenge, and the signature of both with the id above.
VECTORS = [
    (
        SEED,
        "ff" * 32,
        "9b6f41540c9b95b4b7b281c3042fa9c54cef43c842d62ea3fd6030fcb66e70b3"
        "e80d49d44c29d1635da9348d02ec93f3ed1ef227dfb59a07b580095c2b82f80f"
        "9d16ca518aa0c2b707f2b2a609edeca73bca8dd59817a633f35574ac6fd80d00",
    ),
    (
        "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
        "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
        "305aaa3ac25e98f651427688b3fc43fe7d8a68a7ec1d7d61c61517c519bd4a42"
        "7c3015599d83ca28b4c652333920223844ef0725eb5dc2febfd6af7677b73f01"
        "d0852a29b460fc92ec943242ac638a053bbacc200512b18b30d15083cbdc9282",
    ),
]


def bound(seed: str = SEED) -> Cryptosign:
    client = Cryptosign("joe", seed, channel_binding="tls-unique")
    client.bind(CHANNEL_ID)
    client.hello_details()
    return client


def challenge(**changes: Any) -> Challenge:
    extra = {"challenge": "ff" * 32, "channel_binding": "tls-unique", **changes}
    return Challenge(authmethod="cryptosign", extra=extra)


@pytest.mark.parametrize(("seed", "asked", "signature"), VECTORS)
def test_the_specs_vectors_with_a_channel_id(seed: str, asked: str, signature: str) -> None:
    """Spec: Advanced Profile, "Cryptosign-based Authentication", test vectors."""
    answer = bound(seed).authenticate(challenge(challenge=asked))
    assert answer == Authenticate(signature=signature, extra={})


def test_a_binding_is_asked_for_in_hello() -> None:
    client = bound()
    extra = client.hello_details()["authextra"]
    assert extra == {"pubkey": client.public_key, "channel_binding": "tls-unique"}


@pytest.mark.parametrize("wrong", ["tls-exporter", "TLS-UNIQUE", "", 5, True, ["tls-unique"]])
def test_a_wrong_binding_is_refused_and_the_right_ones_named(wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match="expected 'tls-unique' or None"):
        Cryptosign("joe", SEED, channel_binding=wrong)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"channel_binding": None}, "is missing; tls-unique was asked for"),
        ({"channel_binding": "tls-exporter"}, "is another one; tls-unique was asked for"),
        ({"channel_binding": 5}, "is an int; tls-unique was asked for"),
    ],
)
def test_a_router_that_leaves_the_binding_out_gets_no_signature(
    extra: dict[str, Any], words: str
) -> None:
    """The spec lets a Router go on without; so would somebody between the two."""
    with pytest.raises(RemoteProtocolError, match=words):
        bound().authenticate(challenge(**extra))
    left_out = Challenge(authmethod="cryptosign", extra={"challenge": "ff" * 32})
    with pytest.raises(RemoteProtocolError, match="is missing"):
        bound().authenticate(left_out)


def test_a_router_that_does_not_ask_for_the_proof_is_left() -> None:
    client = bound()
    with pytest.raises(RemoteProtocolError, match="WELCOME without a CHALLENGE"):
        client.welcomed({})
    client.authenticate(challenge())
    client.welcomed({})
    client.hello_details()  # a new handshake
    with pytest.raises(RemoteProtocolError, match="WELCOME without a CHALLENGE"):
        client.welcomed({})


def test_without_a_connection_to_bind_to_there_is_no_hello() -> None:
    protocol = ClientProtocol("realm1", Cryptosign("joe", SEED, "tls-unique"))
    with pytest.raises(LocalProtocolError, match="needs the id of a TLS connection"):
        protocol.hello()


def test_sessions_of_one_client_are_bound_to_connections_of_their_own() -> None:
    client = Cryptosign("joe", SEED, channel_binding="tls-unique")
    one, other = ClientProtocol("realm1", client), ClientProtocol("realm1", client)
    one.bind(CHANNEL_ID)
    other.bind(bytes(32))
    answers = set()
    for protocol in (one, other):
        assert protocol.channel_binding == "tls-unique"
        protocol.hello()
        answered = protocol.receive(challenge())
        assert isinstance(answered, Challenged)
        answers.add(answered.authenticate.signature)
        protocol.receive(Welcome(session_id=1))
    assert len(answers) == 2
    assert VECTORS[0][2] in answers
    with pytest.raises(LocalProtocolError, match="there is none"):
        client.hello_details()  # what they were made of knows no connection


@pytest.mark.parametrize(
    "client",
    [
        Anonymous(), Ticket("joe", "x"), WampCra("joe", "x"), Scram("joe", "x"), TlsCertificate(),
        Cryptosign("joe", SEED), AnyOf([Cryptosign("joe", SEED), Scram("joe", "x")]),
    ],
)  # fmt: skip
def test_nothing_else_is_bound(client: Any) -> None:
    assert client.channel_binding is None
    before = client.hello_details().get("authextra", {}).get("channel_binding")
    client.bind(CHANNEL_ID)
    assert before is None is client.hello_details().get("authextra", {}).get("channel_binding")


def test_one_of_several_methods_may_be_bound() -> None:
    several = AnyOf([Ticket("joe", "x"), Cryptosign("joe", SEED, "tls-unique")])
    assert several.channel_binding == "tls-unique"
    protocol = ClientProtocol("realm1", several)
    protocol.bind(CHANNEL_ID)
    details = protocol.hello().details or {}
    assert details["authextra"]["channel_binding"] == "tls-unique"
    answered = protocol.receive(challenge())
    assert isinstance(answered, Challenged)
    assert answered.authenticate.signature == VECTORS[0][2]


def test_a_bound_key_is_not_offered_beside_scram_which_would_unbind_it() -> None:
    """Both write HELLO.Details.authextra.channel_binding."""
    methods: list[Authentication] = [Cryptosign("joe", SEED, "tls-unique"), Scram("joe", "x")]
    for offered in (methods, methods[::-1]):
        with pytest.raises(LocalProtocolError, match="offer one of them"):
            AnyOf(offered)
