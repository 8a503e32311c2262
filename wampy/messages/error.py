"""The message ERROR."""

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


class Error(Message, frozen=True, kw_only=True, tag=8):
    """Answer a request that failed.

    Wire: [ERROR, REQUEST.Type|int, REQUEST.Request|id, Details|dict, Error|uri, Arguments|list,
          ArgumentsKw|dict]
    From: either side; the answer to a request with this type and id.
    Spec: Basic Profile, "Messages", ERROR.
    """

    WAMP_CODE: ClassVar[int] = 8
    name: ClassVar[str] = "ERROR"

    request_type: int
    request_id: Id
    details: Details = None
    error: str
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.code("ERROR.REQUEST.Type", self.request_type),
            outgoing.identifier("ERROR.REQUEST.Request", self.request_id),
            outgoing.dictionary("ERROR.Details", self.details),
            outgoing.uri("ERROR.Error", self.error),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("ERROR", fields, 5)
        return cls(
            request_type=checked.code(1, "REQUEST.Type"),
            request_id=checked.identifier(2, "REQUEST.Request"),
            details=checked.mapping(3, "Details"),
            error=checked.uri(4, "Error"),
            args=checked.args(5),
            kwargs=checked.kwargs(6),
        )
