"""Doubles: what a name that does not exist looks like.

A name that no principal has is the double of one that exists, chosen by the name: it has the same
methods, role and parameters, and a salt and keys made from the name. Made again for the same name
they are the same, for as long as the Router runs; nobody without its secret can make them.

They are made for names that exist as well, and thrown away, so that both take as long.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Iterable

from wampy.auth.basic import base64_text

#: What salts are spelt with, the narrowest first.
_ALPHABETS = (
    string.digits,
    string.digits + "abcdef",
    string.digits + "ABCDEF",
    string.digits + string.ascii_lowercase,
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + "+/",
    string.ascii_letters + string.digits + "+/-_=",
)

#: Octets of a salt that is not given.
SALT_BYTES = 16


class Decoys:
    """Everything that is made up from a name; never shown in ``repr``.

    Args:
        key: random octets, of this run of the Router.
        authids: all names that exist, of all methods.
    """

    __slots__ = ("_authids", "_key")

    def __init__(self, key: bytes, authids: Iterable[str]) -> None:
        self._key = key
        # Sorted, so that the order in the manifest makes no difference.
        self._authids = sorted(set(authids))

    def __repr__(self) -> str:
        return f"Decoys({len(self._authids)} authids)"

    def octets(self, purpose: str, authid: str, length: int) -> bytes:
        """Give octets for a purpose and a name."""
        # A lone surrogate is no text, yet some serializers let it pass.
        name = authid.encode("utf-8", "surrogatepass")
        seed = hmac.digest(self._key, purpose.encode() + b"\0" + name, "sha256")
        return hashlib.shake_256(seed).digest(length)

    def model(self, authid: str, among: Iterable[str] | None = None) -> str:
        """Give the name that exists of which ``authid`` is the double.

        Args:
            authid: which double.
            among: the names to choose from; None for all. There is one at least.
        """
        authids = self._authids if among is None else sorted(among)
        number = int.from_bytes(self.octets("model", authid, 8), "big")
        return authids[number % len(authids)]

    def salt(self, method: str, authid: str) -> bytes:
        """Give the salt of a name, whether it exists or not, unless the manifest gives one."""
        return self.octets(f"{method} salt", authid, SALT_BYTES)

    def salt_text(self, method: str, authid: str, like: str | None) -> str:
        """Give a name's salt as text: in base64, or spelt like a given one."""
        if like is None:
            return base64_text(self.salt(method, authid))
        alphabet = next(
            (chars for chars in _ALPHABETS if set(like) <= set(chars)), string.printable[:94]
        )
        octets = self.octets(f"{method} salt", authid, len(like))
        return "".join(alphabet[octet % len(alphabet)] for octet in octets)
