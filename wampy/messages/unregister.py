"""The message UNREGISTER."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Fields, Id, Message, RequestId


class Unregister(Message, frozen=True, kw_only=True, tag=66):
    """Ask the Dealer to route no more calls here.

    Wire: [UNREGISTER, Request|id, REGISTERED.Registration|id]
    From: Callee to Dealer; answered by UNREGISTERED or ERROR.
    Spec: Basic Profile, "Registering and Unregistering", UNREGISTER.
    """

    WAMP_CODE: ClassVar[int] = 66
    name: ClassVar[str] = "UNREGISTER"

    request_id: RequestId = None
    registration_id: Id

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.request_id("UNREGISTER.Request", self.request_id),
            outgoing.identifier("UNREGISTER.REGISTERED.Registration", self.registration_id),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("UNREGISTER", fields, 3)
        return cls(
            request_id=checked.identifier(1, "Request"),
            registration_id=checked.identifier(2, "REGISTERED.Registration"),
        )
