"""The life of one Instance, as one literal table: (state, event) to what is done.

Rules that hold whatever happens:

- at most one incarnation that is not draining is alive (``child``); older ones are ``outgoing``;
- a stop request beats a pending restart, a restart beats nothing;
- the first restart after a crash of an Instance that had been ready is immediate, the second in a
  row waits, and after ``restart_limit`` failed starts in a row it is FATAL;
- an event of an incarnation that is neither ``child`` nor outgoing is late, and dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.child import Child, Exit, describe_exit
from orchestrator.core.commands import (
    Command,
    DrainChild,
    HandOver,
    KillChild,
    Report,
    ReportFailure,
    SpawnChild,
    TakeBack,
    TerminateChild,
)
from orchestrator.core.events import (
    EXIT_CANNOT_START,
    ChildCondemned,
    ChildExited,
    ChildReady,
    ChildSpawned,
    ChildUnready,
    DeadlinePassed,
    InstanceEvent,
    RollRequested,
    SpawnFailed,
    StartRequested,
    StopRequested,
)
from orchestrator.core.spec import Kind, PeerSpec, RestartPolicy
from orchestrator.core.states import InstanceId, State, UnexpectedEvent

#: Seconds between SIGTERM and SIGKILL (contract: "then TERM, then 5 s, then KILL").
TERM_GRACE_S = 5.0
#: Seconds after which SIGKILL is sent again, should the first have met an empty process group.
KILL_AGAIN_S = 1.0


@dataclass(slots=True)
class Instance:
    """One Instance: its state, its children, and what is wanted of it."""

    id: InstanceId
    spec: PeerSpec
    state: State = State.STOPPED
    wanted: bool = False
    ready: bool = False
    reason: str | None = None
    incarnation: int = 0
    restarts: int = 0
    failures: int = 0
    started_at: float | None = None
    ready_since: float | None = None
    last_exit: Exit | None = None
    completed: bool = False
    #: Why no child may be started now; the stack says so while the Router is away, or others stop.
    held: str | None = None
    #: A restart is due but was held.
    is_held: bool = False
    #: Not to be replaced by an incarnation of the same code before that, monotonic seconds.
    recycled_at: float | None = None
    child: Child | None = None
    outgoing: dict[int, Child] = field(default_factory=dict)
    #: BACKOFF: when the next start is due. RUNNING: when earlier failures are forgotten.
    deadline: float | None = None

    # ------------------------------------------------------------------ the interface

    def handle(self, event: InstanceEvent, now: float) -> list[Command]:
        """Decide what follows from ``event``.

        Raises:
            UnexpectedEvent: the table says that it cannot happen in this state; nothing changed.
        """
        incarnation = getattr(event, "incarnation", None)
        current = None if self.child is None else self.child.incarnation
        if incarnation is not None and incarnation != current:
            old = self.outgoing.get(incarnation)
            return [] if old is None else self._handle_outgoing(old, event, now)
        action = TABLE[self.state, type(event)]
        if action is None:
            raise UnexpectedEvent(f"{self.id}: {type(event).__name__} in {self.state.value}")
        return action(self, event, now)

    def next_deadline(self) -> float | None:
        """When ``DeadlinePassed`` is due next, or None."""
        times = [self.deadline, *(old.deadline for old in self.outgoing.values())]
        if self.child is not None:
            times.append(self.child.deadline)
        return min((time for time in times if time is not None), default=None)

    @property
    def is_gone(self) -> bool:
        """Whether no process of this Instance is left."""
        return self.child is None and not self.outgoing

    @property
    def is_settled(self) -> bool:
        """Whether a dependant may count on it: ready, or a job that is done."""
        return (self.state is State.RUNNING and self.ready) or self.completed

    def note(self, reason: str) -> Report:
        """Give a report that tells why something is about to be done with it."""
        return self._enter(self.state, reason)

    def condemned_cause(self) -> str | None:
        """Why the current child is being killed, if it is."""
        return None if self.child is None else self.child.cause

    # ------------------------------------------------------------------ actions

    def _enter(self, new: State, reason: str | None = None, delay_s: float | None = None) -> Report:
        old, self.state, self.reason = self.state, new, reason
        if new is not State.RUNNING:
            self.ready = False
            self.ready_since = None
        child = self.child
        pid = None if child is None else child.pid
        return Report(self.id, self.incarnation, pid, old, new, self.ready, reason, delay_s)

    def _ignore(self, event: Any, now: float) -> list[Command]:
        return []

    def _start_asked(self, event: StartRequested, now: float) -> list[Command]:
        """STOPPED, EXITED, FATAL, BACKOFF: a start by hand forgets earlier failures.

        It waits for the Router all the same: without that the child could do nothing but fail.
        """
        self.wanted = True
        self.failures = 0
        if self.held is not None:
            self.deadline = None
            self.is_held = True
            return [self._enter(State.BACKOFF, self.held)]
        return self._spawn(now)

    def _spawn(self, now: float) -> list[Command]:
        if self.incarnation:
            self.restarts += 1
        self.incarnation += 1
        self.child = Child(
            self.incarnation,
            drains=self.spec.drains,
            deadline=now + self.spec.start_timeout_s,
        )
        self.started_at = now
        self.deadline = None
        self.is_held = False
        self.completed = False
        return [self._enter(State.STARTING), SpawnChild(self.id, self.incarnation)]

    def _want_again(self, event: StartRequested, now: float) -> list[Command]:
        """STOPPING: start again as soon as it has stopped (the stack does, when gates allow)."""
        self.wanted = True
        return []

    def _spawned(self, event: ChildSpawned, now: float) -> list[Command]:
        assert self.child is not None
        self.child.pid = event.pid
        self.child.spread = event.spread
        return []

    def _spawned_too_late(self, event: ChildSpawned, now: float) -> list[Command]:
        """STOPPING: a stop was asked between the order to fork and the fork."""
        assert self.child is not None
        self.child.pid = event.pid
        return self._terminate(self.child, now)

    def _spawn_failed(self, event: SpawnFailed, now: float) -> list[Command]:
        child, began_at = self.child, self.started_at
        assert child is not None
        commands = self._after_failed_spawn(event, now)
        return [*commands, self._failure(child, began_at, now)]

    def _after_failed_spawn(self, event: SpawnFailed, now: float) -> list[Command]:
        self.child = None
        self.last_exit = Exit(None, None, event.reason, now)
        if any(old.ending == "handed over" for old in self.outgoing.values()):
            return self._roll_back(event.reason, now)
        if event.permanent:
            return self._give_up(event.reason)
        return self._failed(event.reason, event.spread, now, was_ready=False)

    def _spawn_failed_stopping(self, event: SpawnFailed, now: float) -> list[Command]:
        self.child = None
        return self._stopped_if_gone()

    def _became_ready(self, event: ChildReady, now: float) -> list[Command]:
        assert self.child is not None
        if self.child.cause is not None:
            return []
        self.child.was_ready = True
        self.child.deadline = None
        self.ready = True
        self.ready_since = now
        self.deadline = now + self.spec.backoff.reset_after_s if self.failures else None
        commands: list[Command] = [self._enter(State.RUNNING)]
        for old in self.outgoing.values():
            commands += self._drain(old, now)
        return commands

    def _ready_again(self, event: ChildReady, now: float) -> list[Command]:
        if self.ready or self.condemned_cause() is not None:
            return []
        self.ready = True
        self.ready_since = now
        if self.failures:
            self.deadline = now + self.spec.backoff.reset_after_s
        return [self._enter(State.RUNNING)]

    def _not_ready_yet(self, event: ChildUnready, now: float) -> list[Command]:
        self.reason = event.reason
        return []

    def _became_unready(self, event: ChildUnready, now: float) -> list[Command]:
        if not self.ready:
            self.reason = event.reason
            return []
        self.ready = False
        self.ready_since = None
        self.deadline = None
        return [self._enter(State.RUNNING, event.reason)]

    def _condemned(self, event: ChildCondemned, now: float) -> list[Command]:
        assert self.child is not None
        return self._condemn(event.cause, now)

    def _condemn(self, cause: str, now: float) -> list[Command]:
        child = self.child
        assert child is not None
        if child.cause is not None:
            return []
        child.cause = cause
        child.ending = "killed"
        child.deadline = now + KILL_AGAIN_S
        self.ready = False
        return [self._kill(child, dump=True), self._enter(self.state, cause)]

    def _start_overdue(self, event: DeadlinePassed, now: float) -> list[Command]:
        """STARTING: not ready in time, or a condemned child that is still there."""
        commands = self._outgoing_overdue(now)
        child = self.child
        assert child is not None
        if child.deadline is None or child.deadline > now:
            return commands
        if child.cause is not None:
            child.deadline = now + KILL_AGAIN_S
            return [*commands, self._kill(child)]
        if self.held is not None:
            # Nobody gets ready without a Router: its time begins again when that is back.
            child.deadline = now + self.spec.start_timeout_s
            return commands
        said = f": {self.reason}" if self.reason else ""
        cause = f"not ready within {self.spec.start_timeout_s:g} s{said}"
        return commands + self._condemn(cause, now)

    def _run_deadline(self, event: DeadlinePassed, now: float) -> list[Command]:
        """RUNNING: it has stayed ready long enough, or a condemned child is still there."""
        commands = self._outgoing_overdue(now)
        if self.deadline is not None and self.deadline <= now:
            self.deadline = None
            self.failures = 0
        child = self.child
        if child is not None and child.deadline is not None and child.deadline <= now:
            child.deadline = now + KILL_AGAIN_S
            commands.append(self._kill(child))
        return commands

    def _exited(self, event: ChildExited, now: float) -> list[Command]:
        """STARTING or RUNNING: nobody asked for that, except of a job."""
        child, began_at = self.child, self.started_at
        assert child is not None
        cause = child.cause or event.reason or describe_exit(event.code, event.signal)
        commands = self._after_exit(child, cause, event, now)
        if self.state is State.EXITED and event.code in self.spec.success_exit_codes:
            return commands
        return [*commands, self._failure(child, began_at, now)]

    def _failure(self, child: Child, began_at: float | None, now: float) -> ReportFailure:
        assert self.last_exit is not None
        known = {
            State.STARTING: "started again at once",
            State.RUNNING: "the incarnation before it goes on",
            State.EXITED: "left as it is, as its restart policy says",
            State.FATAL: f"given up: {self.reason}",
            State.STOPPED: "stopped",
            State.STOPPING: "being stopped",
        }
        then = known.get(self.state)
        if then is None and self.deadline is not None:
            then = f"started again after {max(0.0, self.deadline - now):.1f} s"
        return ReportFailure(
            self.id,
            child.incarnation,
            child.pid,
            self.last_exit.cause,
            self.last_exit.code,
            self.last_exit.signal,
            0.0 if began_at is None else now - began_at,
            child.was_ready,
            then or f"to be started again: {self.held or self.reason}",
        )

    def _after_exit(
        self, child: Child, cause: str, event: ChildExited, now: float
    ) -> list[Command]:
        self.child = None
        self.last_exit = Exit(event.code, event.signal, cause, now)
        is_success = event.code in self.spec.success_exit_codes and child.cause is None
        if any(old.ending == "handed over" for old in self.outgoing.values()):
            return self._roll_back(cause, now)
        if event.code == EXIT_CANNOT_START and child.cause is None:
            return self._give_up(cause)
        if self.spec.kind is Kind.JOB and is_success:
            self.completed = True
            self.wanted = False
            return [self._enter(State.EXITED)]
        if self.spec.restart is RestartPolicy.NEVER or (
            self.spec.restart is RestartPolicy.ON_FAILURE and is_success
        ):
            self.wanted = False
            return [self._enter(State.EXITED, None if is_success else cause)]
        if not event.router_ready and child.cause is None:
            # Whoever ends because the Router is away has not failed; it starts when that is back.
            self.is_held = True
            return [self._enter(State.BACKOFF, "the router is away")]
        return self._failed(cause, event.spread, now, was_ready=child.was_ready)

    def _failed(self, cause: str, spread: float, now: float, *, was_ready: bool) -> list[Command]:
        stayed_s = 0.0 if self.ready_since is None else now - self.ready_since
        if was_ready and stayed_s >= self.spec.backoff.reset_after_s:
            self.failures = 0
        self.failures += 1
        limit = self.spec.restart_limit
        if limit is not None and self.failures >= limit:
            return self._give_up(f"{self.failures} starts in a row failed; the last: {cause}")
        if was_ready and self.failures == 1 and self.held is None:
            report = self._enter(State.BACKOFF, cause, 0.0)
            return [report, *self._spawn(now)]
        immediate = was_ready and self.failures == 1
        delay_s = 0.0 if immediate else self.spec.backoff.delay_s(max(1, self.failures - 1), spread)
        self.deadline = now + delay_s
        return [self._enter(State.BACKOFF, cause, delay_s)]

    def _give_up(self, cause: str) -> list[Command]:
        self.wanted = False
        self.deadline = None
        return [self._enter(State.FATAL, cause)]

    def _backoff_over(self, event: DeadlinePassed, now: float) -> list[Command]:
        commands = self._outgoing_overdue(now)
        due = self.is_held or (self.deadline is not None and self.deadline <= now)
        if not due:
            return commands
        self.deadline = None
        if self.held is not None:
            self.is_held = True
            return commands
        return commands + self._spawn(now)

    def _outgoing_deadline(self, event: DeadlinePassed, now: float) -> list[Command]:
        return self._outgoing_overdue(now)

    # ------------------------------------------------------------------ stopping

    def _stop_starting(self, event: StopRequested, now: float) -> list[Command]:
        """STARTING: nothing was registered yet, or not all of it: TERM at once."""
        self.wanted = False
        commands: list[Command] = [self._enter(State.STOPPING)]
        assert self.child is not None
        if self.child.pid is not None:
            commands += self._terminate(self.child, now)
        else:
            self.child.deadline = now + TERM_GRACE_S
        for old in self.outgoing.values():
            commands += self._drain(old, now)
        return commands

    def _stop_running(self, event: StopRequested, now: float) -> list[Command]:
        self.wanted = False
        self.deadline = None
        commands: list[Command] = [self._enter(State.STOPPING)]
        assert self.child is not None
        commands += self._drain(self.child, now)
        for old in self.outgoing.values():
            commands += self._drain(old, now)
        return commands

    def _stop_waiting(self, event: StopRequested, now: float) -> list[Command]:
        """BACKOFF, FATAL: there is nothing to stop but the next start."""
        self.wanted = False
        self.deadline = None
        self.is_held = False
        commands: list[Command] = []
        for old in self.outgoing.values():
            commands += self._drain(old, now)
        return [self._enter(State.STOPPING if self.outgoing else State.STOPPED), *commands]

    def _unwant(self, event: StopRequested, now: float) -> list[Command]:
        self.wanted = False
        return []

    def _exited_stopping(self, event: ChildExited, now: float) -> list[Command]:
        child = self.child
        assert child is not None
        cause = child.cause or "stopped"
        self.last_exit = Exit(event.code, event.signal, cause, now)
        self.child = None
        commands = self._stopped_if_gone()
        if child.cause is not None:
            commands.append(self._failure(child, self.started_at, now))
        return commands

    def _stopped_if_gone(self) -> list[Command]:
        return [self._enter(State.STOPPED)] if self.is_gone else []

    def _stop_overdue(self, event: DeadlinePassed, now: float) -> list[Command]:
        commands = self._outgoing_overdue(now)
        if self.child is not None:
            commands += self._escalate(self.child, now)
        return commands

    def _drain(self, child: Child, now: float) -> list[Command]:
        if child.ending in ("draining", "terminated", "killed"):
            return []
        if not child.drains:
            return self._terminate(child, now)
        child.ending = "draining"
        child.deadline = now + self.spec.stop_grace_s
        return [DrainChild(self.id, child.incarnation)]

    def _terminate(self, child: Child, now: float) -> list[Command]:
        child.ending = "terminated"
        child.deadline = now + (TERM_GRACE_S if child.drains else self.spec.stop_grace_s)
        return [TerminateChild(self.id, child.incarnation)]

    def _kill(self, child: Child, *, dump: bool = False) -> Command:
        child.ending = "killed"
        return KillChild(self.id, child.incarnation, dump)

    def _escalate(self, child: Child, now: float) -> list[Command]:
        if child.deadline is None or child.deadline > now:
            return []
        if child.ending == "draining":
            return self._terminate(child, now)
        child.deadline = now + KILL_AGAIN_S
        if child.ending == "terminated" and child.cause is None:
            child.cause = "killed: it did not end within its grace after SIGTERM"
        return [self._kill(child)]

    # ------------------------------------------------------------------ rolling

    def _roll(self, event: RollRequested, now: float) -> list[Command]:
        """RUNNING: the old incarnation goes on serving until the new one is ready."""
        old = self.child
        assert old is not None
        if old.cause is not None or self.outgoing:
            return []
        old.ending = "handed over"
        old.deadline = None
        self.outgoing[old.incarnation] = old
        hand_over = HandOver(self.id, old.incarnation)
        return [hand_over, *self._spawn(now)]

    def _roll_back(self, cause: str, now: float) -> list[Command]:
        """The replacement failed: the old incarnation is the child again."""
        incarnation, old = next(
            (n, c) for n, c in self.outgoing.items() if c.ending == "handed over"
        )
        del self.outgoing[incarnation]
        old.ending = None
        self.child = old
        self.ready = True
        self.ready_since = now
        reason = f"the replacement failed: {cause}"
        return [TakeBack(self.id, incarnation), self._enter(State.RUNNING, reason)]

    def _handle_outgoing(self, old: Child, event: InstanceEvent, now: float) -> list[Command]:
        """An event of an incarnation on its way out; only its end matters."""
        if not isinstance(event, ChildExited):
            return []
        del self.outgoing[old.incarnation]
        return self._stopped_if_gone() if self.state is State.STOPPING else []

    def _outgoing_overdue(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for old in self.outgoing.values():
            commands += self._escalate(old, now)
        return commands


Action = Callable[[Instance, Any, float], list[Command]]

_I = Instance
#: None: impossible, raises UnexpectedEvent. Every pair is listed; a test holds it total.
TABLE: dict[tuple[State, type], Action | None] = {
    (State.STOPPED, StartRequested): _I._start_asked,
    (State.STOPPED, StopRequested): _I._unwant,
    (State.STOPPED, RollRequested): _I._ignore,
    (State.STOPPED, ChildSpawned): None,
    (State.STOPPED, SpawnFailed): None,
    (State.STOPPED, ChildReady): None,
    (State.STOPPED, ChildUnready): None,
    (State.STOPPED, ChildExited): None,
    (State.STOPPED, ChildCondemned): None,
    (State.STOPPED, DeadlinePassed): _I._ignore,
    (State.STARTING, StartRequested): _I._ignore,
    (State.STARTING, StopRequested): _I._stop_starting,
    (State.STARTING, RollRequested): _I._ignore,
    (State.STARTING, ChildSpawned): _I._spawned,
    (State.STARTING, SpawnFailed): _I._spawn_failed,
    (State.STARTING, ChildReady): _I._became_ready,
    (State.STARTING, ChildUnready): _I._not_ready_yet,
    (State.STARTING, ChildExited): _I._exited,
    (State.STARTING, ChildCondemned): _I._condemned,
    (State.STARTING, DeadlinePassed): _I._start_overdue,
    (State.RUNNING, StartRequested): _I._ignore,
    (State.RUNNING, StopRequested): _I._stop_running,
    (State.RUNNING, RollRequested): _I._roll,
    (State.RUNNING, ChildSpawned): None,
    (State.RUNNING, SpawnFailed): None,
    (State.RUNNING, ChildReady): _I._ready_again,
    (State.RUNNING, ChildUnready): _I._became_unready,
    (State.RUNNING, ChildExited): _I._exited,
    (State.RUNNING, ChildCondemned): _I._condemned,
    (State.RUNNING, DeadlinePassed): _I._run_deadline,
    (State.BACKOFF, StartRequested): _I._start_asked,
    (State.BACKOFF, StopRequested): _I._stop_waiting,
    (State.BACKOFF, RollRequested): _I._ignore,
    (State.BACKOFF, ChildSpawned): None,
    (State.BACKOFF, SpawnFailed): None,
    (State.BACKOFF, ChildReady): None,
    (State.BACKOFF, ChildUnready): None,
    (State.BACKOFF, ChildExited): None,
    (State.BACKOFF, ChildCondemned): None,
    (State.BACKOFF, DeadlinePassed): _I._backoff_over,
    (State.STOPPING, StartRequested): _I._want_again,
    (State.STOPPING, StopRequested): _I._unwant,
    (State.STOPPING, RollRequested): _I._ignore,
    (State.STOPPING, ChildSpawned): _I._spawned_too_late,
    (State.STOPPING, SpawnFailed): _I._spawn_failed_stopping,
    (State.STOPPING, ChildReady): _I._ignore,
    (State.STOPPING, ChildUnready): _I._ignore,
    (State.STOPPING, ChildExited): _I._exited_stopping,
    (State.STOPPING, ChildCondemned): _I._ignore,
    (State.STOPPING, DeadlinePassed): _I._stop_overdue,
    (State.EXITED, StartRequested): _I._start_asked,
    (State.EXITED, StopRequested): _I._unwant,
    (State.EXITED, RollRequested): _I._ignore,
    (State.EXITED, ChildSpawned): None,
    (State.EXITED, SpawnFailed): None,
    (State.EXITED, ChildReady): None,
    (State.EXITED, ChildUnready): None,
    (State.EXITED, ChildExited): None,
    (State.EXITED, ChildCondemned): None,
    (State.EXITED, DeadlinePassed): _I._outgoing_deadline,
    (State.FATAL, StartRequested): _I._start_asked,
    (State.FATAL, StopRequested): _I._stop_waiting,
    (State.FATAL, RollRequested): _I._ignore,
    (State.FATAL, ChildSpawned): None,
    (State.FATAL, SpawnFailed): None,
    (State.FATAL, ChildReady): None,
    (State.FATAL, ChildUnready): None,
    (State.FATAL, ChildExited): None,
    (State.FATAL, ChildCondemned): None,
    (State.FATAL, DeadlinePassed): _I._outgoing_deadline,
}
