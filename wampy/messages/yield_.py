"""The message YIELD."""

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


class Yield(Message, frozen=True, kw_only=True, tag=70):
    """Carry the result of an INVOCATION.

    Wire: [YIELD, INVOCATION.Request|id, Options|dict, Arguments|list, ArgumentsKw|dict]
    From: Callee to Dealer; Options.progress is true if more will follow.
    Spec: Basic Profile, "Calling and Invocations", YIELD.
    """

    WAMP_CODE: ClassVar[int] = 70
    name: ClassVar[str] = "YIELD"

    request_id: Id
    options: Details = None
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.identifier("YIELD.INVOCATION.Request", self.request_id),
            outgoing.dictionary("YIELD.Options", self.options),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("YIELD", fields, 3)
        return cls(
            request_id=checked.identifier(1, "INVOCATION.Request"),
            options=checked.mapping(2, "Options"),
            args=checked.args(3),
            kwargs=checked.kwargs(4),
        )
