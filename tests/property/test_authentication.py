"""Whatever a client sends to the Router's authentication: an answer, and nobody gets in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wampy.auth import Cryptosign
from wampy.auth.basic import base64_text
from wampy.messages import Authenticate
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    Pending,
    Rejected,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)

PUBLIC_KEY = Cryptosign(None, "4d57d97a" * 8).public_key
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["anonymous", "ticket", "wampcra", "scram", "wamp-scram", "cryptosign"])
NONCE = base64_text(bytes(16))
EVERYBODY = Authenticator(
    anonymous=None,
    ticket={"joe": TicketPrincipal(role="r", secret="s3cret")},
    wampcra={
        "joe": WampCraPrincipal(role="r", secret="s3cret", iterations=10),
        "ann": WampCraPrincipal(role="r", secret="s3cret"),
    },
    scram={"joe": ScramPrincipal(role="r", secret="s3cret", kdf="pbkdf2", iterations=4096)},
    cryptosign={"joe": CryptosignPrincipal(role="r", authorized_keys=[PUBLIC_KEY])},
)


@given(
    authmethods=st.lists(NAMES | st.text(), max_size=3) | JSONISH,
    authid=st.sampled_from(["joe", "ann"]) | JSONISH,
    authextra=st.fixed_dictionaries(
        {},
        optional={
            "nonce": st.just(NONCE) | JSONISH,
            "pubkey": st.just(PUBLIC_KEY) | JSONISH,
            "channel_binding": st.none() | st.just("tls-unique") | JSONISH,
        },
    )
    | JSONISH,
    channel_id=st.none() | st.binary(min_size=32, max_size=32),
    answer=st.builds(
        Authenticate,
        signature=st.text() | st.binary(max_size=96).map(base64_text),
        extra=st.dictionaries(st.sampled_from(["nonce", "channel_binding"]), JSONISH),
    ),
)
def test_whatever_comes_is_no_exception_and_lets_nobody_in(
    authmethods, authid, authextra, channel_id, answer
):
    outcome = EVERYBODY.begin(
        {"authmethods": authmethods, "authid": authid, "authextra": authextra},
        session_id=1,
        is_loopback_or_private=True,
        now_s=0.0,
        channel_id=channel_id,
    )
    if isinstance(outcome, Pending):
        outcome.challenge.construct()
        outcome = outcome.finish(answer)
    assert isinstance(outcome, Rejected)
    outcome.abort().construct()
