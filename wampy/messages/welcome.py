"""The message WELCOME."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Id, Message

#: Where WELCOME.Details say how long a message the Router takes, in bytes: on WebSocket there is no
#: other way to know. The built-in Router says so; others may.
#: Spec: Basic Profile, "Messages", "Extensions": keys of an implementation are _[a-z0-9_]{3,}.
MAX_MESSAGE_BYTES = "_max_message_bytes"


class Welcome(Message, frozen=True, kw_only=True, tag=2):
    """Say that the Session is established.

    Wire: [WELCOME, Session|id, Details|dict]
    From: Router to client, ends the handshake.
    Spec: Basic Profile, "Session Establishment", WELCOME.
    """

    WAMP_CODE: ClassVar[int] = 2
    name: ClassVar[str] = "WELCOME"

    session_id: Id
    details: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.identifier("WELCOME.Session", self.session_id),
            outgoing.dictionary("WELCOME.Details", self.details),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("WELCOME", fields, 3)
        return cls(
            session_id=checked.identifier(1, "Session"),
            details=checked.mapping(2, "Details"),
        )
