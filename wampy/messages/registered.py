"""The message REGISTERED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Fields, Id, Message


class Registered(Message, frozen=True, kw_only=True, tag=65):
    """Acknowledge a REGISTER.

    Wire: [REGISTERED, REGISTER.Request|id, Registration|id]
    From: Dealer to Callee.
    Spec: Basic Profile, "Registering and Unregistering", REGISTERED.
    """

    WAMP_CODE: ClassVar[int] = 65
    name: ClassVar[str] = "REGISTERED"

    request_id: Id
    registration_id: Id

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("REGISTERED.REGISTER.Request", self.request_id),
            outgoing.identifier("REGISTERED.Registration", self.registration_id),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("REGISTERED", fields, 3)
        return cls(
            request_id=checked.identifier(1, "REGISTER.Request"),
            registration_id=checked.identifier(2, "Registration"),
        )
