"""The orchestrator's own Session: heartbeat RPCs to every Instance, and the canary.

All heartbeats of one interval go out in one write, the canary (a call to the orchestrator's own
procedure, by way of the Router) first: what is not answered when the canary was is the Instance's
fault; what is not answered when the canary was not either is unknown. If the loop itself was late
(the machine was suspended, this process stopped), nothing that is due by then counts.

A Router that tells of the Instances by itself (see ``orchestrator.notices``) is listened to: who
has just registered, or lost something, is asked at that moment and not when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.asking import Asking, Done
from orchestrator.core.spec import HeartbeatPolicy
from orchestrator.core.states import InstanceId
from orchestrator.loop import Loop, Timer
from orchestrator.notices import (
    MemberJoined,
    MemberLost,
    Notices,
    PeerJoined,
    PeerLost,
    PeerRegistered,
)
from orchestrator.presence import Question
from orchestrator.wire import Wire
from wampy.auth import Authentication
from wampy.errors import WampyError
from wampy.messages import Message
from wampy.protocol.session import (
    Challenged,
    ClientProtocol,
    EventReceived,
    Invoked,
    Joined,
    Left,
    Rejected,
    Reply,
)
from wampy.serializers import MSGPACK

#: Seconds between two attempts to reach a Router that is expected to be there.
RECONNECT_S = 0.05
#: The canary: how often, how long, how many misses condemn the Router.
CANARY = HeartbeatPolicy()
#: Seconds between probes of an Instance that is starting: at first, and at most.
PROBE_FIRST_S = 0.02
PROBE_MAX_S = 0.5
#: Seconds from the first byte to the WELCOME and the registered canary; then it is tried anew.
JOIN_S = 10.0
#: Seconds that an Instance gets to join and register again before its misses count.
RETURN_S = 5.0
#: Seconds from the notice that a session has ended to the look at its Instance: who died has been
#: found dead by then, who was draining is not watched any more.
LOOK_S = 0.05
#: The errors that say that an Instance has lost its Session; others may have other causes.
_GONE = ("wamp.error.no_such_procedure", "wamp.error.canceled", "wamp.error.cancelled")


@dataclass(slots=True)
class Watched:
    """One incarnation that is asked each interval."""

    instance: InstanceId
    incarnation: int
    uri: str
    policy: HeartbeatPolicy
    is_probing: bool = True
    probe_delay_s: float = PROBE_FIRST_S
    probe: Timer | None = None
    is_looked_at: bool = False
    #: It was ready and lost its Session: until then (monotonic) it may come back by itself.
    returns_until: float | None = None


@dataclass(slots=True)
class Call:
    """A call under way: what it asks, and when it was sent. ``watched`` None: the canary.

    ``is_look``: the Router has told that the Instance may have lost something.
    """

    watched: Watched | None
    sent_at: float
    is_look: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what comes of it; all called in the loop's thread.

    Attributes:
        joined, lost: the Session with the Router itself; ``lost`` with the reason.
        answered: a heartbeat, with its content and round trip in seconds.
        missed: a heartbeat that was not answered, though the canary was.
        canary_missed: how many in a row.
        peer_joined, peer_left: the pid of a process that has joined, or of one that has lost a
            session or a procedure; only from a Router that tells.
        unreachable: the Instance is alive, and cannot be called any more.
        member_joined, member_left: the authid of a program that has joined, or has lost a session
            or a procedure; only from a Router that tells.
    """

    joined: Callable[[], None]
    lost: Callable[[str], None]
    answered: Callable[[InstanceId, int, dict[str, Any], float], None]
    missed: Callable[[InstanceId, int], None]
    canary_missed: Callable[[int], None]
    peer_joined: Callable[[int], None]
    peer_left: Callable[[int], None]
    unreachable: Callable[[InstanceId, int], None]
    member_joined: Callable[[str], None] = lambda authid: None
    member_left: Callable[[str], None] = lambda authid: None


@dataclass(slots=True)
class _Group:
    """All who share one policy, and their timer."""

    members: dict[InstanceId, Watched] = field(default_factory=dict)
    timer: Timer | None = None


class RouterSession:
    """The orchestrator's Session with the Router, in the supervisor's loop; nothing blocks.

    From ``connect()`` to ``disconnect()`` it is kept up: whenever it is lost, it is tried again.
    ``is_told``: the Router tells of the Instances by itself.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        url: str,
        realm: str,
        authentication: Authentication,
        stack: str,
        listener: Listener,
        is_told: bool = False,
    ) -> None:
        self._loop = loop
        self._url = url
        self._realm = realm
        self._authentication = authentication
        self._stack = stack
        self._listener = listener
        self._is_told = is_told
        self._notices: Notices | None = None
        self._losing: set[int] = set()
        self._echo = f"wampy.{stack}.orchestrator.echo"
        self._asking = Asking(loop)
        self._wire: Wire | None = None
        self._protocol: ClientProtocol | None = None
        self._is_joined = False
        self._is_wanted = False
        self._retry: Timer | None = None
        self._calls: dict[int, Call] = {}
        self._groups: dict[HeartbeatPolicy, _Group] = {}
        self._canary_timer: Timer | None = None
        self._canary_answered_at = 0.0
        #: Misses in a row, by the policy at whose pace they were asked: a stall that several
        #: groups see at the same time is one.
        self._canary_misses: dict[HeartbeatPolicy, int] = {}
        self._join_timer: Timer | None = None

    # ------------------------------------------------------------------ the session

    @property
    def is_joined(self) -> bool:
        """Whether the Session is joined and the canary's procedure registered."""
        return self._is_joined

    def connect(self) -> None:
        """Reach the Router, and go on trying until ``disconnect()``; idempotent."""
        self._is_wanted = True
        if self._wire is None and self._retry is None:
            self._open()

    def disconnect(self, reason: str = "left") -> None:
        """Say GOODBYE and stop trying; ``reason`` is what the listener hears. Idempotent."""
        self._is_wanted = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        wire = self._wire
        if wire is not None:
            if self._is_joined and self._protocol is not None:
                # The Router may be gone already: then this closes the wire.
                self._send([self._protocol.goodbye()])
            wire.close(reason)

    def reconnect(self, reason: str) -> None:
        """Give this connection up and try again; the listener hears ``reason``."""
        if self._wire is not None:
            self._wire.close(reason)

    def publish(self, topic: str, payload: dict[str, Any], authroles: list[str]) -> None:
        """Publish an event for these roles only; lost without a word when there is no Session."""
        if self._is_joined and self._protocol is not None:
            options = {"eligible_authrole": authroles}
            self._send([self._protocol.publish(topic, (payload,), {}, options)])

    @property
    def echo(self) -> str:
        """The canary's procedure."""
        return self._echo

    def ask(self, questions: Sequence[Question], timeout_s: float, done: Done) -> None:
        """Call procedures in one write; ``done`` gets all answers, unless the Session ends."""
        if self._is_joined and self._protocol is not None:
            self._send(self._asking.ask(self._protocol, questions, timeout_s, done))

    def _open(self) -> None:
        self._retry = None
        self._protocol = ClientProtocol(self._realm, self._authentication)
        wire = self._wire = Wire(
            self._loop,
            self._url,
            on_open=self._opened,
            on_payloads=self._received,
            on_closed=self._closed,
        )
        # Who takes connections and says nothing would be waited for until the network gives up.
        silent = f"{self._url}: no session within {JOIN_S:g} s"
        self._join_timer = self._loop.call_later(JOIN_S, lambda: wire.close(silent))

    def _opened(self) -> None:
        assert self._protocol is not None
        self._send([self._protocol.hello()])

    def _closed(self, reason: str) -> None:
        self._wire = None
        self._protocol = None
        self._notices = None
        for group in self._groups.values():
            for watched in group.members.values():
                watched.is_looked_at = False
        self._calls.clear()
        self._asking.clear()
        self._is_joined = False
        self._canary_misses.clear()
        for timer in (self._canary_timer, self._join_timer):
            if timer is not None:
                timer.cancel()
        if self._is_wanted:
            self._retry = self._loop.call_later(RECONNECT_S, self._open)
        self._listener.lost(reason)

    def _send(self, messages: list[Message]) -> None:
        if self._wire is not None and messages:
            self._wire.send([MSGPACK.encode(message) for message in messages])

    def _received(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            if self._protocol is None or self._wire is None:
                return
            try:
                self._handle(self._protocol.receive(MSGPACK.decode(payload)))
            except WampyError as error:
                self._wire.close(f"the router broke the protocol: {error}")
                return

    def _handle(self, received: Any) -> None:
        assert self._protocol is not None
        assert self._wire is not None
        if isinstance(received, Reply):
            call = self._calls.pop(received.request_id, None)
            if call is not None:
                self._answered(call, received)
            elif self._asking.answered(received):
                pass
            elif self._notices is not None and self._notices.is_for(received):
                self._send(self._notices.answered(received, self._protocol))
            elif not self._is_joined:
                self._registered(received)
        elif isinstance(received, EventReceived):
            self._heard(received)
        elif isinstance(received, Invoked):
            invocation = received.invocation
            self._send([self._protocol.yield_(invocation.request_id, invocation.args, {}, {})])
        elif isinstance(received, Challenged):
            self._send([received.authenticate])
        elif isinstance(received, Joined):
            if self._is_told:
                self._notices = Notices(self._stack)
                self._send(self._notices.requests(self._protocol))
            self._register(self._protocol)
        elif isinstance(received, (Rejected, Left)):
            self._wire.close(str(getattr(received, "reason", received)))

    def _register(self, protocol: ClientProtocol | None) -> None:
        if protocol is not None and protocol is self._protocol:
            self._send([protocol.register(self._echo, {"invoke": "single"})])

    def _registered(self, reply: Reply) -> None:
        """Answer to REGISTER of the canary's procedure; a former session may still hold it."""
        if reply.error is not None:
            # Told, since it may be that this Router lets us register nothing, ever.
            self._listener.lost(f"cannot register {self._echo}: {reply.error}")
            protocol = self._protocol
            self._loop.call_later(RECONNECT_S, lambda: self._register(protocol))
            return
        if self._join_timer is not None:
            self._join_timer.cancel()
        self._is_joined = True
        self._listener.joined()
        self._canary_tick()
        for group in self._groups.values():
            for watched in list(group.members.values()):
                if not watched.is_probing:
                    # The Router is new: everybody has to come back to it first.
                    self.expect_return(watched.instance)
                else:
                    self._probe(watched)

    # ------------------------------------------------------------------ what the Router tells

    def _heard(self, received: EventReceived) -> None:
        if self._notices is None:
            return  # nothing was subscribed to
        match self._notices.heard(received.event):
            case PeerJoined(pid):
                self._listener.peer_joined(pid)
            case PeerRegistered(instance):
                watched = self._find(instance)
                if watched is not None and watched.is_probing:
                    watched.probe_delay_s = PROBE_FIRST_S
                    self._probe(watched)
            case PeerLost(pid):
                self._lost(pid)
            case MemberJoined(authid):
                self._listener.member_joined(authid)
            case MemberLost(authid):
                self._listener.member_left(authid)

    def _lost(self, pid: int) -> None:
        """Tell it in a moment; once, however many procedures and sessions that process loses."""
        if pid in self._losing:
            return
        self._losing.add(pid)
        protocol = self._protocol

        def lost() -> None:
            self._losing.discard(pid)
            if protocol is self._protocol:
                self._listener.peer_left(pid)

        self._loop.call_later(LOOK_S, lost)

    def look(self, instance: InstanceId) -> None:
        """Ask a watched Instance now: it may have lost its session, or a procedure.

        Without a canary, and what is not answered in time counts for nothing: heartbeats alone
        condemn, at their own pace. One look at a time.
        """
        watched = self._find(instance)
        if watched is not None and not watched.is_probing and not watched.is_looked_at:
            watched.is_looked_at = True
            self._call([watched], watched.policy, is_look=True)

    def _find(self, instance: InstanceId) -> Watched | None:
        for group in self._groups.values():
            if instance in group.members:
                return group.members[instance]
        return None

    # ------------------------------------------------------------------ the canary

    def _canary_tick(self) -> None:
        if self._is_joined:
            self._call([None], CANARY)
            self._canary_timer = self._loop.call_later(CANARY.interval_s, self._canary_tick)

    # ------------------------------------------------------------------ heartbeats

    def watch(self, instance: InstanceId, incarnation: int, policy: HeartbeatPolicy) -> None:
        """Probe an incarnation until it is ready, then ask it each interval; replaces another."""
        self.unwatch(instance)
        uri = f"wampy.{self._stack}.peer.{instance.name}.{instance.index}.heartbeat"
        watched = Watched(instance, incarnation, uri, policy)
        group = self._groups.setdefault(policy, _Group())
        group.members[instance] = watched
        if group.timer is None:
            group.timer = self._loop.call_later(policy.interval_s, lambda: self._tick(policy))
        if self._is_joined:
            self._probe(watched)

    def expect_return(self, instance: InstanceId) -> None:
        """The Instance has lost its Session: probe it until it is back; misses count later."""
        watched = self._find(instance)
        if watched is not None and not watched.is_probing:
            watched.is_probing = True
            watched.probe_delay_s = PROBE_FIRST_S
            watched.returns_until = self._loop.now() + RETURN_S
            if self._is_joined:
                self._probe(watched)

    def unwatch(self, instance: InstanceId) -> None:
        """Ask this Instance no more; idempotent."""
        for policy, group in list(self._groups.items()):
            if group.members.pop(instance, None) is not None and not group.members:
                if group.timer is not None:
                    group.timer.cancel()
                del self._groups[policy]

    def _tick(self, policy: HeartbeatPolicy) -> None:
        group = self._groups.get(policy)
        if group is None:
            return
        group.timer = self._loop.call_later(policy.interval_s, lambda: self._tick(policy))
        asked: list[Watched | None] = [w for w in group.members.values() if not w.is_probing]
        if asked and self._is_joined:
            self._call([None, *asked], policy)

    def _probe(self, watched: Watched) -> None:
        if watched.probe is not None:
            watched.probe.cancel()
            watched.probe = None
        if self._is_current(watched):
            self._call([watched], watched.policy)

    def _probe_again(self, watched: Watched, *, is_told: bool) -> None:
        """Probe it once more; not soon, if the Router tells when it is worth while."""
        if watched.probe is not None:
            watched.probe.cancel()
        delay_s = PROBE_MAX_S if is_told else watched.probe_delay_s
        watched.probe_delay_s = min(2 * delay_s, PROBE_MAX_S)
        watched.probe = self._loop.call_later(delay_s, lambda: self._probe(watched))

    def _call(
        self, asked: list[Watched | None], policy: HeartbeatPolicy, *, is_look: bool = False
    ) -> None:
        if self._protocol is None or not self._is_joined:
            return
        now = self._loop.now()
        batch: dict[int, Call] = {}
        messages: list[Message] = []
        for watched in asked:
            message = self._protocol.call(
                self._echo if watched is None else watched.uri, (), {}, {}
            )
            messages.append(message)
            assert message.request_id is not None  # the protocol numbers what it makes
            batch[message.request_id] = Call(watched, now, is_look)
        self._calls.update(batch)
        self._send(messages)
        protocol = self._protocol
        self._loop.call_later(policy.timeout_s, lambda: self._check(protocol, batch, policy))

    def _check(
        self,
        protocol: ClientProtocol,
        batch: Mapping[int, Call],
        policy: HeartbeatPolicy,
    ) -> None:
        """The time of a batch is up: who has not answered, and may they be blamed?"""
        if protocol is not self._protocol:
            return
        late = [call for request_id, call in batch.items() if self._calls.pop(request_id, None)]
        if not late:
            return
        if any(call.watched is None for call in late):
            in_a_row = self._canary_misses.get(policy, 0) + 1
            self._canary_misses[policy] = in_a_row
            self._listener.canary_missed(in_a_row)
            return
        for call in late:
            if call.is_look and call.watched is not None:
                call.watched.is_looked_at = False
            else:
                self._miss(call)

    def _miss(self, call: Call) -> None:
        watched = call.watched
        if watched is None or not self._is_current(watched):
            return
        if watched.returns_until is not None and self._loop.now() > watched.returns_until:
            # It did not come back by itself: from now on it is like any that does not answer.
            watched.is_probing = False
            watched.returns_until = None
        if watched.is_probing:
            self._probe_again(watched, is_told=self._is_told)
        elif self._canary_answered_at >= call.sent_at:
            self._listener.missed(watched.instance, watched.incarnation)

    def _is_current(self, watched: Watched) -> bool:
        group = self._groups.get(watched.policy)
        return group is not None and group.members.get(watched.instance) is watched

    def _answered(self, call: Call, reply: Reply) -> None:
        now = self._loop.now()
        watched = call.watched
        if watched is None:
            self._canary_answered_at = now
            self._canary_misses.clear()
            return
        if call.is_look:
            watched.is_looked_at = False
        if not self._is_current(watched):
            return
        report = reply.args[0] if reply.error is None and reply.args else None
        if not isinstance(report, dict) or report.get("incarnation") != watched.incarnation:
            # Not registered (yet), or a former incarnation's answer: no heartbeat of this one.
            self._canary_answered_at = max(self._canary_answered_at, call.sent_at)
            if not call.is_look:
                self._miss(call)
            elif not watched.is_probing and (reply.error is None or reply.error.uri in _GONE):
                self._listener.unreachable(watched.instance, watched.incarnation)
            return
        if watched.is_probing:
            if report.get("ready"):
                watched.is_probing = False
                watched.returns_until = None
            else:
                self._probe_again(watched, is_told=False)
        self._listener.answered(watched.instance, watched.incarnation, report, now - call.sent_at)
