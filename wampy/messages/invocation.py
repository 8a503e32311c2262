"""The message INVOCATION."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from wampy.messages.base import Fields, Message, payload


class Invocation(Message, frozen=True, kw_only=True):
    """Carry a CALL to its Callee.

    Wire: [INVOCATION, Request|id, REGISTERED.Registration|id, Details|dict,
          CALL.Arguments|list, CALL.ArgumentsKw|dict]
    From: Dealer to Callee; answered by YIELD or ERROR with the same Request.
    Spec: Basic Profile, "Calling and Invocations", INVOCATION.
    """

    WAMP_CODE: ClassVar[int] = 68
    name: ClassVar[str] = "INVOCATION"

    request_id: int
    registration_id: int
    details: Mapping[str, Any] | None = None
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [self.WAMP_CODE, self.request_id, self.registration_id, self.details or {}]
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
