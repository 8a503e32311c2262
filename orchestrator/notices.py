"""What the built-in Router tells by itself: who joined, registered, unregistered, left.

It is told in the events of its meta API, and whose session it is by the pid at the other end of the
unix socket, which no other Router tells. Pure: requests out, messages in, what they mean out.

Rules:

- a notice is a reason to look at once, and never a verdict: the answer to a heartbeat decides;
- whoever joined before the events were subscribed to is asked for, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.states import InstanceId
from wampy.messages import Event, Message, Subscribed
from wampy.protocol.session import ClientProtocol, Reply

_ON_JOIN = "wamp.session.on_join"
_ON_LEAVE = "wamp.session.on_leave"
_ON_CREATE = "wamp.registration.on_create"
_ON_UNREGISTER = "wamp.registration.on_unregister"
_TOPICS = (_ON_JOIN, _ON_LEAVE, _ON_CREATE, _ON_UNREGISTER)
#: What the Router calls who is at the other end of a unix socket: this, then the pid.
_UNIX = "unix:"
#: How the authids of programs begin, see ``orchestrator.router.principals``.
_MEMBER = "peer:"


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """The process with this pid has joined."""

    pid: int


@dataclass(frozen=True, slots=True)
class PeerRegistered:
    """The heartbeat of this Instance can be called from now on."""

    instance: InstanceId


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A session of the process with this pid has ended, or has a procedure less."""

    pid: int


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """A program has joined with this authid, its Instance's own."""

    authid: str


@dataclass(frozen=True, slots=True)
class MemberLost:
    """A session with this authid has ended, or has a procedure less."""

    authid: str


Notice = PeerJoined | PeerRegistered | PeerLost | MemberJoined | MemberLost


@dataclass(slots=True)
class Notices:
    """The notices of one Session of the orchestrator's; a new Session needs new ones.

    Args:
        stack: whose Instances they are about.
    """

    stack: str
    _topics: dict[int, str] = field(default_factory=dict)
    _asked: dict[int, str | None] = field(default_factory=dict)
    _pids: dict[int, int] = field(default_factory=dict)
    _authids: dict[int, str] = field(default_factory=dict)

    def requests(self, protocol: ClientProtocol) -> list[Message]:
        """Give what is to be sent once the Session is joined."""
        messages: list[Message] = []
        for topic in _TOPICS:
            subscribe = protocol.subscribe(topic)
            messages.append(subscribe)
            assert subscribe.request_id is not None  # the protocol numbers what it makes
            self._asked[subscribe.request_id] = topic
        messages.append(self._call(protocol, "wamp.session.list"))
        return messages

    def is_for(self, reply: Reply) -> bool:
        """Whether it answers a request of these."""
        return reply.request_id in self._asked

    def answered(self, reply: Reply, protocol: ClientProtocol) -> list[Message]:
        """Take an answer to one of these; gives what is to be asked next.

        A refusal is taken for silence: the heartbeats do without.
        """
        topic = self._asked.pop(reply.request_id)
        if isinstance(reply.message, Subscribed) and topic is not None:
            self._topics[reply.message.subscription_id] = topic
        elif reply.args and isinstance(reply.args[0], list):
            return [self._call(protocol, "wamp.session.get", one) for one in reply.args[0]]
        elif reply.args:
            self._note(reply.args[0])
        return []

    def heard(self, event: Event) -> Notice | None:
        """Say what an event means for an Instance, or None."""
        topic = self._topics.get(event.subscription_id)
        args: Sequence[Any] = event.args or ()
        if not args:
            return None
        session = args[0] if type(args[0]) is int else 0
        if topic == _ON_JOIN:
            return self._note(args[0])
        if topic == _ON_CREATE and len(args) > 1 and isinstance(args[1], dict):
            instance = self._beating(args[1].get("uri"))
            return None if instance is None else PeerRegistered(instance)
        if topic == _ON_LEAVE:
            return self._lost(self._pids.pop(session, None), self._authids.pop(session, None))
        if topic == _ON_UNREGISTER:
            return self._lost(self._pids.get(session), self._authids.get(session))
        return None

    @staticmethod
    def _lost(pid: int | None, authid: str | None) -> PeerLost | MemberLost | None:
        if pid is not None:
            return PeerLost(pid)
        return None if authid is None else MemberLost(authid)

    def _call(self, protocol: ClientProtocol, procedure: str, *args: Any) -> Message:
        call = protocol.call(procedure, args, {}, {})
        assert call.request_id is not None
        self._asked[call.request_id] = None
        return call

    def _note(self, details: Any) -> PeerJoined | MemberJoined | None:
        """Remember whose session it is, where that can be told, and say it."""
        if not isinstance(details, dict) or not isinstance(details.get("transport"), dict):
            return None
        peer = str(details["transport"].get("peer"))
        pid = peer.removeprefix(_UNIX)
        session, authid = details.get("session"), str(details.get("authid"))
        if type(session) is not int:
            return None
        if authid.startswith(_MEMBER):
            self._authids[session] = authid
            return MemberJoined(authid)
        if not peer.startswith(_UNIX) or not _is_number(pid):
            return None
        self._pids[session] = int(pid)
        return PeerJoined(int(pid))

    def _beating(self, uri: Any) -> InstanceId | None:
        """Give the Instance whose heartbeat has this URI, or None."""
        head, tail = f"wampy.{self.stack}.peer.", ".heartbeat"
        if not isinstance(uri, str) or not uri.startswith(head) or not uri.endswith(tail):
            return None
        name, _, index = uri.removeprefix(head).removesuffix(tail).partition(".")
        return InstanceId(name, int(index)) if _is_number(index) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
