"""The message INVOCATION."""

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


class Invocation(Message, frozen=True, kw_only=True, tag=68):
    """Carry a CALL to its Callee.

    Wire: [INVOCATION, Request|id, REGISTERED.Registration|id, Details|dict,
          CALL.Arguments|list, CALL.ArgumentsKw|dict]
    From: Dealer to Callee; answered by YIELD or ERROR with the same Request.
    Spec: Basic Profile, "Calling and Invocations", INVOCATION.
    """

    WAMP_CODE: ClassVar[int] = 68
    name: ClassVar[str] = "INVOCATION"

    request_id: Id
    registration_id: Id
    details: Details = None
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.identifier("INVOCATION.Request", self.request_id),
            outgoing.identifier("INVOCATION.REGISTERED.Registration", self.registration_id),
            outgoing.dictionary("INVOCATION.Details", self.details),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("INVOCATION", fields, 4)
        return cls(
            request_id=checked.identifier(1, "Request"),
            registration_id=checked.identifier(2, "REGISTERED.Registration"),
            details=checked.mapping(3, "Details"),
            args=checked.args(4),
            kwargs=checked.kwargs(5),
        )
