"""What a received message means to a client: small typed results of ``ClientProtocol.receive``.

One comes about for each message, so they are Structs: a frozen dataclass takes five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from wampy.errors import JoinRejected, RequestError
from wampy.messages import Authenticate, Event, Goodbye, Interrupt, Invocation, Message, Welcome


class Joined(msgspec.Struct, frozen=True):
    """The Session is established."""

    welcome: Welcome


class Challenged(msgspec.Struct, frozen=True):
    """The Router wants proof; ``authenticate`` is to be sent."""

    authenticate: Authenticate


class Rejected(msgspec.Struct, frozen=True):
    """The Router ended it with ABORT: before WELCOME no Session came about."""

    error: JoinRejected


class Left(msgspec.Struct, frozen=True):
    """The Session is over; ``reply``, if any, is to be sent before the connection is closed."""

    goodbye: Goodbye
    reply: Goodbye | None


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request of ours.

    Attributes:
        request_id: of the request.
        message: RESULT, REGISTERED, …; None when it failed.
        error: what the Router answered instead; None when it succeeded.
        is_final: False for a progressive result: more will follow.
    """

    request_id: int
    message: Message | None
    error: RequestError | None = None
    is_final: bool = True

    @property
    def args(self) -> Sequence[Any]:
        """Arguments of a RESULT; empty for everything else."""
        return getattr(self.message, "args", None) or ()


class Invoked(msgspec.Struct, frozen=True):
    """A call for one of our registrations; to be answered by YIELD or ERROR."""

    invocation: Invocation


class Interrupted(msgspec.Struct, frozen=True):
    """The Caller of an invocation wants no result any more."""

    interrupt: Interrupt


class EventReceived(msgspec.Struct, frozen=True):
    """A publication for one of our subscriptions."""

    event: Event


class Revoked(msgspec.Struct, frozen=True):
    """The Router took a registration or a subscription away (Request 0).

    Attributes:
        registration_id: of the registration, or None.
        subscription_id: of the subscription, or None. Both are None if the Router named none.
    """

    registration_id: int | None = None
    subscription_id: int | None = None


class Dropped(msgspec.Struct, frozen=True):
    """An answer to a request that was given up; nothing follows."""

    message: Message


Received = (
    Joined
    | Challenged
    | Rejected
    | Left
    | Reply
    | Invoked
    | Interrupted
    | EventReceived
    | Revoked
    | Dropped
)
