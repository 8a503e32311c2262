"""Several methods offered at once: the Router picks, the first of ours that it takes, as a rule."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

from wampy.auth.basic import Authentication, check_method
from wampy.auth.scram import DRAFT, SPEC
from wampy.errors import LocalProtocolError
from wampy.messages import Authenticate, Challenge


class AnyOf:
    """Offers several methods in one HELLO, in order of preference.

    Args:
        methods: one of each kind, all for one authid (None in it, as a Cryptosign may have: the
            others' one).

    Raises:
        LocalProtocolError: none, two of a kind, or for several authids; something that is no
            method; Anonymous beside others; or a Cryptosign that is bound to the connection
            beside a Scram, which is not.
    """

    def __init__(self, methods: Sequence[Authentication]) -> None:
        self._methods = list(methods)
        for method in self._methods:
            check_method(method)
        if len(self._methods) > 1 and not all(method.authmethods for method in self._methods):
            raise LocalProtocolError(
                "auth offers Anonymous() beside others; one is somebody or nobody: leave it out"
            )
        names = [name for method in self._methods for name in method.authmethods]
        if not self._methods or len(names) != len(set(names)):
            raise LocalProtocolError(
                f"auth offers {', '.join(names) or 'nothing'}; give one of each method"
            )
        authids = {getattr(method, "authid", None) for method in self._methods} - {None}
        if len(authids) > 1:
            raise LocalProtocolError(
                f"auth is for {' and '.join(sorted(map(repr, authids)))}; HELLO has one authid"
            )
        if self.channel_binding is not None and {SPEC, DRAFT} & set(names):
            raise LocalProtocolError(
                f"auth offers cryptosign with channel binding {self.channel_binding}, and scram "
                "without; HELLO has one channel_binding for both: offer one of them"
            )
        # Crossbar refuses a HELLO at the first name that it does not know: what only the spec calls
        # so comes last.
        self.authmethods: tuple[str, ...] = tuple(sorted(names, key=lambda name: name == SPEC))
        self._chosen: Authentication | None = None

    def __repr__(self) -> str:
        return f"AnyOf({self._methods!r})"

    def __copy__(self) -> Self:
        """Copy the methods as well: some remember their handshake."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._methods = [copy.copy(method) for method in self._methods]
        return made

    @property
    def sends_secret(self) -> bool:
        """Whether a Router may get a secret as it is: it picks the method."""
        return any(method.sends_secret for method in self._methods)

    @property
    def channel_binding(self) -> str | None:
        """By what the proof of one of them is bound to the TLS connection; None: of none."""
        bindings = [method.channel_binding for method in self._methods]
        return next((binding for binding in bindings if binding is not None), None)

    def bind(self, channel_id: bytes) -> None:
        """Let each method take note of the connection."""
        for method in self._methods:
            method.bind(channel_id)

    def hello_details(self) -> dict[str, Any]:
        """Give what HELLO.Details says of all of them."""
        self._chosen = None
        details: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for method in self._methods:
            found = method.hello_details()
            extra |= found.pop("authextra", {})
            details |= found
        details["authmethods"] = list(self.authmethods)
        return {**details, "authextra": extra} if extra else details

    def authenticate(self, challenge: Challenge) -> Authenticate:
        """Answer the Router's CHALLENGE by the method that it picked.

        Raises:
            LocalProtocolError: it picked none of them.
            and what that method raises.
        """
        for method in self._methods:
            if challenge.authmethod in method.authmethods:
                self._chosen = method
                return method.authenticate(challenge)
        raise LocalProtocolError(
            f"the router asks for {challenge.authmethod!r}, "
            f"but only {' and '.join(self.authmethods)} was offered"
        )

    def welcomed(self, details: Mapping[str, Any]) -> None:
        """Let the method that was picked check WELCOME.Details; all, where none was.

        Raises:
            RemoteProtocolError: the Router did not prove what it had to.
        """
        for method in [self._chosen] if self._chosen is not None else self._methods:
            method.welcomed(details)
