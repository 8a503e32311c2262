"""The message SUBSCRIBED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Fields, Id, Message


class Subscribed(Message, frozen=True, kw_only=True, tag=33):
    """Acknowledge a SUBSCRIBE.

    Wire: [SUBSCRIBED, SUBSCRIBE.Request|id, Subscription|id]
    From: Broker to Subscriber.
    Spec: Basic Profile, "Subscribing and Unsubscribing", SUBSCRIBED.
    """

    WAMP_CODE: ClassVar[int] = 33
    name: ClassVar[str] = "SUBSCRIBED"

    request_id: Id
    subscription_id: Id

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("SUBSCRIBED.SUBSCRIBE.Request", self.request_id),
            outgoing.identifier("SUBSCRIBED.Subscription", self.subscription_id),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("SUBSCRIBED", fields, 3)
        return cls(
            request_id=checked.identifier(1, "SUBSCRIBE.Request"),
            subscription_id=checked.identifier(2, "Subscription"),
        )
