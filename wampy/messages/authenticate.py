"""The message AUTHENTICATE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message


class Authenticate(Message, frozen=True, kw_only=True, tag=5):
    """Answer a CHALLENGE; ``repr`` never shows the signature, which may be a ticket.

    Wire: [AUTHENTICATE, Signature|string, Extra|dict]
    From: client to Router; answered by WELCOME or ABORT.
    Spec: Advanced Profile, "Authentication", AUTHENTICATE.
    """

    WAMP_CODE: ClassVar[int] = 5
    name: ClassVar[str] = "AUTHENTICATE"

    signature: str
    extra: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.text("AUTHENTICATE.Signature", self.signature),
            outgoing.dictionary("AUTHENTICATE.Extra", self.extra),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("AUTHENTICATE", fields, 3)
        return cls(
            signature=checked.uri(1, "Signature"),
            extra=checked.mapping(2, "Extra"),
        )

    def __repr__(self) -> str:
        return "Authenticate(signature=…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide it from ``rich`` as well, which does not ask ``repr``."""
        return [("signature", "…")]
