"""The message PUBLISH."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import (
    NO_KWARGS,
    Arguments,
    ArgumentsKw,
    Details,
    Fields,
    Message,
    RequestId,
    payload,
)


class Publish(Message, frozen=True, kw_only=True, tag=16):
    """Ask the Broker to send an event to the Subscribers of a Topic.

    Wire: [PUBLISH, Request|id, Options|dict, Topic|uri, Arguments|list, ArgumentsKw|dict]
    From: Publisher to Broker; answered by PUBLISHED or ERROR only if Options.acknowledge is
          true.
    Spec: Basic Profile, "Publishing and Events", PUBLISH.
    """

    WAMP_CODE: ClassVar[int] = 16
    name: ClassVar[str] = "PUBLISH"

    request_id: RequestId = None
    options: Details = None
    topic: str
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.request_id("PUBLISH.Request", self.request_id),
            outgoing.dictionary("PUBLISH.Options", self.options),
            outgoing.uri("PUBLISH.Topic", self.topic),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("PUBLISH", fields, 4)
        return cls(
            request_id=checked.identifier(1, "Request"),
            options=checked.mapping(2, "Options"),
            topic=checked.uri(3, "Topic"),
            args=checked.args(4),
            kwargs=checked.kwargs(5),
        )
