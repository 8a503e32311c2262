"""The message EVENT."""

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
    Id,
    Message,
    payload,
)


class Event(Message, frozen=True, kw_only=True, tag=36):
    """Carry a publication to a Subscriber.

    Wire: [EVENT, SUBSCRIBED.Subscription|id, PUBLISHED.Publication|id, Details|dict,
          PUBLISH.Arguments|list, PUBLISH.ArgumentsKw|dict]
    From: Broker to Subscriber; not answered.
    Spec: Basic Profile, "Publishing and Events", EVENT.
    """

    WAMP_CODE: ClassVar[int] = 36
    name: ClassVar[str] = "EVENT"

    subscription_id: Id
    publication_id: Id
    details: Details = None
    args: Arguments = ()
    kwargs: ArgumentsKw = NO_KWARGS

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        head = [
            self.WAMP_CODE,
            outgoing.identifier("EVENT.SUBSCRIBED.Subscription", self.subscription_id),
            outgoing.identifier("EVENT.PUBLISHED.Publication", self.publication_id),
            outgoing.dictionary("EVENT.Details", self.details),
        ]
        return payload(head, self.args, self.kwargs)

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("EVENT", fields, 4)
        return cls(
            subscription_id=checked.identifier(1, "SUBSCRIBED.Subscription"),
            publication_id=checked.identifier(2, "PUBLISHED.Publication"),
            details=checked.mapping(3, "Details"),
            args=checked.args(4),
            kwargs=checked.kwargs(5),
        )
