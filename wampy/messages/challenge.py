"""The message CHALLENGE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message


class Challenge(Message, frozen=True, kw_only=True, tag=4):
    """Ask the client to prove who it is.

    Wire: [CHALLENGE, AuthMethod|string, Extra|dict]
    From: Router to client; answered by AUTHENTICATE.
    Spec: Advanced Profile, "Authentication", CHALLENGE.
    """

    WAMP_CODE: ClassVar[int] = 4
    name: ClassVar[str] = "CHALLENGE"

    authmethod: str
    extra: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.text("CHALLENGE.AuthMethod", self.authmethod),
            outgoing.dictionary("CHALLENGE.Extra", self.extra),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("CHALLENGE", fields, 3)
        return cls(
            authmethod=checked.uri(1, "AuthMethod"),
            extra=checked.mapping(2, "Extra"),
        )
