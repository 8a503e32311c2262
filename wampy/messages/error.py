"""The message ERROR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from wampy.messages.base import Fields, Message, payload


class Error(Message, frozen=True, kw_only=True):
    """Answer a request that failed.

    Wire: [ERROR, REQUEST.Type|int, REQUEST.Request|id, Details|dict, Error|uri, Arguments|list,
          ArgumentsKw|dict]
    From: either side; the answer to a request with this type and id.
    Spec: Basic Profile, "Messages", ERROR.
    """

    WAMP_CODE: ClassVar[int] = 8
    name: ClassVar[str] = "ERROR"

    request_type: int
    request_id: int
    details: Mapping[str, Any] | None = None
    error: str
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [self.WAMP_CODE, self.request_type, self.request_id, self.details or {}, self.error]
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
