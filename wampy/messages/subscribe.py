"""The message SUBSCRIBE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message, RequestId


class Subscribe(Message, frozen=True, kw_only=True, tag=32):
    """Ask the Broker for the events of a Topic.

    Wire: [SUBSCRIBE, Request|id, Options|dict, Topic|uri]
    From: Subscriber to Broker; answered by SUBSCRIBED or ERROR.
    Spec: Basic Profile, "Subscribing and Unsubscribing", SUBSCRIBE.
    """

    WAMP_CODE: ClassVar[int] = 32
    name: ClassVar[str] = "SUBSCRIBE"

    request_id: RequestId = None
    options: Details = None
    topic: str

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        match = outgoing.match_in("SUBSCRIBE.Options", self.options)
        return [
            self.WAMP_CODE,
            outgoing.request_id("SUBSCRIBE.Request", self.request_id),
            outgoing.dictionary("SUBSCRIBE.Options", self.options),
            outgoing.uri("SUBSCRIBE.Topic", self.topic, match),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("SUBSCRIBE", fields, 4)
        return cls(
            request_id=checked.identifier(1, "Request"),
            options=checked.mapping(2, "Options"),
            topic=checked.uri(3, "Topic"),
        )
