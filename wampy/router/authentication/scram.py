"""WAMP-SCRAM: a proof of the password, answered by one of the Router.

Spec: Advanced Profile, "Salted Challenge Response Authentication Mechanism".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wampy.auth.basic import base64_text, from_base64, text_of
from wampy.auth.scram import (
    ARGON2,
    ARGON2_IN,
    DRAFT,
    MAX_ITERATIONS,
    MAX_MEMORY_KIB,
    MAX_PASSED_KIB,
    MAX_PASSES,
    MIN_ITERATIONS,
    MIN_PASSED_KIB,
    PBKDF2,
    SPEC,
    Keys,
    auth_message,
    normalized,
    salted_passwords,
)
from wampy.errors import LocalProtocolError
from wampy.messages import Authenticate, Challenge
from wampy.router.authentication.decoys import Decoys
from wampy.router.authentication.hello import Attempt, violation
from wampy.router.authentication.method import (
    AUTHPROVIDER,
    Method,
    check_names,
    checked_number,
    chosen,
)
from wampy.router.authentication.outcomes import (
    AUTHENTICATION_FAILED,
    PROTOCOL_VIOLATION,
    Identity,
    Pending,
    Rejected,
)
from wampy.router.authentication.principals import ScramPrincipal

#: The costs where the manifest says nothing; see ``ScramPrincipal``.
DEFAULT_ITERATIONS = {ARGON2: 2, PBKDF2: 100_000}
DEFAULT_MEMORY_KIB = 19 * 1024

#: The answer to a client that wants its login bound to its TLS connection.
_NO_BINDING = Rejected(
    AUTHENTICATION_FAILED, "scram has no channel binding here; channel_binding must be null"
)

#: So many characters a client's nonce may have; 24 are usual.
_MAX_NONCE = 256


@dataclass(frozen=True, slots=True)
class _Credential:
    """A principal as it is kept: without the password.

    Attributes:
        authid: as the manifest spells it.
        role: of the principal.
        keys: by dialect.
        kdf: how they were derived from the password; and at what costs.
    """

    authid: str
    role: str
    keys: Mapping[str, Keys]
    kdf: str
    iterations: int
    memory_kib: int | None


class ScramMethod(Method):
    """Principals with passwords. Keys are derived once, here, which takes as long as the KDF does.

    Raises:
        LocalProtocolError: a principal is none, or argon2-cffi is missing.
    """

    names = (SPEC, DRAFT)

    def __init__(
        self,
        principals: Mapping[str, ScramPrincipal],
        decoys: Decoys,
        random: Callable[[int], bytes],
    ) -> None:
        self._decoys = decoys
        self._random = random
        self._credentials: dict[str, _Credential] = {}
        for authid, principal in principals.items():
            check_names("scram", authid, principal.role)
            name = normalized(authid)
            if not name or name in self._credentials:
                raise LocalProtocolError(
                    f"scram.{authid}: SASLprep prohibits the authid, or makes it another's"
                )
            self._credentials[name] = self._credential(authid, name, principal)

    def _credential(self, authid: str, name: str, principal: ScramPrincipal) -> _Credential:
        secret = text_of(f"scram.{authid}: secret", principal.secret)
        if not normalized(secret):
            raise LocalProtocolError(f"scram.{authid}: SASLprep prohibits the secret")
        kdf = principal.kdf
        if kdf not in DEFAULT_ITERATIONS:
            raise LocalProtocolError(
                f"scram.{authid}: kdf is {kdf!r}; expected one of {', '.join(DEFAULT_ITERATIONS)}"
            )
        iterations, memory_kib = principal.iterations, principal.memory_kib
        iterations = checked_number(
            "scram",
            authid,
            "iterations",
            DEFAULT_ITERATIONS[kdf] if iterations is None else iterations,
            MIN_ITERATIONS if kdf == PBKDF2 else 1,
            MAX_ITERATIONS if kdf == PBKDF2 else MAX_PASSES,
        )
        if kdf == PBKDF2:
            memory_kib = None
        else:
            memory_kib = checked_number(
                "scram",
                authid,
                "memory_kib",
                DEFAULT_MEMORY_KIB if memory_kib is None else memory_kib,
                8,
                MAX_MEMORY_KIB,
            )
            # What a client of ours refuses would be of no use.
            passed = iterations * memory_kib
            checked_number(
                "scram", authid, "iterations * memory_kib", passed, MIN_PASSED_KIB, MAX_PASSED_KIB
            )
        salt = self._decoys.salt("scram", name)
        salted = salted_passwords(secret, salt, kdf, iterations, memory_kib)
        keys = {dialect: Keys.of(password) for dialect, password in salted.items()}
        return _Credential(authid, principal.role, keys, kdf, iterations, memory_kib)

    def has(self, authid: str) -> bool:
        """See ``Method.has``."""
        return _name(authid) in self._credentials

    def begin(self, method: str, attempt: Attempt) -> Pending | Rejected:
        """See ``Method.begin``."""
        authid = attempt.authid or ""
        client_nonce = _client_nonce(attempt)
        if isinstance(client_nonce, Rejected):
            return client_nonce
        if attempt.authextra.get("channel_binding") is not None:
            return _NO_BINDING
        name = _name(authid)
        found, is_known = chosen(name, self._credentials, self._decoys)
        double = Keys(
            self._decoys.octets("scram stored", name, 32),
            self._decoys.octets("scram server", name, 32),
        )
        keys = found.keys[method] if is_known else double
        salt = base64_text(self._decoys.salt("scram", name))
        nonce = client_nonce + base64_text(self._random(16))
        message = auth_message(method, authid, client_nonce, nonce, salt, found.iterations)
        extra: dict[str, Any] = {
            "nonce": nonce,
            "salt": salt,
            "kdf": ARGON2_IN[method] if found.kdf == ARGON2 else found.kdf,
            "iterations": found.iterations,
            "memory": found.memory_kib,
        }

        def check(authenticate: Authenticate) -> Identity | None:
            proof = from_base64(authenticate.signature) or b""
            is_right = keys.has_proved(proof, message)
            verifier = base64_text(keys.signature(message))
            returned = authenticate.extra or {}
            # Only the spec has it come back.
            has_nonce = returned.get("nonce", nonce if method == DRAFT else None) == nonce
            is_bound = returned.get("channel_binding") is not None
            if not is_right or not has_nonce or is_bound or not is_known:
                return None
            key = "verifier" if method == SPEC else "scram_server_signature"
            return Identity(found.authid, found.role, method, AUTHPROVIDER, {key: verifier})

        return Pending(Challenge(authmethod=method, extra=extra), check)


def _name(authid: str) -> str:
    """Give the name by which a client is looked up."""
    return normalized(authid) or authid


def _client_nonce(attempt: Attempt) -> str | Rejected:
    nonce = attempt.authextra.get("nonce")
    if not isinstance(nonce, str):
        return violation("authextra.nonce", nonce, "a text")
    if not nonce or len(nonce) > _MAX_NONCE or from_base64(nonce) is None:
        return Rejected(
            PROTOCOL_VIOLATION,
            f"HELLO.Details.authextra.nonce is not 1 to {_MAX_NONCE} characters of base64",
        )
    return nonce
