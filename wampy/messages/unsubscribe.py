"""The message UNSUBSCRIBE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Fields, Id, Message, RequestId


class Unsubscribe(Message, frozen=True, kw_only=True, tag=34):
    """Ask the Broker for no more events of a Subscription.

    Wire: [UNSUBSCRIBE, Request|id, SUBSCRIBED.Subscription|id]
    From: Subscriber to Broker; answered by UNSUBSCRIBED or ERROR.
    Spec: Basic Profile, "Subscribing and Unsubscribing", UNSUBSCRIBE.
    """

    WAMP_CODE: ClassVar[int] = 34
    name: ClassVar[str] = "UNSUBSCRIBE"

    request_id: RequestId = None
    subscription_id: Id

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.request_id("UNSUBSCRIBE.Request", self.request_id),
            outgoing.identifier("UNSUBSCRIBE.SUBSCRIBED.Subscription", self.subscription_id),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("UNSUBSCRIBE", fields, 3)
        return cls(
            request_id=checked.identifier(1, "Request"),
            subscription_id=checked.identifier(2, "SUBSCRIBED.Subscription"),
        )
