"""Whether programs are ready and alive: looked at through the Router, as far as they allow it.

Rules:

- with nothing to ask it by, a program is ready as soon as it runs, and alive while it does;
- what it provides must be registered; when that is gone for as many looks as its heartbeats may
  fail, or once if the Router has told so, it is unready, and nobody ends it for that;
- its heartbeat procedure, if it has one, condemns it as any Peer's does: not answered although the
  canary was. One that is gone with its session has ``start_timeout`` to come back first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.spec import HeartbeatPolicy
from orchestrator.core.states import InstanceId
from orchestrator.loop import Loop, Timer
from orchestrator.presence import Answers, Finding, Question, Registry, Unanswered, look_at
from orchestrator.processes import pss_bytes

#: Seconds between looks at a program that is not ready: at first, and at most.
PROBE_FIRST_S = 0.02
PROBE_MAX_S = 0.5
#: Seconds from the notice that a session has ended to the look, as in ``heartbeat``.
LOOK_S = 0.05

#: Asks over the orchestrator's Session: questions, seconds, and who gets the answers.
Ask = Callable[[Sequence[Question], float, Callable[[Answers], None]], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What one incarnation is looked at by.

    Attributes:
        pid: of its process.
        authid: who it joins as, if that is nobody else.
        procedures: what it must have registered, its heartbeat procedure included.
        heartbeat: its heartbeat procedure, or None.
        return_s: seconds that it gets to join and register again.
        pss_interval_s: between two samples of its memory.
    """

    instance: InstanceId
    incarnation: int
    pid: int
    authid: str | None
    procedures: tuple[str, ...]
    heartbeat: str | None
    policy: HeartbeatPolicy
    return_s: float
    pss_interval_s: float


@dataclass(slots=True, eq=False)
class _Watched:
    program: Program
    began_at: float
    is_probing: bool = True
    is_asking: bool = False
    was_ready: bool = False
    #: It had its time to come back, and has not.
    is_overdue: bool = False
    delay_s: float = PROBE_FIRST_S
    misses: int = 0
    returns_until: float | None = None
    timer: Timer | None = None
    pss: int | None = None
    pss_at: float | None = None


class ProgramWatch:
    """Every program that is looked at; all in the loop's thread, nothing blocks.

    Args:
        loop: the supervisor's.
        ask: see ``Ask``; asks nothing while the Session is not joined.
        echo: the canary's procedure.
        answered: hears of each look: a heartbeat's report, and its round trip in seconds.
        missed: hears of each heartbeat that was not answered though the canary was.
    """

    def __init__(
        self,
        loop: Loop,
        ask: Ask,
        echo: str,
        answered: Callable[[InstanceId, int, dict[str, Any], float], None],
        missed: Callable[[InstanceId, int], None],
    ) -> None:
        self._loop = loop
        self._ask = ask
        self._echo = echo
        self._answered = answered
        self._missed = missed
        self._watched: dict[InstanceId, _Watched] = {}
        self._registry = Registry()
        self._is_joined = False

    def watch(self, program: Program) -> None:
        """Look at an incarnation until it is ready, then each interval; replaces another."""
        self.unwatch(program.instance)
        watched = _Watched(program, self._loop.now())
        self._watched[program.instance] = watched
        self._look_soon(watched, 0.0)

    def unwatch(self, instance: InstanceId) -> None:
        """Look at this Instance no more; idempotent."""
        watched = self._watched.pop(instance, None)
        if watched is not None and watched.timer is not None:
            watched.timer.cancel()

    # ------------------------------------------------------------------ what the Router tells

    def joined(self) -> None:
        """The orchestrator's Session is there, maybe anew: everybody has to come back to it."""
        self._is_joined = True
        for watched in self._watched.values():
            if watched.was_ready:
                watched.returns_until = self._loop.now() + watched.program.return_s
            watched.is_asking = False
            self._probe(watched)

    def lost(self) -> None:
        """The orchestrator's Session has ended: what is under way is not answered any more."""
        self._is_joined = False
        self._registry = Registry()

    def program_joined(self, authid: str) -> None:
        """Somebody has joined: if that is one of these, it registers any moment."""
        watched = self._find(authid)
        if watched is not None and watched.is_probing:
            watched.delay_s = PROBE_FIRST_S
            self._look_soon(watched, PROBE_FIRST_S)

    def program_left(self, authid: str) -> None:
        """A session has ended, or has a procedure less: if of one of these, look in a moment."""
        watched = self._find(authid)
        if watched is not None and not watched.is_probing:
            self._loop.call_later(LOOK_S, lambda: self._look(watched, is_told=True))

    def _find(self, authid: str) -> _Watched | None:
        return next((w for w in self._watched.values() if w.program.authid == authid), None)

    # ------------------------------------------------------------------ looking

    def _probe(self, watched: _Watched) -> None:
        watched.is_probing = True
        watched.delay_s = PROBE_FIRST_S
        watched.misses = 0
        self._look_soon(watched, 0.0)

    def _look_soon(self, watched: _Watched, delay_s: float) -> None:
        if watched.timer is not None:
            watched.timer.cancel()
        watched.timer = self._loop.call_later(delay_s, lambda: self._due(watched))

    def _due(self, watched: _Watched) -> None:
        if not self._is_joined:
            return  # until it is
        if watched.is_probing:
            if not watched.is_asking:
                self._look(watched)
            return
        # Looks may overlap: one that waits for an answer holds the next one not up.
        self._look_soon(watched, watched.program.policy.interval_s)
        self._look(watched)

    def _look(self, watched: _Watched, *, is_told: bool = False) -> None:
        program, registry = watched.program, self._registry
        if self._watched.get(program.instance) is not watched or not self._is_joined:
            return
        watched.is_asking = True
        began_at = self._loop.now()
        inquiry = look_at(
            registry, self._echo, program.procedures, program.authid, program.heartbeat
        )
        elapsed: list[float] = []

        def go_on(answers: Answers | None) -> None:
            if registry is not self._registry:
                return  # another session's answers
            if answers is not None and not elapsed:
                elapsed.append(self._loop.now() - began_at)
            finding: Finding | None = None
            try:
                questions = next(inquiry) if answers is None else inquiry.send(answers)
            except StopIteration as end:
                finding = end.value
            except Unanswered:
                finding = None
            else:
                self._ask(questions, program.policy.timeout_s, go_on)
                return
            watched.is_asking = False
            if self._watched.get(program.instance) is watched:
                self._found(watched, finding, elapsed[0], is_told=is_told)

        go_on(None)

    # ------------------------------------------------------------------ what has been found

    def _found(
        self, watched: _Watched, finding: Finding | None, elapsed_s: float, *, is_told: bool
    ) -> None:
        """Draw the conclusions; ``finding`` None: the Router did not answer."""
        if watched.is_probing:
            self._found_probing(watched, finding, elapsed_s)
        elif finding is None:
            return
        elif finding.is_silent or (watched.is_overdue and finding.missing and _beats(watched)):
            if not is_told:
                self._missed(watched.program.instance, watched.program.incarnation)
        elif finding.missing is not None:
            watched.misses += 1
            if is_told or watched.misses >= watched.program.policy.failures:
                self._tell(watched, {"ready": False, "reason": finding.missing}, elapsed_s)
                watched.returns_until = self._loop.now() + watched.program.return_s
                self._probe(watched)
        else:
            self._is_well(watched, finding, elapsed_s)

    def _found_probing(self, watched: _Watched, finding: Finding | None, elapsed_s: float) -> None:
        if finding is not None:
            reason = finding.missing
            if reason is None and finding.is_silent:
                reason = "its heartbeat is not answered"
            if reason is None:
                self._is_well(watched, finding, elapsed_s)
            else:
                self._tell(watched, {"ready": False, "reason": reason}, elapsed_s)
        overdue_at = watched.returns_until
        if watched.is_probing and overdue_at is not None and self._loop.now() > overdue_at:
            # It did not come back by itself: from now on it is like any that does not answer.
            watched.is_probing = False
            watched.is_overdue = True
            watched.returns_until = None
        if watched.is_probing:
            self._look_soon(watched, watched.delay_s)
            watched.delay_s = min(2 * watched.delay_s, PROBE_MAX_S)
        else:
            self._look_soon(watched, watched.program.policy.interval_s)

    def _is_well(self, watched: _Watched, finding: Finding, elapsed_s: float) -> None:
        """It has registered everything, and answers where it is asked."""
        report = {"ready": True, **finding.report}
        watched.misses = 0
        watched.is_overdue = False
        if report["ready"]:
            watched.was_ready = True
            watched.is_probing = False
            watched.returns_until = None
        self._tell(watched, report, elapsed_s)

    def _tell(self, watched: _Watched, report: dict[str, Any], elapsed_s: float) -> None:
        program, now = watched.program, self._loop.now()
        is_due = watched.pss_at is None or now - watched.pss_at >= program.pss_interval_s
        if watched.was_ready and is_due:  # before that it has hardly begun
            watched.pss, watched.pss_at = pss_bytes(program.pid), now
        whole = {
            "pss_bytes": watched.pss,
            "uptime_s": round(now - watched.began_at, 3),
            **report,
            "incarnation": program.incarnation,
            "pid": program.pid,
        }
        self._answered(program.instance, program.incarnation, whole, elapsed_s)


def _beats(watched: _Watched) -> bool:
    return watched.program.heartbeat is not None
