"""Peers in any language: how they are started, and how they are seen to be ready and alive.

Rules:

- ready: each of ``provides`` is registered, by a session of the Instance's own processes where that
  can be known (a TCP connection on this machine); without ``provides`` and heartbeat, when it has
  run for RUNS_S;
- alive: its ``heartbeat_procedure`` answers, if it has one, and the kernel has no other word;
- a program has no channel to us: it is told to end by SIGTERM, which is its draining.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator import rlimits
from orchestrator.core.spec import HeartbeatPolicy
from orchestrator.core.states import InstanceId
from orchestrator.loop import Loop, Timer
from orchestrator.processes import die_with_parent

if TYPE_CHECKING:
    from orchestrator.manifest.model import Program

#: Seconds between two looks at one that is starting: at first, and at most.
LOOK_FIRST_S = 0.05
LOOK_MAX_S = 0.5
#: Seconds that one must have run of which nothing else can be seen (supervisor's startsecs).
RUNS_S = 1.0
#: Sessions of a procedure that are looked at.
_MOST_CALLEES = 1000


def start_program(
    program: Program,
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdio: tuple[int, int],
    umask: int | None,
    limits: Mapping[str, int],
    nofile_soft: int | None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; it ends with this process.

    Raises:
        OSError: it cannot be started.
    """
    supervisor = os.getpid()

    def become() -> None:
        die_with_parent(supervisor)
        if umask is not None:
            os.umask(umask)
        rlimits.apply(limits, nofile_soft)

    try:
        return subprocess.Popen(
            program.command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdio[0],
            stderr=stdio[1],
            start_new_session=True,
            # Safe, since the supervisor has one thread; a foreign program cannot do it itself.
            preexec_fn=become,
        )
    except subprocess.SubprocessError as error:
        raise OSError(0, f"its limits cannot be set: {error}") from error


class Asking(Protocol):
    """The part of ``heartbeat.RouterSession`` that is needed here."""

    def ask(
        self, uri: str, args: tuple[Any, ...], timeout_s: float, done: Callable[[Answer], None]
    ) -> None:
        """Call a procedure; ``done`` once, with what came of it."""
        ...

    def ask_canary(self, timeout_s: float, done: Callable[[Answer], None]) -> None:
        """Call the orchestrator's own procedure."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: a result, an error's URI, or nothing in time."""

    result: Any = None
    error: str | None = None
    is_timeout: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what is seen; in the loop's thread.

    Attributes:
        answered: whether it is ready, and if not why; and the seconds that it took.
        missed: its heartbeat was not answered although the canary was.
    """

    answered: Callable[[InstanceId, int, dict[str, Any], float], None]
    missed: Callable[[InstanceId, int], None]


@dataclass(slots=True)
class _Look:
    """One look under way."""

    began_at: float
    open: int = 1
    missing: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    heartbeat: Answer | None = None
    canary: Answer | None = None
    is_unknown: bool = False


class ForeignWatch:
    """Looks at one incarnation until ``end()``: often until it is ready, then at each interval.

    ``ports`` gives the local TCP ports of its processes, for telling its sessions from others'.
    """

    def __init__(
        self,
        loop: Loop,
        session: Asking,
        listener: Listener,
        program: Program,
        instance: InstanceId,
        incarnation: int,
        policy: HeartbeatPolicy,
        ports: Callable[[], set[int]],
    ) -> None:
        self._loop = loop
        self._session = session
        self._listener = listener
        self._program = program
        self._instance = instance
        self._incarnation = incarnation
        self._policy = policy
        self._ports = ports
        self._is_ready = False
        self._delay_s = LOOK_FIRST_S
        self._is_over = False
        #: Whether a session is the Instance's own.
        self._is_own: dict[int, bool] = {}
        is_seen = program.provides or program.heartbeat_procedure
        self._timer: Timer | None = loop.call_later(0 if is_seen else RUNS_S, self.look)

    def end(self) -> None:
        """Look no more. Idempotent."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Look at it now."""
        if self._is_over:
            return
        look = _Look(self._loop.now())
        timeout_s = self._policy.timeout_s
        for uri in self._program.provides:
            self._find(look, uri)
        procedure = self._program.heartbeat_procedure
        if procedure is not None:
            look.open += 2
            uri = procedure.replace("{index}", str(self._instance.index))
            self._session.ask(uri, (), timeout_s, lambda told: self._beats(look, told))
            self._session.ask_canary(timeout_s, lambda told: self._echoes(look, told))
        self._close(look)

    # ------------------------------------------------------------------ whether it has registered

    def _find(self, look: _Look, uri: str) -> None:
        look.open += 1

        def matched(told: Answer) -> None:
            if told.is_timeout or told.error is not None:
                look.is_unknown = True
            elif told.result is None:
                look.missing.append(uri)
            else:
                self._find_callees(look, uri, told.result)
            self._close(look)

        self._ask_meta("wamp.registration.match", uri, matched)

    def _find_callees(self, look: _Look, uri: str, registration: Any) -> None:
        look.open += 1

        def listed(told: Answer) -> None:
            callees = told.result if isinstance(told.result, list) else None
            if callees is None:
                # Gone meanwhile, or a Router that does not tell: what is registered has to do.
                look.is_unknown = look.is_unknown or told.is_timeout
            else:
                self._look_for_own(look, uri, callees[:_MOST_CALLEES])
            self._close(look)

        self._ask_meta("wamp.registration.list_callees", registration, listed)

    def _look_for_own(self, look: _Look, uri: str, callees: list[Any]) -> None:
        if any(self._is_own.get(one) for one in callees):
            return
        strange = [one for one in callees if one not in self._is_own]
        if not strange:
            look.missing.append(uri)
            return
        look.open += 1
        left = len(strange)
        found = False

        def told_of(one: Any) -> Callable[[Answer], None]:
            def known(told: Answer) -> None:
                nonlocal left, found
                left -= 1
                if not told.is_timeout and told.error is None:
                    found = self._owns(one, told.result) or found
                if left == 0:
                    if not found:
                        look.missing.append(uri)
                    self._close(look)

            return known

        for one in strange:
            self._ask_meta("wamp.session.get", one, told_of(one))

    def _owns(self, session: int, details: Any) -> bool:
        """Whether a session is of the Instance's processes; where nobody can tell, it is."""
        port = port_of_peer(details)
        is_own = port is None or port in self._ports()
        if is_own or len(self._is_own) < _MOST_CALLEES:
            self._is_own[session] = is_own
        return is_own

    def _ask_meta(self, uri: str, argument: Any, done: Callable[[Answer], None]) -> None:
        self._session.ask(uri, (argument,), self._policy.timeout_s, done)

    # ------------------------------------------------------------------ whether it is alive

    def _beats(self, look: _Look, told: Answer) -> None:
        look.heartbeat = told
        if isinstance(told.result, dict):
            look.report = dict(told.result)
        self._close(look)

    def _echoes(self, look: _Look, told: Answer) -> None:
        look.canary = told
        self._close(look)

    # ------------------------------------------------------------------ what comes of a look

    def _close(self, look: _Look) -> None:
        look.open -= 1
        if look.open or self._is_over:
            return
        is_missed = look.heartbeat is not None and (
            look.heartbeat.is_timeout or look.heartbeat.error is not None
        )
        if is_missed and not self._is_ready and look.heartbeat is not None:
            look.missing.append(self._program.heartbeat_procedure or "")
        if is_missed and self._is_ready:
            if look.canary is not None and not look.canary.is_timeout:
                self._listener.missed(self._instance, self._incarnation)
        elif not look.is_unknown:
            self._tell(look)
        self._again()

    def _tell(self, look: _Look) -> None:
        report = {**look.report, "incarnation": self._incarnation}
        if look.missing:
            report["ready"] = False
            report["reason"] = f"not registered: {', '.join(sorted(look.missing))}"
        elif not isinstance(report.get("ready"), bool):
            report["ready"] = True
        self._is_ready = self._is_ready or report["ready"]
        elapsed_s = self._loop.now() - look.began_at
        self._listener.answered(self._instance, self._incarnation, report, elapsed_s)

    def _again(self) -> None:
        """Look again: soon while it starts; never, if there is nothing to be seen."""
        if self._is_over:
            return
        program = self._program
        if self._is_ready:
            if program.provides or program.heartbeat_procedure:
                self._timer = self._loop.call_later(self._policy.interval_s, self.look)
            return
        self._timer = self._loop.call_later(self._delay_s, self.look)
        self._delay_s = min(2 * self._delay_s, LOOK_MAX_S)


def port_of_peer(details: Any) -> int | None:
    """Give the client's TCP port from a session's details; None where they do not tell.

    ``{"transport": {"peer": "tcp:127.0.0.1:40478"}}``; Crossbar spells it ``tcp4:``.
    """
    transport = details.get("transport") if isinstance(details, dict) else None
    peer = transport.get("peer") if isinstance(transport, dict) else None
    if not isinstance(peer, str) or not peer.startswith("tcp"):
        return None
    port = peer.rpartition(":")[2]
    return int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else None


def ports_of(pid: int) -> set[int]:
    """Give the local TCP ports of a process and of those below it."""
    import psutil

    found: set[int] = set()
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return found
    for process in family:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        found.update(one.laddr.port for one in connections if one.laddr)
    return found
