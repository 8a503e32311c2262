"""The message INTERRUPT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Id, Message


class Interrupt(Message, frozen=True, kw_only=True, tag=69):
    """Tell the Callee that an invocation was canceled.

    Wire: [INTERRUPT, INVOCATION.Request|id, Options|dict]
    From: Dealer to Callee; the INVOCATION is answered by ERROR, or by YIELD if that was faster.
    Spec: Advanced Profile, "Call Canceling", INTERRUPT.
    """

    WAMP_CODE: ClassVar[int] = 69
    name: ClassVar[str] = "INTERRUPT"

    request_id: Id
    options: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("INTERRUPT.INVOCATION.Request", self.request_id),
            outgoing.dictionary("INTERRUPT.Options", self.options),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("INTERRUPT", fields, 3)
        return cls(
            request_id=checked.identifier(1, "INVOCATION.Request"),
            options=checked.mapping(2, "Options"),
        )
