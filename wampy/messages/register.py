"""The message REGISTER."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message, RequestId


class Register(Message, frozen=True, kw_only=True, tag=64):
    """Ask the Dealer to route a Procedure's calls here.

    Wire: [REGISTER, Request|id, Options|dict, Procedure|uri]
    From: Callee to Dealer; answered by REGISTERED or ERROR.
    Spec: Basic Profile, "Registering and Unregistering", REGISTER.
    """

    WAMP_CODE: ClassVar[int] = 64
    name: ClassVar[str] = "REGISTER"

    request_id: RequestId = None
    options: Details = None
    procedure: str

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        match = outgoing.match_in("REGISTER.Options", self.options)
        return [
            self.WAMP_CODE,
            outgoing.request_id("REGISTER.Request", self.request_id),
            outgoing.dictionary("REGISTER.Options", self.options),
            outgoing.uri("REGISTER.Procedure", self.procedure, match),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("REGISTER", fields, 4)
        return cls(
            request_id=checked.identifier(1, "Request"),
            options=checked.mapping(2, "Options"),
            procedure=checked.uri(3, "Procedure"),
        )
