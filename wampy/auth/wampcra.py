"""WAMP-CRA: a shared secret that never travels.

Spec: Advanced Profile, "Challenge Response Authentication".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from wampy.auth.basic import (
    Unbound,
    base64_text,
    check_offered,
    number_in,
    text_in,
    text_of,
)
from wampy.errors import RemoteProtocolError
from wampy.messages import Authenticate, Challenge

#: What a Router may ask a client to compute.
MAX_ITERATIONS = 1_000_000
MAX_KEYLEN = 1024

#: PBKDF2 pays its iterations once for so many octets of the key.
_BLOCK = hashlib.sha256().digest_size


def derive_key(secret: str, salt: str, iterations: int, keylen: int) -> bytes:
    """Give the key that a salted secret signs with.

    The spec leaves open that the key is the base64 text of what PBKDF2 gives, and that the salt is
    taken as it is spelt: so do Autobahn and Crossbar, and so do all that work with them.
    """
    derived = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt.encode(), iterations, keylen)
    return base64_text(derived).encode()


def sign(key: bytes, challenge: str) -> str:
    """Give the signature of a challenge, as it goes on the wire."""
    return base64_text(hmac.digest(key, challenge.encode(), "sha256"))


class WampCra(Unbound):
    """A principal with a secret that is never sent, nor shown in ``repr``.

    Args:
        authid: who it is.
        secret: what proves it.

    Raises:
        LocalProtocolError: one of them is no text, or empty; the text never shows the secret.
    """

    authmethods: tuple[str, ...] = ("wampcra",)
    sends_secret = False

    def __init__(self, authid: str, secret: str) -> None:
        self.authid = text_of("authid", authid)
        self._secret = text_of("secret", secret)

    def __repr__(self) -> str:
        return f"WampCra(authid={self.authid!r})"

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it."""
        return {"authmethods": list(self.authmethods), "authid": self.authid}

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Sign the Router's CHALLENGE, with a key derived from the secret where it names a salt.

        Raises:
            LocalProtocolError: it asks for another method than was offered.
            RemoteProtocolError: it lacks something, or asks for too much work.
        """
        check_offered(challenge, self.authmethods)
        text = text_in(challenge, "challenge")
        key = self._secret.encode()
        if (challenge.extra or {}).get("salt") is not None:
            salt = text_in(challenge, "salt")
            iterations = number_in(challenge, "iterations", 1, MAX_ITERATIONS)
            keylen = number_in(challenge, "keylen", 1, MAX_KEYLEN)
            if iterations * -(-keylen // _BLOCK) > MAX_ITERATIONS:
                raise RemoteProtocolError(
                    f"CHALLENGE asks for {iterations} iterations of {keylen} octets; "
                    f"that is more than {MAX_ITERATIONS} iterations"
                )
            key = derive_key(self._secret, salt, iterations, keylen)
        return Authenticate(signature=sign(key, text), extra={})

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Take note of WELCOME.Details; there is nothing to check."""
