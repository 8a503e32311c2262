"""WAMP-Cryptosign: a signature with an Ed25519 key.

A client that asks for a channel binding has it, or does not join: the spec would let the Router go
on without, which is what somebody between the two would do.

Spec: Advanced Profile, "Cryptosign-based Authentication" and "TLS Channel Binding".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from wampy.auth.basic import xor
from wampy.auth.cryptosign import (
    CHANNEL_BINDINGS,
    KEY_BYTES,
    SIGNATURE_BYTES,
    from_hex,
    signing,
)
from wampy.errors import LocalProtocolError
from wampy.messages import Authenticate, Challenge
from wampy.router.authentication.hello import Attempt, violation
from wampy.router.authentication.method import AUTHPROVIDER, Method, check_names
from wampy.router.authentication.outcomes import (
    AUTHENTICATION_FAILED,
    PROTOCOL_VIOLATION,
    Identity,
    Pending,
    Rejected,
)
from wampy.router.authentication.principals import CryptosignPrincipal


class CryptosignMethod(Method):
    """Principals with public keys.

    Raises:
        LocalProtocolError: a principal is none, or pynacl is missing.
    """

    names = ("cryptosign",)
    needs_authid = False

    def __init__(
        self, principals: Mapping[str, CryptosignPrincipal], random: Callable[[int], bytes]
    ) -> None:
        self._random = random
        self._signing = signing()
        self._roles: dict[str, str] = {}
        self._owners: dict[bytes, list[str]] = {}
        for authid, principal in principals.items():
            check_names("cryptosign", authid, principal.role)
            keys = principal.authorized_keys
            if isinstance(keys, str) or not keys:
                raise LocalProtocolError(
                    f"cryptosign.{authid}: authorized_keys is no list of keys, or empty"
                )
            self._roles[authid] = principal.role
            for key in keys:
                octets = from_hex(key, KEY_BYTES)
                if octets is None:
                    raise LocalProtocolError(
                        f"cryptosign.{authid}: an authorized key is not {KEY_BYTES} octets in hex"
                    )
                owners = self._owners.setdefault(octets, [])
                if authid not in owners:
                    owners.append(authid)

    def has(self, authid: str) -> bool:
        """See ``Method.has``."""
        return authid in self._roles

    def begin(self, method: str, attempt: Attempt) -> Pending | Rejected:
        """See ``Method.begin``.

        The client names its key: whoever it is, the signature is checked with that key, and only
        then it counts whether the key is one that may join.
        """
        given = attempt.authextra.get("pubkey")
        if not isinstance(given, str):
            return violation("authextra.pubkey", given, "a text")
        public_key = from_hex(given, KEY_BYTES)
        if public_key is None:
            return Rejected(
                PROTOCOL_VIOLATION,
                f"HELLO.Details.authextra.pubkey is not {KEY_BYTES} octets in hex",
            )
        binding = attempt.authextra.get("channel_binding")
        obstacle = None if binding is None else _obstacle(binding, attempt.channel_id)
        if obstacle is not None:
            return Rejected(AUTHENTICATION_FAILED, obstacle)
        owners = self._owners.get(public_key, ())
        authid = attempt.authid
        if authid is None and len(owners) == 1:
            (authid,) = owners
        role = self._roles[authid] if authid is not None and authid in owners else None
        message = challenge = self._random(KEY_BYTES)
        if binding is not None and attempt.channel_id is not None:
            message = xor(challenge, attempt.channel_id)

        def check(authenticate: Authenticate) -> Identity | None:
            signed = from_hex(authenticate.signature, SIGNATURE_BYTES + KEY_BYTES)
            if signed is None or not hmac.compare_digest(signed[SIGNATURE_BYTES:], message):
                return None
            if not self._has_signed(public_key, message, signed[:SIGNATURE_BYTES]):
                return None
            if authid is None or role is None:
                return None
            return Identity(authid, role, method, AUTHPROVIDER)

        extra = {"challenge": challenge.hex(), "channel_binding": binding}
        return Pending(Challenge(authmethod=method, extra=extra), check)

    def _has_signed(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            self._signing.VerifyKey(public_key).verify(message, signature)
        except self._signing.exc.BadSignatureError:
            return False
        return True


def _obstacle(binding: object, channel_id: bytes | None) -> str | None:
    """Say why a login cannot be bound to its connection; None: it can."""
    if binding not in CHANNEL_BINDINGS:
        known = " or ".join(CHANNEL_BINDINGS)
        return f"no such channel binding here; channel_binding must be {known}, or null"
    if channel_id is None:
        return (
            f"channel binding {binding} needs TLS up to this router, and no resumed session; "
            "use wss:// or tcps://, or channel_binding null"
        )
    return None
