"""The message GOODBYE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message


class Goodbye(Message, frozen=True, kw_only=True, tag=6):
    """End the Session.

    Wire: [GOODBYE, Details|dict, Reason|uri]
    From: either side; answered by GOODBYE.
    Spec: Basic Profile, "Session Closing", GOODBYE.
    """

    WAMP_CODE: ClassVar[int] = 6
    name: ClassVar[str] = "GOODBYE"

    details: Details = None
    reason: str

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.dictionary("GOODBYE.Details", self.details),
            outgoing.uri("GOODBYE.Reason", self.reason),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("GOODBYE", fields, 3)
        return cls(
            details=checked.mapping(1, "Details"),
            reason=checked.uri(2, "Reason"),
        )
