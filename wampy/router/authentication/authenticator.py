"""The rules by which one listener lets somebody join one Realm."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType

from wampy.auth.basic import text_of
from wampy.auth.scram import normalized
from wampy.router.authentication.cryptosign import CryptosignMethod
from wampy.router.authentication.decoys import Decoys
from wampy.router.authentication.hello import Attempt
from wampy.router.authentication.method import AUTHPROVIDER, Method
from wampy.router.authentication.outcomes import (
    AUTHENTICATION_FAILED,
    NO_MATCHING_AUTH_METHOD,
    Identity,
    Pending,
    Rejected,
)
from wampy.router.authentication.principals import (
    CryptosignPrincipal,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)
from wampy.router.authentication.scram import ScramMethod
from wampy.router.authentication.ticket import TicketMethod
from wampy.router.authentication.wampcra import WampCraMethod

ANONYMOUS = "anonymous"


class Authenticator:
    """Who may join, and how; immutable, without IO.

    Args:
        anonymous: the role of whoever proves nothing; None: such a one does not join.
        ticket: principals by authid; likewise the other methods.
        wampcra: those with secrets.
        scram: those with passwords; deriving a key takes 40 ms for each, by default.
        cryptosign: those with keys.
        random: gives so many random octets.

    Raises:
        LocalProtocolError: a principal is wrong, or a package is missing; the text says which, and
            shows no secret.
    """

    def __init__(
        self,
        *,
        anonymous: str | None,
        ticket: Mapping[str, TicketPrincipal] = MappingProxyType({}),
        wampcra: Mapping[str, WampCraPrincipal] = MappingProxyType({}),
        scram: Mapping[str, ScramPrincipal] = MappingProxyType({}),
        cryptosign: Mapping[str, CryptosignPrincipal] = MappingProxyType({}),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._anonymous = None if anonymous is None else text_of("anonymous", anonymous)
        self._random = random
        self._decoys = Decoys(random(32), [*ticket, *wampcra, *scram, *cryptosign])
        self._methods: dict[str, Method] = {}
        if ticket:
            self._add(TicketMethod(ticket, self._decoys, random(32)))
        if wampcra:
            self._add(WampCraMethod(wampcra, self._decoys, random))
        if scram:
            self._add(ScramMethod(scram, self._decoys, random))
        if cryptosign:
            self._add(CryptosignMethod(cryptosign, random))

    def __repr__(self) -> str:
        return f"Authenticator({', '.join(self.authmethods)})"

    def _add(self, method: Method) -> None:
        self._methods.update(dict.fromkeys(method.names, method))

    @property
    def authmethods(self) -> tuple[str, ...]:
        """The names of the methods that there are."""
        return (*([] if self._anonymous is None else [ANONYMOUS]), *self._methods)

    def begin(
        self,
        hello_details: Mapping[str, object],
        *,
        session_id: int,
        is_loopback_or_private: bool,
        now_s: float,
        channel_id: bytes | None = None,
    ) -> Identity | Pending | Rejected:
        """Take HELLO.Details.

        Args:
            hello_details: as they came.
            session_id: the ID that the Session will have, should it come about.
            is_loopback_or_private: whether nobody can listen to the connection: loopback, a unix
                socket or TLS. Tickets are taken over no other.
            now_s: Unix time.
            channel_id: what both ends know the TLS connection by; None where there is none.
        """
        attempt = Attempt.of(hello_details, session_id, now_s, channel_id)
        if isinstance(attempt, Rejected):
            return attempt
        # Without a word about methods a client wants to join as nobody in particular.
        offered = attempt.authmethods or (ANONYMOUS,)
        candidates: list[str] = []
        obstacles: list[Rejected] = []
        for name in offered:
            if name == ANONYMOUS and self._anonymous is not None:
                if candidates:
                    # Who prefers to be somebody, and fails, does not become nobody.
                    break
                return self._nobody(self._anonymous)
            method = self._methods.get(name)
            if method is None:
                continue
            obstacle = _obstacle(name, method, attempt, is_loopback_or_private)
            if obstacle is None:
                candidates.append(name)
            else:
                obstacles.append(obstacle)
        if candidates:
            name = self._choose(candidates, attempt.authid)
            return self._methods[name].begin(name, attempt)
        return obstacles[0] if obstacles else self._no_match()

    def _nobody(self, role: str) -> Identity:
        """Give an authid of our own choice: one of the client's could be that of somebody."""
        return Identity(self._random(12).hex(), role, ANONYMOUS, AUTHPROVIDER)

    def _choose(self, candidates: list[str], authid: str | None) -> str:
        """Give the first method that has the client, or of which it is the double.

        So somebody with a ticket only joins with a client that offers WAMP-CRA first, and somebody
        who does not exist gets no other answers than somebody who does.
        """
        if authid is None:
            return candidates[0]
        # By the name as SCRAM looks it up, so that two spellings of it do not differ.
        model = self._decoys.model(normalized(authid) or authid)
        # Of all of them, whichever has it: that takes always the same time.
        is_known = any([method.has(authid) for method in self._methods.values()])
        who = authid if is_known else model
        return next((name for name in candidates if self._methods[name].has(who)), candidates[0])

    def _no_match(self) -> Rejected:
        there_are = ", ".join(self.authmethods) or "none"
        return Rejected(
            NO_MATCHING_AUTH_METHOD,
            f"none of the client's authmethods is among those here: {there_are}",
        )


def _obstacle(name: str, method: Method, attempt: Attempt, is_private: bool) -> Rejected | None:
    """Say why a method that there is cannot be used; None: it can."""
    if method.needs_authid and attempt.authid is None:
        return Rejected(AUTHENTICATION_FAILED, f"HELLO.Details.authid is missing; {name} needs it")
    if isinstance(method, TicketMethod) and not is_private:
        return Rejected(
            NO_MATCHING_AUTH_METHOD, "a ticket is not taken in the clear beyond loopback; use TLS"
        )
    return None
