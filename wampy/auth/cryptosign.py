"""WAMP-Cryptosign: an Ed25519 key, of which the Router knows the public half.

Spec: Advanced Profile, "Cryptosign-based Authentication". Without channel binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wampy.auth.basic import check_offered, text_in, text_of
from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.messages import Authenticate, Challenge

#: Octets of a private key's seed, of a public key and of a challenge.
KEY_BYTES = 32
#: Octets of a signature, without the message that follows it.
SIGNATURE_BYTES = 64


def signing() -> Any:
    """Give ``nacl.signing``; imported late, for few programs need it.

    Raises:
        LocalProtocolError: it is not installed.
    """
    try:
        import nacl.signing
    except ImportError as error:
        raise LocalProtocolError(
            'cryptosign needs pynacl: pip install "wampy-stack[cryptosign]"'
        ) from error
    return nacl.signing


def from_hex(text: Any, length: int) -> bytes | None:
    """Give the octets of a hex text; None where it is none, or of another length."""
    # bytes.fromhex would take white space as well.
    if not isinstance(text, str) or len(text) != 2 * length or not text.isalnum():
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


class Cryptosign:
    """A principal with a private key; never shown in ``repr``.

    Args:
        authid: who it is; None lets the Router tell by the key.
        private_key: the 32 octets of the Ed25519 seed, in hex.

    Raises:
        LocalProtocolError: the authid is no text, or empty; the key is none; pynacl is missing.
    """

    authmethods: tuple[str, ...] = ("cryptosign",)
    sends_secret = False

    def __init__(self, authid: str | None, private_key: str) -> None:
        self.authid = None if authid is None else text_of("authid", authid)
        seed = from_hex(text_of("private_key", private_key), KEY_BYTES)
        if seed is None:
            raise LocalProtocolError(f"private_key is not {KEY_BYTES} octets in hex")
        self._key = signing().SigningKey(seed)
        #: What the Router is to know, in hex.
        self.public_key: str = self._key.verify_key.encode().hex()

    def __repr__(self) -> str:
        return f"Cryptosign(authid={self.authid!r}, public_key={self.public_key!r})"

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it."""
        details: dict[str, Any] = {
            "authmethods": list(self.authmethods),
            "authextra": {"pubkey": self.public_key, "channel_binding": None},
        }
        if self.authid is not None:
            details["authid"] = self.authid
        return details

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Sign the Router's CHALLENGE.

        Raises:
            LocalProtocolError: it asks for another method than was offered.
            RemoteProtocolError: the challenge is none, or of another length; or it wants a channel
                binding, which was not offered.
        """
        check_offered(challenge, self.authmethods)
        binding = (challenge.extra or {}).get("channel_binding")
        if binding is not None:
            raise RemoteProtocolError("CHALLENGE.Extra.channel_binding was not asked for")
        # Never anything but 32 octets: the key signs nothing else that a Router makes up.
        message = from_hex(text_in(challenge, "challenge"), KEY_BYTES)
        if message is None:
            raise RemoteProtocolError(f"CHALLENGE.Extra.challenge is not {KEY_BYTES} octets in hex")
        # PyNaCl gives the signature and the message behind it: what the spec wants.
        signed: bytes = self._key.sign(message)
        return Authenticate(signature=signed.hex(), extra={})

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Take note of WELCOME.Details; there is nothing to check."""
