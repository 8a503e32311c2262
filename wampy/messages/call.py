"""The message CALL."""

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
    Message,
    RequestId,
    payload,
)


class Call(Message, frozen=True, kw_only=True, tag=48):
    """Ask the Dealer to invoke a Procedure.

    Wire: [CALL, Request|id, Options|dict, Procedure|uri, Arguments|list, ArgumentsKw|dict]
    From: Caller to Dealer; answered by RESULT or ERROR with the same Request.
    Spec: Basic Profile, "Calling and Invocations", CALL.
    """

    WAMP_CODE: ClassVar[int] = 48
    name: ClassVar[str] = "CALL"

    request_id: RequestId = None
    options: Details = None
    procedure: str
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.request_id("CALL.Request", self.request_id),
            outgoing.dictionary("CALL.Options", self.options),
            outgoing.uri("CALL.Procedure", self.procedure),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("CALL", fields, 4)
        return cls(
            request_id=checked.identifier(1, "Request"),
            options=checked.mapping(2, "Options"),
            procedure=checked.uri(3, "Procedure"),
            args=checked.args(4),
            kwargs=checked.kwargs(5),
        )
