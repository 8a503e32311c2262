"""The message ABORT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message


class Abort(Message, frozen=True, kw_only=True, tag=3):
    """Refuse or end a Session without a farewell.

    Wire: [ABORT, Details|dict, Reason|uri]
    From: either side; not answered.
    Spec: Basic Profile, "Session Establishment", ABORT.
    """

    WAMP_CODE: ClassVar[int] = 3
    name: ClassVar[str] = "ABORT"

    details: Details = None
    reason: str

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.dictionary("ABORT.Details", self.details),
            outgoing.uri("ABORT.Reason", self.reason),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("ABORT", fields, 3)
        return cls(
            details=checked.mapping(1, "Details"),
            reason=checked.uri(2, "Reason"),
        )
