"""WAMP-CRA: a signature with a shared secret, or with a key derived from it.

Spec: Advanced Profile, "Challenge Response Authentication".
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from wampy.auth.basic import base64_text, text_of
from wampy.auth.wampcra import MAX_ITERATIONS, MAX_KEYLEN, derive_key, sign
from wampy.messages import Authenticate, Challenge
from wampy.router.authentication.decoys import Decoys
from wampy.router.authentication.hello import Attempt
from wampy.router.authentication.method import (
    AUTHPROVIDER,
    Method,
    check_names,
    checked_number,
    chosen,
)
from wampy.router.authentication.outcomes import Identity, Pending
from wampy.router.authentication.principals import WampCraPrincipal


@dataclass(frozen=True, slots=True)
class _Credential:
    """A principal as it is kept.

    Attributes:
        role: of the principal.
        key: what it signs with.
        salting: what CHALLENGE.Extra says of the salt; empty where there is none.
        given_salt: the salt, where the manifest gives one.
    """

    role: str
    key: bytes = field(repr=False)
    salting: Mapping[str, Any]
    given_salt: str | None


class WampCraMethod(Method):
    """Principals with secrets, salted or not. Keys are derived once, here.

    Raises:
        LocalProtocolError: a principal is none.
    """

    names = ("wampcra",)

    def __init__(
        self,
        principals: Mapping[str, WampCraPrincipal],
        decoys: Decoys,
        random: Callable[[int], bytes],
    ) -> None:
        self._decoys = decoys
        self._random = random
        self._credentials = {
            authid: self._credential(authid, principal) for authid, principal in principals.items()
        }

    def _credential(self, authid: str, principal: WampCraPrincipal) -> _Credential:
        check_names("wampcra", authid, principal.role)
        secret = text_of(f"wampcra.{authid}: secret", principal.secret)
        if principal.iterations is None and principal.salt is None:
            return _Credential(principal.role, secret.encode(), {}, None)
        iterations = checked_number(
            "wampcra", authid, "iterations", principal.iterations, 1, MAX_ITERATIONS
        )
        keylen = checked_number("wampcra", authid, "keylen", principal.keylen, 1, MAX_KEYLEN)
        if principal.salt is None:
            salt = self._decoys.salt_text("wampcra", authid, None)
        else:
            salt = text_of(f"wampcra.{authid}: salt", principal.salt)
        key = derive_key(secret, salt, iterations, keylen)
        salting = {"salt": salt, "iterations": iterations, "keylen": keylen}
        return _Credential(principal.role, key, salting, principal.salt)

    def has(self, authid: str) -> bool:
        """See ``Method.has``."""
        return authid in self._credentials

    def begin(self, method: str, attempt: Attempt) -> Pending:
        """See ``Method.begin``."""
        authid = attempt.authid or ""
        found, is_known = chosen(authid, self._credentials, self._decoys)
        double_salt = self._decoys.salt_text("wampcra", authid, found.given_salt)
        double_key = self._decoys.octets("wampcra key", authid, len(found.key))
        key = found.key if is_known else double_key
        salting = dict(found.salting)
        if salting and not is_known:
            salting["salt"] = double_salt
        text = self._challenge(method, authid, found.role, attempt)

        def check(authenticate: Authenticate) -> Identity | None:
            signature = authenticate.signature.encode("utf-8", "surrogatepass")
            is_right = hmac.compare_digest(signature, sign(key, text).encode())
            if not is_right or not is_known:
                return None
            return Identity(authid, found.role, method, AUTHPROVIDER)

        return Pending(Challenge(authmethod=method, extra={"challenge": text, **salting}), check)

    def _challenge(self, method: str, authid: str, role: str, attempt: Attempt) -> str:
        started_at = datetime.fromtimestamp(attempt.now_s, UTC)
        return json.dumps(
            {
                "authid": authid,
                "authrole": role,
                "authmethod": method,
                "authprovider": AUTHPROVIDER,
                "nonce": base64_text(self._random(16)),
                "timestamp": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "session": attempt.session_id,
            }
        )
