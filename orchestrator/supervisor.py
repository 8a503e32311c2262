"""The supervisor: carries out what the core decides, and tells it what happens.

It has one thread and one loop, never imports a Peer's module and never waits. Signal handlers only
wake the loop. Every child is in the reaper's table; whatever else becomes a child is a stray, and
killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from orchestrator.core import commands as do
from orchestrator.core import events as happened
from orchestrator.core.router import RouterSpec
from orchestrator.core.stack import Stack
from orchestrator.core.states import InstanceId, State
from orchestrator.core.strategy import Strategy
from orchestrator.foreign import program_credential, program_environ, program_of, start_program
from orchestrator.incarnations import Incarnations, Listener
from orchestrator.limits import pairs_of
from orchestrator.loop import Loop, Timer
from orchestrator.manifest import Manifest, PeerSection
from orchestrator.nurseries import NurseryPool
from orchestrator.processes import ExitStatus, Reaper
from orchestrator.program_watch import ProgramWatch
from orchestrator.recording import Recorder
from orchestrator.rundir import RUN_MARK, RunDir
from orchestrator.telling import Telling
from orchestrator.upbringing import clashes, environment_of, order_of, upbringings

#: Canary calls missed in a row that condemn the Router.
CANARY_FAILURES = 3


@dataclass(slots=True)
class Report:
    """The last heartbeat of an Instance: its answer and its round trip in seconds."""

    content: dict[str, Any] = field(default_factory=dict)
    elapsed_s: float = 0.0


class Supervisor:
    """One running stack. Everything happens in the loop's thread.

    ``control`` is made by the caller of ``run`` on top of it: see ``orchestrator.surface``.
    """

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        manifest: Manifest,
        run_dir: RunDir,
        sink: Any,
        classes: str | None,
    ) -> None:
        self.loop = loop
        self.manifest = manifest
        self.run_dir = run_dir
        self.started_at = loop.now()
        self.after_change: list[Callable[[], None]] = []
        self.reports: dict[InstanceId, Report] = {}
        self.launch: Any = None
        self.finished: do.Finish | None = None
        #: The soft limit of descriptors that processes below this one get.
        #: Profiles that ``up`` has asked for so far.
        self.profiles: frozenset[str] = frozenset()
        #: What ``level`` has set.
        self._levels: dict[InstanceId, str] = {}
        self.reaper = reaper
        self._sink = sink
        self._deadline: Timer | None = None
        self._router: Any = None
        self._router_pipes: Any = None
        self._session: Any = None
        self._programs: Any = None
        self._is_killing = False
        self._is_settling = False
        self.telling = Telling(sink)
        self.telling.publish = self._publish
        self.recorder = Recorder(loop, run_dir, self.say)
        self._nursery_pipes = sink.open("nursery")
        self.pool = NurseryPool(
            loop,
            reaper,
            root=manifest.root,
            preload=manifest.stack.preload,
            # A Router that we did not configure is reached by WebSocket, as a rule.
            warm=("wampy.transports.websocket",)
            if manifest.router.type == "external" or manifest.router.config is not None
            else (),
            classes=classes,
            stdio=self._nursery_pipes.write_ends,
            say=lambda text: self.say(text, level="WARNING"),
        )
        self._incarnations = Incarnations(
            loop,
            reaper,
            self.pool,
            sink,
            run_dir.tracebacks,
            Listener(
                forked=self._forked,
                not_forked=self._not_forked,
                started=self._watch,
                lost_session=self._lost_session,
                exited=self._exited,
            ),
        )
        self.core = Stack.of(
            {name: peer.spec for name, peer in manifest.peers.items()},
            manifest.start_order(),
            RouterSpec(),
            stop_on_fatal=manifest.stack.on_fatal == "stop",
            strategy=Strategy(manifest.stack.strategy),
        )
        self.core.dormant = manifest.dormant(self.profiles)

    # ------------------------------------------------------------------ before anything starts

    def import_peers(
        self,
        names: Iterable[str],
        done: Callable[[dict[str, str]], None],
        *,
        manifest: Manifest | None = None,
        is_trial: bool = False,
    ) -> None:
        """Bring up nurseries with these Peers' code as it is on the disk now.

        ``manifest``: a new one, which is taken over afterwards. ``is_trial``: only to see whether
        it can be. ``done`` gets what is wrong, by Peer; nothing has changed then.
        """
        manifest = manifest or self.manifest
        self.pool.bring_up(
            upbringings(manifest, names),
            done,
            preload=manifest.stack.preload,
            check=lambda new: clashes(manifest, {**self.pool.reports, **new}),
            is_trial=is_trial,
        )

    def take_over(self, manifest: Manifest) -> None:
        """Have another manifest from now on; its Peers are imported, its Router is the same."""
        old, self.manifest = self.manifest, manifest
        for name in old.peers:
            if name not in manifest.peers:
                self.pool.forget(name)
        self.core.stop_on_fatal = manifest.stack.on_fatal == "stop"
        self.core.regroup.strategy = Strategy(manifest.stack.strategy)
        self.core.dormant = manifest.dormant(self.profiles)
        specs = {name: peer.spec for name, peer in manifest.peers.items()}
        self.decide(self.core.replan(specs, manifest.start_order(), self.loop.now()))
        for instance in self.core.instances.values():
            child, former = instance.child, old.peers.get(instance.id.name)
            is_paced_anew = former and former.spec.heartbeat != instance.spec.heartbeat
            if is_paced_anew and child is not None and instance.state is State.RUNNING:
                self._watch(instance.id, child.incarnation)

    def set_level(self, instance: InstanceId, level: str) -> None:
        """Have an Instance log from this level on, and each incarnation of it to come."""
        self._levels[instance] = level
        child = self.core.instances[instance].child
        if child is not None:
            self._incarnations.tell(instance, child.incarnation, {"level": level})

    def activate(self, profiles: Iterable[str]) -> None:
        """Have the Peers of these profiles among all that ``up`` starts, from now on."""
        self.profiles |= frozenset(profiles)
        self.core.dormant = self.manifest.dormant(self.profiles)

    def plan_router(self) -> None:
        """Choose port and tickets, and plan the Router.

        Raises:
            OrchestratorError: the Router cannot be started: port taken, not installed, bad config.
        """
        from orchestrator import heartbeat
        from orchestrator.router import new_principals, plan_router, port_of
        from wampy.auth import by_method

        router = self.manifest.router
        self.launch = plan_router(self.manifest, new_principals(), port_of(self.manifest))
        waits = tuple(wait_s for _, wait_s in self.launch.stop_steps)
        self.core.router.spec = RouterSpec(
            is_external=self.launch.argv is None,
            start_timeout_s=router.start_timeout_s,
            stop_step_waits_s=waits,
        )
        self._session = heartbeat.RouterSession(
            self.loop,
            url=self.launch.stack_url,
            realm=self.launch.realm,
            authentication=by_method(**self._credential("orchestrator")),
            stack=self.manifest.stack.name,
            listener=heartbeat.Listener(
                joined=self._session_joined,
                lost=self._session_lost,
                answered=self._heartbeat_answered,
                missed=self._heartbeat_missed,
                canary_missed=self._canary_missed,
                peer_joined=self._peer_joined,
                peer_left=self._peer_left,
                unreachable=self._lost_session,
                member_joined=lambda authid: self._programs.program_joined(authid),
                member_left=lambda authid: self._programs.program_left(authid),
            ),
            is_told=self.launch.is_telling,
        )
        self._programs = ProgramWatch(
            self.loop,
            self._session.ask,
            self._session.echo,
            self._heartbeat_answered,
            self._heartbeat_missed,
        )
        self._write_state()

    def _credential(self, principal: str) -> dict[str, Any]:
        """Give how one of the three principals joins, as ``wampy.auth.by_method`` takes it."""
        return asdict(getattr(self.launch.principals, principal))

    def _write_state(self) -> None:
        self.run_dir.write_private(
            self.run_dir.tickets,
            json.dumps(
                {
                    "url": self.launch.stack_url,
                    "realm": self.launch.realm,
                    **self._credential("operator"),
                }
            ),
        )
        self.run_dir.write_state(
            {
                "run": os.environ.get(RUN_MARK, ""),
                "pid": os.getpid(),
                "manifest": str(self.manifest.path),
            }
        )

    # ------------------------------------------------------------------ events in, commands out

    def decide(self, commands: Sequence[do.Command]) -> None:
        """Carry out what the core decided; what follows is done once for all of a loop's turn."""
        for command in commands:
            self._carry_out(command)
        if not self._is_settling:
            self._is_settling = True
            self.loop.call_later(0, self._settle)

    def _settle(self) -> None:
        """Set the core's next deadline, and let waiters look: both look at every Instance."""
        self._is_settling = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        due_at = self.core.next_deadline()
        if due_at is not None:
            self._deadline = self.loop.call_at(due_at, self._deadline_passed)
        for look in list(self.after_change):
            look()

    def _deadline_passed(self) -> None:
        self._deadline = None
        self.decide(self.core.deadline_passed(self.loop.now()))

    def router_event(self, event: happened.RouterEvent) -> None:
        """Tell the core of the Router."""
        self.decide(self.core.router_event(event, self.loop.now()))

    def instance_event(self, instance: InstanceId, event: happened.InstanceEvent) -> None:
        """Tell the core of an Instance; costs next to nothing when nothing follows."""
        commands = self.core.instance_event(instance, event, self.loop.now())
        if commands or not isinstance(event, happened.ChildReady):
            self.decide(commands)

    def _carry_out(self, command: do.Command) -> None:
        match command:
            case do.SpawnChild():
                self._spawn(command.instance, command.incarnation)
            case do.DrainChild():
                grace_s = self.core.instances[command.instance].spec.stop_grace_s
                self._unwatch(command.instance, command.incarnation)
                self._tell(command, {"drain": grace_s})
            case do.HandOver():
                self._tell(command, {"hand_over": True})
            case do.TakeBack():
                self._tell(command, {"take_back": True})
                self._watch(command.instance, command.incarnation)
            case do.TerminateChild():
                self._unwatch(command.instance, command.incarnation)
                self._incarnations.signal(command.instance, command.incarnation, signal.SIGTERM)
            case do.KillChild():
                self._unwatch(command.instance, command.incarnation)
                self._incarnations.kill(command.instance, command.incarnation, dump=command.dump)
            case do.Report():
                instance = self.core.instances.get(command.instance)
                self.telling.report(command, None if instance is None else instance.last_exit)
            case do.ReportFailure():
                report = self.reports.get(command.instance)
                self.recorder.record(command, report.content if report else {})
            case do.StartRouter():
                self._start_router()
            case do.StopRouter():
                self._session.disconnect()
                if self._router is not None:
                    self._router.take_step(command.step)
            case do.KillRouter():
                if self._router is not None:
                    self._router.kill()
            case do.ReportRouter():
                self._report_router(command)
            case do.Finish():
                self._finish(command)

    # ------------------------------------------------------------------ Instances

    def _spawn(self, instance: InstanceId, incarnation: int) -> None:
        peer = self.manifest.peers[instance.name]
        if peer.command is not None:
            self._execute(instance, incarnation, peer)
            return
        order = order_of(self.manifest, instance, incarnation)
        order |= {
            "level": self._levels.get(instance, "DEBUG" if self.manifest.stack.debug else "INFO"),
            "url": self.launch.stack_url,
            "realm": self.launch.realm,
            "join": self._credential("peer"),
        }
        self._incarnations.spawn(instance, incarnation, order)

    def _execute(self, instance: InstanceId, incarnation: int, peer: PeerSection) -> None:
        environ = program_environ(
            {**environment_of(self.manifest, peer), "WAMPY_INSTANCE": str(instance)},
            self.launch.public_url,
            self.launch.realm,
            program_credential(self.launch, instance, incarnation),
        )
        start = partial(
            start_program,
            peer.command or (),
            env=environ,
            cwd=peer.cwd,
            umask=peer.umask,
            limits=pairs_of(peer.limits),
        )
        self._incarnations.execute(instance, incarnation, lambda stdio: start(stdio=stdio))

    def _tell(self, to: do.DrainChild | do.HandOver | do.TakeBack, message: dict[str, Any]) -> None:
        self._incarnations.tell(to.instance, to.incarnation, message)

    def _forked(self, instance: InstanceId, incarnation: int, pid: int) -> None:
        spread = random.uniform(-1, 1)
        self.instance_event(instance, happened.ChildSpawned(incarnation, pid, spread))

    def _not_forked(self, instance: InstanceId, incarnation: int, reason: str) -> None:
        spread = random.uniform(-1, 1)
        self.instance_event(instance, happened.SpawnFailed(incarnation, reason, False, spread))

    def _lost_session(self, instance: InstanceId, incarnation: int) -> None:
        if self.core.router.ready:
            self._session.expect_return(instance)
            event = happened.ChildUnready(incarnation, "it lost its session")
            self.instance_event(instance, event)

    def _exited(
        self, instance: InstanceId, incarnation: int, status: ExitStatus, reason: str | None
    ) -> None:
        self._unwatch(instance, incarnation)
        self.instance_event(
            instance,
            happened.ChildExited(
                incarnation,
                status.code,
                status.signal,
                reason,
                random.uniform(-1, 1),
                self.core.router.ready,
            ),
        )

    def pid_of(self, instance: InstanceId) -> int | None:
        """Give the pid of the current incarnation, or None."""
        child = self.core.instances[instance].child
        return None if child is None else child.pid

    # ------------------------------------------------------------------ what the Router tells

    def _peer_joined(self, pid: int) -> None:
        found = self._incarnations.of_pid(pid)
        if found is None:
            return
        instance, incarnation = found
        if self.core.instances[instance].state is State.STARTING:
            reason = "it has joined, and not registered everything yet"
            self.instance_event(instance, happened.ChildUnready(incarnation, reason))

    def _peer_left(self, pid: int) -> None:
        found = self._incarnations.of_pid(pid)
        if found is not None and self.core.router.ready:
            self._session.look(found[0])

    # ------------------------------------------------------------------ heartbeats

    def _watch(self, instance: InstanceId, incarnation: int) -> None:
        child = self.core.instances[instance].child
        if child is None or child.incarnation != incarnation:
            return
        policy = self.core.instances[instance].spec.heartbeat
        peer = self.manifest.peers.get(instance.name)
        if peer is not None and peer.is_program:
            program = program_of(peer, self.launch, instance, incarnation, child.pid or 0, policy)
            self._programs.watch(program)
        else:
            self._session.watch(instance, incarnation, policy)

    def _unwatch(self, instance: InstanceId, incarnation: int) -> None:
        child = self.core.instances[instance].child
        if child is None or child.incarnation == incarnation:
            self._session.unwatch(instance)
            self._programs.unwatch(instance)

    def _heartbeat_answered(
        self, instance: InstanceId, incarnation: int, report: dict[str, Any], elapsed_s: float
    ) -> None:
        self.reports[instance] = Report(report, elapsed_s)
        commands = self.core.heartbeat_answered(
            happened.HeartbeatAnswered(
                instance,
                incarnation,
                bool(report.get("ready")),
                report.get("reason"),
                self.loop.awake_s(float(report.get("oldest_call_s") or 0.0)),
                int(report.get("calls") or 0),
                report.get("pss_bytes"),
            ),
            self.loop.now(),
        )
        if commands:
            self.decide(commands)

    def _heartbeat_missed(self, instance: InstanceId, incarnation: int) -> None:
        beats = self._incarnations.ping(instance, incarnation)
        event = happened.HeartbeatMissed(instance, incarnation, beats)
        self.decide(self.core.heartbeat_missed(event, self.loop.now()))

    def _session_joined(self) -> None:
        self.router_event(happened.RouterJoined())
        self._programs.joined()

    def _session_lost(self, reason: str) -> None:
        self._programs.lost()
        if self.core.router.ready:
            self.say(f"router: {reason}", level="WARNING")
        self.router_event(happened.RouterLost(reason))

    def _canary_missed(self, in_a_row: int) -> None:
        if in_a_row >= CANARY_FAILURES and self.core.router.ready:
            cause = f"it hangs: {in_a_row} calls to the orchestrator's own procedure unanswered"
            if self.core.router.spec.is_external:
                # Not ours to end. A new Session tells when it is back.
                self._session.reconnect(cause)
            else:
                self.router_event(happened.RouterCondemned(cause))

    # ------------------------------------------------------------------ the Router

    def _start_router(self) -> None:
        from orchestrator.router_process import RouterProcess

        if self.launch.argv is None:
            self._session.connect()
            return
        pipes = self._router_pipes = self._sink.open("router")
        not_its = ("NOTIFY_", "WATCHDOG_")
        environ = {k: v for k, v in self.manifest.environ.items() if not k.startswith(not_its)}
        environ[RUN_MARK] = os.environ.get(RUN_MARK, "")
        try:
            self._router = RouterProcess(
                self.loop,
                self.reaper,
                self.launch,
                environ=environ,
                stdio=pipes.write_ends,
                on_ready=self._session.connect,
                on_exit=self._router_exited,
            )
        except OSError as error:
            reason = f"cannot start {self.launch.argv[0]}: {error.strerror}"
            self.loop.call_later(0, lambda: self.router_event(happened.RouterExited(reason)))
            return
        finally:
            pipes.close_write_ends()
        self.router_event(happened.RouterSpawned(self._router.pid))

    def _router_exited(self, status: ExitStatus) -> None:
        self._router = None
        self._session.disconnect("its process ended")
        self._incarnations.kill_strays()
        # Its last words are in the logger's hands for a moment yet.
        self.loop.call_later(0.1, lambda: self._tell_router_exit(status))

    def _tell_router_exit(self, status: ExitStatus) -> None:
        lines = self._sink.last_lines("router")
        reason = self.launch.explain(status.code, status.signal, lines)
        self._sink.release(self._router_pipes)
        router = self.core.router
        is_asked_for, began_at = router.state is State.STOPPING, router.started_at
        self.router_event(happened.RouterExited(reason, random.uniform(-1, 1)))
        if not is_asked_for:
            self.recorder.record_router(
                reason,
                status.code,
                status.signal,
                lived_s=0.0 if began_at is None else self.loop.now() - began_at,
                then="given up" if router.state is State.FATAL else "started again",
            )

    # ------------------------------------------------------------------ telling

    def say(self, text: str, *, level: str = "INFO", **fields: Any) -> None:
        """Write one line of the stack's own log."""
        self.telling.say(text, level=level, **fields)

    def _report_router(self, report: do.ReportRouter) -> None:
        router = self.core.router
        self.telling.report_router(
            report, url=self.launch.public_url, incarnation=router.restarts + 1, pid=router.pid
        )

    def _publish(self, transition: dict[str, Any]) -> None:
        if self._session is not None:
            topic = f"wampy.{self.manifest.stack.name}.transition"
            self._session.publish(topic, transition, ["operator"])

    # ------------------------------------------------------------------ the end

    def shut_down(self, exit_code: int = 0, reason: str | None = None) -> None:
        """Stop everything in reverse order; ``run`` returns when it has stopped."""
        if not self.core.is_stopping:
            self.say("stopping" + (f": {reason}" if reason else ""))
        self.decide(self.core.shut_down(self.loop.now(), exit_code, reason))

    def kill(self) -> None:
        """End everything at once; calls in flight are lost."""
        if self._is_killing:
            return
        self._is_killing = True
        self.shut_down()
        self._incarnations.kill_all()
        if self._router is not None:
            self._router.kill()

    def _finish(self, finish: do.Finish) -> None:
        self.finished = finish
        self._session.disconnect()
        self.pool.close()
        # The logger ends when it has read all pipes to their end.
        self._nursery_pipes.close_write_ends()
        self.telling.stopped(finish)
        # Whoever waits on the control socket gets the answer first.
        self.loop.call_later(0.02, self.loop.stop)
