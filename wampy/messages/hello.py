"""The message HELLO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from wampy.messages import outgoing
from wampy.messages.base import Details, Fields, Message

#: Key of Details, one of wampy's own: a secret of the client's that is the same at each reconnect.
#: Spec: Basic Profile, "Protocol Attributes"; custom ones begin with "_".
CLIENT = "_wampy_client"


class Hello(Message, frozen=True, kw_only=True, tag=1):
    """Ask the Router for a Session on a Realm.

    Wire: [HELLO, Realm|uri, Details|dict]
    From: Client to Router; answered by WELCOME, CHALLENGE or ABORT.
    Spec: Basic Profile, "Session Establishment", HELLO.
    """

    WAMP_CODE: ClassVar[int] = 1
    name: ClassVar[str] = "HELLO"

    realm: str
    details: Details = None

    def construct(self) -> list[Any]:
        """See ``Message.construct``."""
        return [
            self.WAMP_CODE,
            outgoing.uri("HELLO.Realm", self.realm),
            outgoing.dictionary("HELLO.Details", self.details),
        ]

    @classmethod
    def parse(cls, fields: Sequence[Any]) -> Self:
        """See ``Message.parse``."""
        checked = Fields("HELLO", fields, 3)
        return cls(
            realm=checked.uri(1, "Realm"),
            details=checked.mapping(2, "Details"),
        )
