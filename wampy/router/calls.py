"""What the Dealer keeps: registrations, who offers them, calls under way. And its way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from wampy.messages import Abort, Goodbye
from wampy.uris import uri_fault

if TYPE_CHECKING:
    from wampy.router.sessions import RouterSession

POLICIES = ("single", "first", "last", "roundrobin", "random")


class Refusal(NamedTuple):
    """Why a session does not get a message: the error that fits, and a text."""

    error: str
    text: str


class Outbox(Protocol):
    """Where messages go; the server's side of a Realm."""

    def send(self, session: RouterSession, message: Any) -> Refusal | None:
        """Queue a message; a Refusal: the session will not get it."""
        ...

    def close(self, session: RouterSession, last: Goodbye | Abort) -> None:
        """Send the last message and cut the session off; ``Realm.leave`` follows at once."""
        ...


class Callee:
    """A session that offers a procedure."""

    __slots__ = ("active", "concurrency", "session")

    def __init__(self, session: RouterSession, concurrency: int | None) -> None:
        self.session = session
        self.concurrency = concurrency
        self.active = 0


class Registration:
    """A procedure, or a pattern of them, and who offers it."""

    __slots__ = ("callees", "created_at", "discloses", "id", "match", "next", "policy", "uri")

    def __init__(self, id: int, uri: str, match: str, policy: str, created_at: float) -> None:
        self.id = id
        self.uri = uri
        self.match = match
        self.policy = policy
        self.created_at = created_at
        self.discloses = False
        self.callees: list[Callee] = []
        #: Whose turn it is, for roundrobin.
        self.next = 0


class Call:
    """A call under way.

    Attributes:
        caller: None: it has its answer, or is gone; or the Router calls, see ``answered``.
        answered: told the answer in place of a caller.
        is_progressive: whether more of the call may come.
        procedure: what it calls; more of the call is of the same one.
    """

    __slots__ = (
        "answered",
        "callee",
        "caller",
        "due_at",
        "invocation_id",
        "is_progressive",
        "procedure",
        "receives_progress",
        "registration",
        "request_id",
    )

    def __init__(
        self,
        caller: RouterSession | None,
        request_id: int,
        procedure: str,
        registration: Registration,
    ) -> None:
        self.caller = caller
        self.procedure = procedure
        self.request_id = request_id
        self.registration = registration
        self.callee: Callee | None = None
        self.invocation_id = 0
        self.receives_progress = False
        self.is_progressive = False
        self.answered: Callable[[Any], None] | None = None
        self.due_at: float | None = None


class InternalCall:
    """What the Router itself calls with, in the shape of a CALL."""

    __slots__ = ("args", "kwargs", "options", "procedure")

    def __init__(self, procedure: str, args: list[Any]) -> None:
        self.procedure = procedure
        self.args = args
        self.kwargs: dict[str, Any] = {}
        self.options: dict[str, Any] = {}


def shown(value: Any) -> str:
    """Give the beginning of a value that a client sent, whatever it is."""
    try:
        return f"{value!r:.40}"
    except ValueError:
        return f"a huge {type(value).__name__}"  # CBOR's integers may be longer than Python spells


def registration_fault(
    uri: str, match: Any, policy: Any, concurrency: Any
) -> tuple[str, str] | None:
    """Say what is wrong with a REGISTER: the error's URI and text."""
    if not isinstance(match, str) or policy not in POLICIES:
        return "wamp.error.invalid_argument", f"match is {shown(match)}, invoke {shown(policy)}"
    if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
        return "wamp.error.invalid_argument", f"concurrency is {shown(concurrency)}"
    fault = uri_fault(uri, match)
    if fault is not None:
        return "wamp.error.invalid_uri", fault
    return None
