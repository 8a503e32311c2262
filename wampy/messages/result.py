"""The message RESULT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import (
    NO_KWARGS,
    Arguments,
    ArgumentsKw,
    Details,
    Fields,
    Id,
    Message,
    payload,
)


class Result(Message, frozen=True, kw_only=True, tag=50):
    """Carry the result of a CALL.

    Wire: [RESULT, CALL.Request|id, Details|dict, YIELD.Arguments|list, YIELD.ArgumentsKw|dict]
    From: Dealer to Caller; Details.progress is true if more will follow.
    Spec: Basic Profile, "Calling and Invocations", RESULT.
    """

    WAMP_CODE: ClassVar[int] = 50
    name: ClassVar[str] = "RESULT"

    request_id: Id
    details: Details = None
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.identifier("RESULT.CALL.Request", self.request_id),
            outgoing.dictionary("RESULT.Details", self.details),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("RESULT", fields, 3)
        return cls(
            request_id=checked.identifier(1, "CALL.Request"),
            details=checked.mapping(2, "Details"),
            args=checked.args(3),
            kwargs=checked.kwargs(4),
        )
