"""The message UNSUBSCRIBED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message, RevocableId


class Unsubscribed(Message, frozen=True, kw_only=True, tag=35):
    """Acknowledge an UNSUBSCRIBE, or tell of a revocation.

    Wire: [UNSUBSCRIBED, UNSUBSCRIBE.Request|id] or, for a revocation, [UNSUBSCRIBED, 0,
          Details|dict]
    From: Broker to Subscriber; Request 0 is a revocation, with Details.subscription.
    Spec: Basic Profile, "Subscribing and Unsubscribing", UNSUBSCRIBED; Advanced Profile,
          "Subscription Revocation".
    """

    WAMP_CODE: ClassVar[int] = 35
    name: ClassVar[str] = "UNSUBSCRIBED"

    request_id: RevocableId
    details: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        details = outgoing.dictionary("UNSUBSCRIBED.Details", self.details)
        return [
            self.WAMP_CODE,
            outgoing.identifier("UNSUBSCRIBED.UNSUBSCRIBE.Request", self.request_id, least=0),
            *([details] if details else []),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("UNSUBSCRIBED", fields, 2)
        return cls(
            request_id=checked.identifier(1, "UNSUBSCRIBE.Request", least=0),
            details=checked.mapping(2, "Details") if len(fields) > 2 else None,
        )
