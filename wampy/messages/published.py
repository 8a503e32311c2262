"""The message PUBLISHED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Fields, Id, Message


class Published(Message, frozen=True, kw_only=True, tag=17):
    """Acknowledge a PUBLISH.

    Wire: [PUBLISHED, PUBLISH.Request|id, Publication|id]
    From: Broker to Publisher.
    Spec: Basic Profile, "Publishing and Events", PUBLISHED.
    """

    WAMP_CODE: ClassVar[int] = 17
    name: ClassVar[str] = "PUBLISHED"

    request_id: Id
    publication_id: Id

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("PUBLISHED.PUBLISH.Request", self.request_id),
            outgoing.identifier("PUBLISHED.Publication", self.publication_id),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("PUBLISHED", fields, 3)
        return cls(
            request_id=checked.identifier(1, "PUBLISH.Request"),
            publication_id=checked.identifier(2, "Publication"),
        )
