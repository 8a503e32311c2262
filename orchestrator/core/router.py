"""The life of the Router, as one literal table like an Instance's.

The Router is ready when the orchestrator's own Session has joined. Its process may be alive and the
Session lost: then it is RUNNING and not ready until the Session is back or the canary condemns it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.commands import Command, KillRouter, ReportRouter, StartRouter, StopRouter
from orchestrator.core.events import (
    DeadlinePassed,
    RouterCondemned,
    RouterEvent,
    RouterExited,
    RouterJoined,
    RouterLost,
    RouterSpawned,
    RouterStartRequested,
    RouterStopRequested,
)
from orchestrator.core.spec import Backoff
from orchestrator.core.states import State, UnexpectedEvent

#: Seconds after which SIGKILL is sent again.
KILL_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """What the core must know of the Router.

    Args:
        is_external: no process of ours: started by connecting, never killed.
        start_timeout_s: from the start to the orchestrator's WELCOME.
        stop_step_waits_s: seconds to wait after each stop step; after the last comes SIGKILL.
    """

    is_external: bool = False
    start_timeout_s: float = 30.0
    stop_step_waits_s: tuple[float, ...] = (10.0, 5.0)
    backoff: Backoff = field(default_factory=Backoff)
    restart_limit: int = 10


@dataclass(slots=True)
class Router:
    """The Router's state, and what is wanted of it."""

    spec: RouterSpec
    state: State = State.STOPPED
    wanted: bool = False
    ready: bool = False
    reason: str | None = None
    has_process: bool = False
    pid: int | None = None
    restarts: int = 0
    failures: int = 0
    was_ready: bool = False
    started_at: float | None = None
    ready_since: float | None = None
    cause: str | None = None
    stop_step: int = 0
    deadline: float | None = field(default=None)

    def handle(self, event: RouterEvent, now: float) -> list[Command]:
        """Decide what follows from ``event``.

        Raises:
            UnexpectedEvent: the table says that it cannot happen in this state; nothing changed.
        """
        action = TABLE[self.state, type(event)]
        if action is None:
            raise UnexpectedEvent(f"router: {type(event).__name__} in {self.state.value}")
        return action(self, event, now)

    def next_deadline(self) -> float | None:
        """When ``DeadlinePassed`` is due next, or None."""
        return self.deadline

    def _enter(self, new: State, reason: str | None = None) -> Command:
        old, self.state, self.reason = self.state, new, reason
        if new is not State.RUNNING:
            self.ready = False
        return ReportRouter(old, new, self.ready, reason)

    def _ignore(self, event: Any, now: float) -> list[Command]:
        return []

    def _start_asked(self, event: RouterStartRequested, now: float) -> list[Command]:
        self.wanted = True
        self.failures = 0
        return self._start(now)

    def _start(self, now: float) -> list[Command]:
        if self.started_at is not None:
            self.restarts += 1
        self.started_at = now
        self.was_ready = False
        self.cause = None
        self.has_process = not self.spec.is_external
        self.deadline = now + self.spec.start_timeout_s
        return [self._enter(State.STARTING), StartRouter()]

    def _unwant(self, event: RouterStopRequested, now: float) -> list[Command]:
        self.wanted = False
        return []

    def _spawned(self, event: RouterSpawned, now: float) -> list[Command]:
        self.pid = event.pid
        return []

    def _joined(self, event: RouterJoined, now: float) -> list[Command]:
        if self.cause is not None:
            return []
        self.ready = True
        self.was_ready = True
        self.ready_since = now
        self.deadline = now + self.spec.backoff.reset_after_s
        return [self._enter(State.RUNNING)]

    def _lost(self, event: RouterLost, now: float) -> list[Command]:
        """RUNNING: the Session ended; the process may follow, or the Session come back."""
        if not self.ready:
            return []
        self.ready = False
        # A Router that accepts no Session for as long as a start may take is no Router.
        self.deadline = now + self.spec.start_timeout_s
        return [self._enter(State.RUNNING, event.reason)]

    def _not_yet(self, event: RouterLost, now: float) -> list[Command]:
        self.reason = event.reason
        return []

    def _condemned(self, event: RouterCondemned, now: float) -> list[Command]:
        if self.spec.is_external:
            self.ready = False
            return [self._enter(State.RUNNING, event.cause)]
        return self._condemn(event.cause, now)

    def _condemn(self, cause: str, now: float) -> list[Command]:
        self.cause = cause
        self.ready = False
        self.deadline = now + KILL_AGAIN_S
        return [KillRouter(), self._enter(self.state, cause)]

    def _exited(self, event: RouterExited, now: float) -> list[Command]:
        cause = self.cause or event.reason
        self.pid = None
        self.has_process = False
        if not self.wanted:
            # The stack is stopping: whatever still drains does so without it.
            self.deadline = None
            return [self._enter(State.STOPPED, cause)]
        if self.was_ready and self.ready_since is not None:
            if now - self.ready_since >= self.spec.backoff.reset_after_s:
                self.failures = 0
        elif self.restarts == 0:
            # It never worked: a wrong configuration is not mended by trying again.
            return self._give_up(cause)
        self.failures += 1
        if self.failures >= self.spec.restart_limit:
            return self._give_up(f"{self.failures} starts in a row failed; the last: {cause}")
        if self.was_ready and self.failures == 1:
            report = self._enter(State.BACKOFF, cause)
            return [report, *self._start(now)]
        self.deadline = now + self.spec.backoff.delay_s(max(1, self.failures - 1), event.spread)
        return [self._enter(State.BACKOFF, cause)]

    def _give_up(self, cause: str) -> list[Command]:
        self.wanted = False
        self.deadline = None
        return [self._enter(State.FATAL, cause)]

    def _overdue(self, event: DeadlinePassed, now: float) -> list[Command]:
        """STARTING: no WELCOME in time."""
        if self.deadline is None or self.deadline > now:
            return []
        if self.cause is not None:
            self.deadline = now + KILL_AGAIN_S
            return [KillRouter()]
        said = f": {self.reason}" if self.reason else ""
        cause = f"not ready within {self.spec.start_timeout_s:g} s{said}"
        if self.spec.is_external:
            return self._give_up(cause)
        return self._condemn(cause, now)

    def _run_deadline(self, event: DeadlinePassed, now: float) -> list[Command]:
        """RUNNING: ready for long enough, or its Session lost for too long, or still not dead."""
        if self.deadline is None or self.deadline > now:
            return []
        if self.ready:
            self.deadline = None
            self.failures = 0
            return []
        if self.spec.is_external:
            self.deadline = None
            return []
        if self.cause is not None:
            self.deadline = now + KILL_AGAIN_S
            return [KillRouter()]
        return self._condemn(f"accepts no session: {self.reason}", now)

    def _backoff_over(self, event: DeadlinePassed, now: float) -> list[Command]:
        if self.deadline is None or self.deadline > now:
            return []
        if not self.wanted:
            return self._stop_waiting(RouterStopRequested(), now)
        return self._start(now)

    def _stop(self, event: RouterStopRequested, now: float) -> list[Command]:
        self.wanted = False
        if not self.has_process:
            self.deadline = None
            return [self._enter(State.STOPPED)]
        self.stop_step = 0
        report = self._enter(State.STOPPING)
        return [report, *self._next_stop_step(now)]

    def _next_stop_step(self, now: float) -> list[Command]:
        waits = self.spec.stop_step_waits_s
        if self.stop_step < len(waits):
            self.deadline = now + waits[self.stop_step]
            self.stop_step += 1
            return [StopRouter(self.stop_step - 1)]
        self.deadline = now + KILL_AGAIN_S
        return [KillRouter()]

    def _stop_overdue(self, event: DeadlinePassed, now: float) -> list[Command]:
        if self.deadline is None or self.deadline > now:
            return []
        return self._next_stop_step(now)

    def _stop_waiting(self, event: RouterStopRequested, now: float) -> list[Command]:
        self.wanted = False
        self.deadline = None
        return [self._enter(State.STOPPED)]

    def _exited_stopping(self, event: RouterExited, now: float) -> list[Command]:
        self.pid = None
        self.has_process = False
        self.deadline = None
        return [self._enter(State.STOPPED)]


_R = Router
Action = Callable[[Router, Any, float], list[Command]]

#: None: impossible, raises UnexpectedEvent. Every pair is listed; a test holds it total.
TABLE: dict[tuple[State, type], Action | None] = {
    (State.STOPPED, RouterStartRequested): _R._start_asked,
    (State.STOPPED, RouterStopRequested): _R._unwant,
    (State.STOPPED, RouterSpawned): None,
    (State.STOPPED, RouterJoined): _R._ignore,
    (State.STOPPED, RouterLost): _R._ignore,
    (State.STOPPED, RouterExited): None,
    (State.STOPPED, RouterCondemned): _R._ignore,
    (State.STOPPED, DeadlinePassed): _R._ignore,
    (State.STARTING, RouterStartRequested): _R._ignore,
    (State.STARTING, RouterStopRequested): _R._stop,
    (State.STARTING, RouterSpawned): _R._spawned,
    (State.STARTING, RouterJoined): _R._joined,
    (State.STARTING, RouterLost): _R._not_yet,
    (State.STARTING, RouterExited): _R._exited,
    (State.STARTING, RouterCondemned): _R._ignore,
    (State.STARTING, DeadlinePassed): _R._overdue,
    (State.RUNNING, RouterStartRequested): _R._ignore,
    (State.RUNNING, RouterStopRequested): _R._stop,
    (State.RUNNING, RouterSpawned): None,
    (State.RUNNING, RouterJoined): _R._joined,
    (State.RUNNING, RouterLost): _R._lost,
    (State.RUNNING, RouterExited): _R._exited,
    (State.RUNNING, RouterCondemned): _R._condemned,
    (State.RUNNING, DeadlinePassed): _R._run_deadline,
    (State.BACKOFF, RouterStartRequested): _R._start_asked,
    (State.BACKOFF, RouterStopRequested): _R._stop_waiting,
    (State.BACKOFF, RouterSpawned): None,
    (State.BACKOFF, RouterJoined): _R._ignore,
    (State.BACKOFF, RouterLost): _R._ignore,
    (State.BACKOFF, RouterExited): None,
    (State.BACKOFF, RouterCondemned): _R._ignore,
    (State.BACKOFF, DeadlinePassed): _R._backoff_over,
    (State.STOPPING, RouterStartRequested): _R._ignore,
    (State.STOPPING, RouterStopRequested): _R._unwant,
    (State.STOPPING, RouterSpawned): _R._spawned,
    (State.STOPPING, RouterJoined): _R._ignore,
    (State.STOPPING, RouterLost): _R._ignore,
    (State.STOPPING, RouterExited): _R._exited_stopping,
    (State.STOPPING, RouterCondemned): _R._ignore,
    (State.STOPPING, DeadlinePassed): _R._stop_overdue,
    (State.EXITED, RouterStartRequested): _R._start_asked,
    (State.EXITED, RouterStopRequested): _R._unwant,
    (State.EXITED, RouterSpawned): None,
    (State.EXITED, RouterJoined): None,
    (State.EXITED, RouterLost): None,
    (State.EXITED, RouterExited): None,
    (State.EXITED, RouterCondemned): None,
    (State.EXITED, DeadlinePassed): _R._ignore,
    (State.FATAL, RouterStartRequested): _R._start_asked,
    (State.FATAL, RouterStopRequested): _R._stop_waiting,
    (State.FATAL, RouterSpawned): None,
    (State.FATAL, RouterJoined): _R._ignore,
    (State.FATAL, RouterLost): _R._ignore,
    (State.FATAL, RouterExited): None,
    (State.FATAL, RouterCondemned): _R._ignore,
    (State.FATAL, DeadlinePassed): _R._ignore,
}
