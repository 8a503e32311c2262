"""The message UNREGISTERED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message, RevocableId


class Unregistered(Message, frozen=True, kw_only=True, tag=67):
    """Acknowledge an UNREGISTER, or tell of a revocation.

    Wire: [UNREGISTERED, UNREGISTER.Request|id] or, for a revocation, [UNREGISTERED, 0,
          Details|dict]
    From: Dealer to Callee; Request 0 is a revocation, with Details.registration.
    Spec: Basic Profile, "Registering and Unregistering", UNREGISTERED; Advanced Profile,
          "Registration Revocation".
    """

    WAMP_CODE: ClassVar[int] = 67
    name: ClassVar[str] = "UNREGISTERED"

    request_id: RevocableId
    details: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        details = outgoing.dictionary("UNREGISTERED.Details", self.details)
        return [
            self.WAMP_CODE,
            outgoing.identifier("UNREGISTERED.UNREGISTER.Request", self.request_id, least=0),
            *([details] if details else []),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("UNREGISTERED", fields, 2)
        return cls(
            request_id=checked.identifier(1, "UNREGISTER.Request", least=0),
            details=checked.mapping(2, "Details") if len(fields) > 2 else None,
        )
