"""WAMP-SCRAM: a password that neither travels nor is kept, and a Router that proves itself.

Two dialects, told apart by the name of the method:

- ``wamp-scram`` is the spec's;
- ``scram`` is Autobahn's and Crossbar's, of an older draft: ``argon2id-13`` is the name of the KDF,
  and of Argon2 the base64 text (without padding) is the salted password; the AuthMessage has
  nothing after ``c=``, and the authid unescaped; the nonce does not come back in AUTHENTICATE;
  the verifier is called ``scram_server_signature``.

Spec: Advanced Profile, "Salted Challenge Response Authentication Mechanism"; RFC 5802; RFC 7677.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wampy.auth.basic import (
    Unbound,
    base64_text,
    check_offered,
    from_base64,
    number_in,
    text_in,
    text_of,
    xor,
)
from wampy.errors import LocalProtocolError, RemoteProtocolError
from wampy.messages import Authenticate, Challenge

SPEC, DRAFT = "wamp-scram", "scram"
PBKDF2, ARGON2 = "pbkdf2", "argon2id13"
#: How each dialect spells Argon2id.
ARGON2_IN = {SPEC: ARGON2, DRAFT: "argon2id-13"}

#: What a Router may ask a client to compute, while it does nothing else: iterations of PBKDF2
#: (0.4 s); Argon2's passes, KiB, and KiB passed over in all (about 1 s). Autobahn derives with 4096
#: passes over 512 KiB, just what we go along with; OWASP advises 2 over 19 MiB, RFC 9106 3 over 64.
MAX_ITERATIONS = 1_000_000
MAX_PASSES = 4096
MAX_MEMORY_KIB = 64 * 1024
MAX_PASSED_KIB = MAX_PASSES * 512
#: Less makes the password an easy prey. PBKDF2's is that of RFC 7677, section 4.
MIN_ITERATIONS = 4096
MIN_PASSED_KIB = 4096

#: "n,,", the flag for no channel binding, in base64.
_NO_BINDING = "biws"
#: What SASLprep prohibits.
_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
    stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6,
    stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip


def normalized(text: str) -> str | None:
    """Give a name or password as SASLprep wants it; None where that prohibits it. RFC 4013."""
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if any(is_in(character) for character in prepared for is_in in _PROHIBITED):
        return None
    if any(map(stringprep.in_table_d1, prepared)) and (
        any(map(stringprep.in_table_d2, prepared))
        or not stringprep.in_table_d1(prepared[0])
        or not stringprep.in_table_d1(prepared[-1])
    ):
        return None
    return prepared


def salted_passwords(
    password: str, salt: bytes, kdf: str, iterations: int, memory_kib: int | None
) -> dict[str, bytes]:
    """Give the SaltedPassword of each dialect.

    Raises:
        LocalProtocolError: Argon2 is wanted and argon2-cffi is not installed.
    """
    prepared = normalized(password)
    octets = (password if prepared is None else prepared).encode()
    if kdf == PBKDF2:
        derived = hashlib.pbkdf2_hmac("sha256", octets, salt, iterations)
        return {SPEC: derived, DRAFT: derived}
    argon2 = _argon2()
    derived = argon2.hash_secret_raw(
        octets, salt, iterations, memory_kib, 1, 32, argon2.Type.ID, 19
    )
    # The draft's implementations do not normalize the password; ASCII ones are the same.
    return {SPEC: derived, DRAFT: base64_text(derived).rstrip("=").encode()}


def _argon2() -> Any:
    """Give ``argon2.low_level``; imported late, for few programs need it."""
    try:
        import argon2.low_level
    except ImportError as error:
        raise LocalProtocolError(
            'scram with Argon2 needs argon2-cffi: pip install "wampy-stack[scram]"'
        ) from error
    return argon2.low_level


@dataclass(frozen=True, slots=True)
class Keys:
    """What SCRAM makes of a salted password; the Router keeps no more than these.

    Attributes:
        stored: StoredKey; a proof is checked with it.
        server: ServerKey; the Router proves itself with it.
    """

    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)

    @classmethod
    def of(cls, salted_password: bytes) -> Keys:
        """Derive them."""
        return cls(
            stored=hashlib.sha256(client_key(salted_password)).digest(),
            server=hmac.digest(salted_password, b"Server Key", "sha256"),
        )

    def has_proved(self, proof: bytes, message: bytes) -> bool:
        """Whether the client that sent the ClientProof knows the password."""
        signature = hmac.digest(self.stored, message, "sha256")
        if len(proof) != len(signature):
            return False
        recovered = hashlib.sha256(xor(proof, signature)).digest()
        return hmac.compare_digest(recovered, self.stored)

    def signature(self, message: bytes) -> bytes:
        """Give the ServerSignature."""
        return hmac.digest(self.server, message, "sha256")


def client_key(salted_password: bytes) -> bytes:
    """Give the ClientKey."""
    return hmac.digest(salted_password, b"Client Key", "sha256")


def auth_message(
    method: str, authid: str, client_nonce: str, nonce: str, salt: str, iterations: int
) -> bytes:
    """Give the AuthMessage, which both signatures are over."""
    if method == SPEC:
        name, binding = authid.replace("=", "=3D").replace(",", "=2C"), _NO_BINDING
    else:
        name, binding = normalized(authid) or authid, ""
    return (
        f"n={name},r={client_nonce},r={nonce},s={salt},i={iterations},c={binding},r={nonce}"
    ).encode("utf-8", "surrogatepass")


class Scram(Unbound):
    """A principal with a password that is never sent, nor shown in ``repr``.

    It remembers one handshake: each Session that is made of it works on a copy of its own.

    Args:
        authid: who it is.
        secret: what proves it.
        random: gives so many random octets.

    Raises:
        LocalProtocolError: authid or secret is no text, or empty, or has characters that SASLprep
            prohibits; the text never shows the secret.
    """

    #: The draft's name first: Crossbar refuses a HELLO at the first name that it does not know.
    authmethods: tuple[str, ...] = (DRAFT, SPEC)
    sends_secret = False

    def __init__(
        self, authid: str, secret: str, *, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        prepared = normalized(text_of("authid", authid))
        if not prepared or not normalized(text_of("secret", secret)):
            what = "secret" if prepared else "authid"
            raise LocalProtocolError(f"{what} has characters that SASLprep prohibits")
        self.authid = prepared
        self._secret = secret
        self._random = random
        self._nonce = ""
        #: What the Router has to send in WELCOME; None before a CHALLENGE was answered.
        self._verifier: bytes | None = None

    def __repr__(self) -> str:
        return f"Scram(authid={self.authid!r})"

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of it; a new nonce each time."""
        self._nonce = base64_text(self._random(16))
        self._verifier = None
        return {
            "authmethods": list(self.authmethods),
            "authid": self.authid,
            "authextra": {"nonce": self._nonce, "channel_binding": None},
        }

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Prove to know the password.

        Raises:
            LocalProtocolError: it asks for another method than was offered, or argon2-cffi is not
                installed.
            RemoteProtocolError: it lacks something, is no answer to our nonce, or asks for too much
                work, or for so little that the proof would give the password away.
        """
        check_offered(challenge, self.authmethods)
        method = challenge.authmethod
        nonce = text_in(challenge, "nonce")
        if not self._is_answer(method, nonce):
            raise RemoteProtocolError("CHALLENGE.Extra.nonce does not begin with ours")
        salt = text_in(challenge, "salt")
        octets = from_base64(salt)
        # Argon2 takes no less; RFC 2898 advises as much for PBKDF2.
        if octets is None or len(octets) < 8:
            raise RemoteProtocolError("CHALLENGE.Extra.salt is not 8 octets or more in base64")
        kdf, iterations, memory_kib = _costs(challenge)
        salted = salted_passwords(self._secret, octets, kdf, iterations, memory_kib)[method]
        message = auth_message(method, self.authid, self._nonce, nonce, salt, iterations)
        keys = Keys.of(salted)
        self._verifier = keys.signature(message)
        proof = xor(client_key(salted), hmac.digest(keys.stored, message, "sha256"))
        extra = {"nonce": nonce, "channel_binding": None, "cbind_data": None}
        return Authenticate(signature=base64_text(proof), extra=extra if method == SPEC else {})

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Check that the Router knows the password as well; before that it could be anyone.

        Raises:
            RemoteProtocolError: it does not, or it welcomes without having asked.
        """
        if self._verifier is None:
            raise RemoteProtocolError("WELCOME without a CHALLENGE; scram was asked for")
        extra = details.get("authextra")
        extra = extra if isinstance(extra, Mapping) else {}
        given = extra.get("verifier", extra.get("scram_server_signature"))
        # The spec's text says base64, its example has RFC 5802's "v=" ahead of it; we take both.
        signature = from_base64(given.removeprefix("v=")) if isinstance(given, str) else None
        if signature is None or not hmac.compare_digest(signature, self._verifier):
            raise RemoteProtocolError(
                "WELCOME.Details.authextra.verifier is wrong: the router does not know the secret"
            )

    def _is_answer(self, method: str, nonce: str) -> bool:
        """Whether the Router's nonce begins with ours, and has something of its own."""
        if "," in nonce or not self._nonce:
            return False
        if nonce.startswith(self._nonce):
            return len(nonce) > len(self._nonce)
        # The draft's Router puts the octets together, and not their texts.
        ours, both = from_base64(self._nonce) or b"", from_base64(nonce) or b""
        return method == DRAFT and both.startswith(ours) and len(both) > len(ours)


def _costs(challenge: Challenge) -> tuple[str, int, int | None]:
    """Give KDF, iterations and memory that a CHALLENGE asks for, as far as we go along.

    Raises:
        RemoteProtocolError: too much, too little, or an unknown KDF.
    """
    kdf = text_in(challenge, "kdf")
    if kdf == PBKDF2:
        return PBKDF2, number_in(challenge, "iterations", MIN_ITERATIONS, MAX_ITERATIONS), None
    if kdf not in ARGON2_IN.values():
        raise RemoteProtocolError("CHALLENGE.Extra.kdf is none that we know")
    iterations = number_in(challenge, "iterations", 1, MAX_PASSES)
    memory_kib = number_in(challenge, "memory", 8, MAX_MEMORY_KIB)
    if not MIN_PASSED_KIB <= iterations * memory_kib <= MAX_PASSED_KIB:
        raise RemoteProtocolError(
            f"CHALLENGE asks for {iterations} passes over {memory_kib} KiB; expected "
            f"{MIN_PASSED_KIB} to {MAX_PASSED_KIB} KiB in all"
        )
    return ARGON2, iterations, memory_kib
