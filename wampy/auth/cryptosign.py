"""WAMP-Cryptosign: an Ed25519 key, of which the Router knows the public half.

With channel binding the signature is over the challenge XOR the id of the TLS connection. Whoever
passes a login on from one TLS connection to another, as it is, is found out by that. The spec's XOR
does no more: who ends both connections knows both ids, can put their difference into the challenge
that he passes on, and gets the signature that the Router waits for. What keeps such a one away is
the Router's certificate, which is verified always.

Spec: Advanced Profile, "Cryptosign-based Authentication" and "TLS Channel Binding".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wampy.auth.basic import check_offered, text_in, text_of, xor
from wampy.errors import LocalProtocolError, RemoteProtocolError, kind_of
from wampy.messages import Authenticate, Challenge

#: Octets of a private key's seed, of a public key, of a challenge and of a connection's id.
KEY_BYTES = 32
#: Octets of a signature, without the message that follows it.
SIGNATURE_BYTES = 64
#: By what a login may be bound to its connection. The spec's ``tls-exporter`` is none of these:
#: Python's ``ssl`` does not have it, nor does any Router that we know.
CHANNEL_BINDINGS = ("tls-unique",)


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
        channel_binding: ``"tls-unique"`` has the signature hold for this TLS connection only, with
            TLS 1.2 and 1.3: one that somebody passes on to the Router over another is worth
            nothing. None: it holds over any. Where it was asked for there is no Session without:
            not over a URL without TLS, nor with a Router that does not take it.

    Raises:
        LocalProtocolError: the authid is no text, or empty; the key is none; there is no such
            channel binding; pynacl is missing.
    """

    authmethods: tuple[str, ...] = ("cryptosign",)
    sends_secret = False

    def __init__(
        self, authid: str | None, private_key: str, channel_binding: str | None = None
    ) -> None:
        self.authid = None if authid is None else text_of("authid", authid)
        seed = from_hex(text_of("private_key", private_key), KEY_BYTES)
        if seed is None:
            raise LocalProtocolError(f"private_key is not {KEY_BYTES} octets in hex")
        if channel_binding is not None and channel_binding not in CHANNEL_BINDINGS:
            known = ", ".join(map(repr, CHANNEL_BINDINGS))
            raise LocalProtocolError(
                f"channel_binding is {channel_binding!r}; expected {known} or None"
            )
        self.channel_binding = channel_binding
        #: Of the connection; None before there is one, or where nothing is bound to it.
        self._channel_id: bytes | None = None
        self._has_signed = False
        self._key = signing().SigningKey(seed)
        #: What the Router is to know, in hex.
        self.public_key: str = self._key.verify_key.encode().hex()

    def __repr__(self) -> str:
        return f"Cryptosign(authid={self.authid!r}, public_key={self.public_key!r})"

    def bind(self, channel_id: bytes) -> None:
        """Take note of the connection that the signature is to hold for."""
        self._channel_id = channel_id

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it.

        Raises:
            LocalProtocolError: it is to be bound to a connection, and nobody said to which.
        """
        self._has_signed = False
        if self.channel_binding is not None and self._channel_id is None:
            raise LocalProtocolError(
                f"channel binding {self.channel_binding} needs the id of a TLS connection, "
                "and there is none"
            )
        details: dict[str, Any] = {
            "authmethods": list(self.authmethods),
            "authextra": {"pubkey": self.public_key, "channel_binding": self.channel_binding},
        }
        if self.authid is not None:
            details["authid"] = self.authid
        return details

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Sign the Router's CHALLENGE.

        Raises:
            LocalProtocolError: it asks for another method than was offered.
            RemoteProtocolError: the challenge is none, or of another length; or it is not of the
                channel binding that was asked for, or of one where none was.
        """
        check_offered(challenge, self.authmethods)
        self._check_binding((challenge.extra or {}).get("channel_binding"))
        # Never anything but 32 octets: the key signs nothing else that a Router makes up.
        message = from_hex(text_in(challenge, "challenge"), KEY_BYTES)
        if message is None:
            raise RemoteProtocolError(f"CHALLENGE.Extra.challenge is not {KEY_BYTES} octets in hex")
        if self.channel_binding is not None:
            assert self._channel_id is not None  # else there was no HELLO
            message = xor(message, self._channel_id)
        # PyNaCl gives the signature and the message behind it: what the spec wants.
        signed: bytes = self._key.sign(message)
        self._has_signed = True
        return Authenticate(signature=signed.hex(), extra={})

    def _check_binding(self, binding: object) -> None:
        """Refuse a Router that left the binding out, although the spec lets it: no downgrade."""
        if binding == self.channel_binding:
            return
        if self.channel_binding is None:
            raise RemoteProtocolError("CHALLENGE.Extra.channel_binding was not asked for")
        got = f"is {kind_of(binding)}"
        if binding is None:
            got = "is missing"
        elif isinstance(binding, str):
            got = "is another one"
        raise RemoteProtocolError(
            f"CHALLENGE.Extra.channel_binding {got}; {self.channel_binding} was asked for"
        )

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Check that the Router asked before it welcomed, where a binding was to be proved.

        Raises:
            RemoteProtocolError: it did not.
        """
        if self.channel_binding is not None and not self._has_signed:
            raise RemoteProtocolError(
                f"WELCOME without a CHALLENGE; channel binding {self.channel_binding} was asked for"
            )
