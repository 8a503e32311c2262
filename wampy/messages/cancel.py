"""The message CANCEL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Id, Message


class Cancel(Message, frozen=True, kw_only=True, tag=49):
    """Ask the Dealer to cancel a CALL.

    Wire: [CANCEL, CALL.Request|id, Options|dict]
    From: Caller to Dealer; the CALL is answered by ERROR, or by RESULT if that was faster.
    Spec: Advanced Profile, "Call Canceling", CANCEL.
    """

    WAMP_CODE: ClassVar[int] = 49
    name: ClassVar[str] = "CANCEL"

    request_id: Id
    options: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("CANCEL.CALL.Request", self.request_id),
            outgoing.dictionary("CANCEL.Options", self.options),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("CANCEL", fields, 3)
        return cls(
            request_id=checked.identifier(1, "CALL.Request"),
            options=checked.mapping(2, "Options"),
        )
