"""What others may ask of a running stack: the supervisor as the control socket sees it.

Every request is answered through ``done`` when it has come about, or cannot any more; none blocks,
so a slow stop holds up no other request.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.control.server import ControlServer
from orchestrator.core.child import Child
from orchestrator.core.instance import Instance
from orchestrator.core.spec import Kind
from orchestrator.core.states import InstanceId, State
from orchestrator.errors import Refused, UnknownTarget
from orchestrator.logs.reader import LogReader
from orchestrator.reloading import Reloading
from orchestrator.supervisor import Supervisor
from orchestrator.upbringing import describe_faults
from orchestrator.watching import Watching

Outcome = dict[str, Any]
Done = Callable[[list[Outcome]], None]
#: What has come of a request for one Instance; None: nothing yet.
Look = Callable[[Instance], Outcome | None]


class Surface:
    """The supervisor's public face; implements ``control.StackControl``; in the loop's thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._core = supervisor.core
        self._waiters: list[_Waiter] = []
        self._reloading = Reloading(supervisor, self)
        self._watching = Watching(supervisor, supervisor.reaper, self._reloading)
        supervisor.after_change.append(self._look)

    def listen(self, logs: LogReader) -> ControlServer:
        """Open the control socket and order everything to start."""
        supervisor = self._supervisor
        control = ControlServer(supervisor.loop, supervisor.run_dir.control, self, logs)
        return control

    # ------------------------------------------------------------------ questions

    def snapshot(self) -> dict[str, Any]:
        """Give the shape of ``wampy ps --json`` (contract, section 3) and a little more."""
        supervisor, core = self._supervisor, self._core
        now = supervisor.loop.now()
        launch, router = supervisor.launch, core.router
        state = "starting"
        if core.is_stopping:
            state = "stopping"
        elif router.ready and all(i.is_settled for i in core.instances.values() if i.wanted):
            state = "running"
        return {
            "stack": supervisor.manifest.stack.name,
            "state": state,
            "pid": os.getpid(),
            "manifest": str(supervisor.manifest.path),
            "run_dir": str(supervisor.run_dir.path),
            "uptime_s": round(now - supervisor.started_at, 3),
            "watching": self._watching.is_on,
            "router": {
                "type": launch.type,
                "state": router.state.value,
                "ready": router.ready,
                "reason": router.reason,
                "pid": router.pid,
                "host": launch.host,
                "port": launch.port,
                "url": launch.public_url,
                "realm": launch.realm,
                "restarts": router.restarts,
                "uptime_s": _age(router.started_at if router.pid else None, now),
            },
            "instances": [self._row(i, now) for i in core.instances.values()],
        }

    def _row(self, instance: Instance, now: float) -> dict[str, Any]:
        report = self._supervisor.reports.get(instance.id)
        child = instance.child
        is_current = (
            report is not None
            and child is not None
            and report.content.get("incarnation") == child.incarnation
        )
        content = report.content if report is not None and is_current else {}
        last = instance.last_exit
        return {
            "name": instance.id.name,
            "index": instance.id.index,
            "instance": str(instance.id),
            "kind": instance.spec.kind.value,
            "state": instance.state.value,
            "ready": instance.ready,
            "completed": instance.completed,
            "reason": instance.reason,
            "saturated": bool(content.get("saturated", False)),
            "pid": None if child is None else child.pid,
            "incarnation": instance.incarnation,
            "uptime_s": _age(None if child is None else instance.started_at, now),
            "restarts": instance.restarts,
            "heartbeat_ms": round(report.elapsed_s * 1000, 2) if report and is_current else None,
            "in_flight": content.get("in_flight", 0),
            "oldest_call_s": content.get("oldest_call_s", 0.0),
            "calls": content.get("calls", 0),
            "errors": content.get("errors", 0),
            "pss_bytes": content.get("pss_bytes"),
            "exit": None
            if last is None
            else {
                "code": last.code,
                "signal": last.signal,
                "cause": last.cause,
                "at": round(time.time() - (now - last.at), 3),
            },
        }

    def why(self, target: str) -> list[dict[str, Any]]:
        """Give the last failures of an Instance, a Peer or ``router``, the last one last."""
        failures = self._supervisor.recorder.failures
        names = ["router"] if target == "router" else [str(i) for i in self._resolve([target])]
        found = [failure for name in names for failure in failures.of(name)]
        return sorted(found, key=lambda one: float(one["at"]))

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Hear every transition from now on; the result ends that."""
        listeners = self._supervisor.telling.listeners
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    # ------------------------------------------------------------------ requests

    def up(
        self, targets: list[str], scale: dict[str, int], profiles: list[str], done: Done
    ) -> None:
        """Start what is named, or everything, with what it needs; done when all is settled.

        A job that is done runs again only if it is named. Everything: but for the Peers of profiles
        that nobody has asked for, now or before.
        """
        self._check_scale(scale)
        self._supervisor.activate(profiles)
        now = self._supervisor.loop.now()
        for name, replicas in scale.items():
            self._supervisor.decide(self._core.scale(name, replicas, now))
        self._start(self._resolve(targets or ["all"]), bool(targets), done)

    def scale(self, scale: dict[str, int], done: Done) -> None:
        """Have so many Instances of each Peer; done when new ones are ready, and old ones gone.

        Raises:
            UnknownTarget: there is no such Peer.
            Refused: it cannot have so many.
        """
        self._check_scale(scale)
        now = self._supervisor.loop.now()
        before = self._of_peers(scale)
        for name, replicas in scale.items():
            self._supervisor.decide(self._core.scale(name, replicas, now))
        touched = {**before, **self._of_peers(scale)}
        self.wait_for(list(touched.values()), self.settled_or_gone, done)

    def reload(self, is_dry: bool, done: Callable[[dict[str, Any]], None]) -> None:
        """Take over the manifest and the code as they are on the disk now; see ``Reloading``."""
        self._reloading.reload(is_dry, done)

    def watch(self, is_on: bool) -> None:
        """Reload from now on whenever a file of the code or the manifest changes; or no more."""
        if is_on:
            self._watching.begin()
        else:
            self._watching.end()

    def set_level(self, target: str, level: str) -> None:
        """Have Instances, or with ``stack`` the stack itself, log from this level on.

        Raises:
            UnknownTarget: there is no such Peer or Instance.
            Refused: it is a program, whose levels are its own affair.
        """
        if target == "stack":
            self._supervisor.telling.level = level
            return
        ids = self._resolve([target])
        for name in {i.name for i in ids}:
            if self._supervisor.manifest.peers[name].is_program:
                raise Refused(f"{name} is a program of its own: what it logs is its own affair")
        for instance in ids:
            self._supervisor.set_level(instance, level)

    def _check_scale(self, scale: dict[str, int]) -> None:
        for name, replicas in scale.items():
            if name not in self._core.specs:
                raise UnknownTarget(name, self._core.specs)
            single = self._supervisor.pool.reports.get(name, {}).get("single", [])
            if replicas > 1 and single:
                uri = single[0]
                text = f'{name} declares {uri} with invoke="single": only one Instance can hold it'
                raise Refused(text)

    def _of_peers(self, names: Iterable[str]) -> dict[InstanceId, Instance]:
        return {i: one for i, one in self._core.instances.items() if i.name in names}

    def start(self, targets: list[str], done: Done) -> None:
        """Start instances; done when each is ready (a job: begun or done), or cannot be."""
        self._start(self._resolve(targets), True, done)

    def _start(self, ids: list[InstanceId], again: bool, done: Done) -> None:
        self._wait(ids, self._started, done)
        self._supervisor.decide(self._core.start(ids, self._supervisor.loop.now(), again=again))

    def stop(self, targets: list[str], done: Done) -> None:
        """Stop instances, drained; done when none of their processes is left."""
        ids = self._resolve(targets)
        self._wait(ids, self._stopped, done)
        self._supervisor.decide(self._core.stop(ids, self._supervisor.loop.now()))

    def restart(self, targets: list[str], hard: bool, done: Done) -> None:
        """Restart with the code that is on the disk now; done when the new ones are ready.

        The code is tried out first: if it cannot be imported, nothing old is touched.
        """
        ids = self._resolve(targets)
        before = self.children_of(ids)

        def imported(faults: dict[str, str]) -> None:
            if faults:
                text = describe_faults(self._supervisor.manifest, faults)
                done([_outcome(self._core.instances[i], False, text) for i in ids])
                return

            self._wait(ids, self.restarted_since(before), done)
            now = self._supervisor.loop.now()
            self._supervisor.decide(self._core.restart(ids, now, hard=hard))

        self._supervisor.import_peers(dict.fromkeys(i.name for i in ids), imported)

    def children_of(self, ids: Iterable[InstanceId]) -> dict[InstanceId, Child | None]:
        """Give who runs now, for ``restarted_since``."""
        return {i: self._core.instances[i].child for i in ids}

    def restarted_since(self, before: Mapping[InstanceId, Child | None]) -> Look:
        """Give the look for Instances that are being replaced, with who ran before that."""

        def look(instance: Instance) -> Outcome | None:
            is_rolling = instance.id.name in self._core.rolls or instance.outgoing
            if is_rolling or instance.state is State.STOPPING:
                return None
            if instance.child is not None and instance.child is before.get(instance.id):
                why = instance.reason or "not restarted: a replacement before it failed"
                return _outcome(instance, False, why)
            return self._started(instance)

        return look

    def settled_or_gone(self, instance: Instance) -> Outcome | None:
        """The look for Instances that come or go."""
        if self._core.instances.get(instance.id) is not instance:
            return _outcome(instance, True)
        if instance.id in self._core.retiring:
            return None
        return self._started(instance) if instance.wanted else _outcome(instance, True)

    def wait_ready(self, targets: list[str], done: Done) -> None:
        """Wait until every wanted instance is ready, or one of them cannot be."""
        ids = self._resolve(targets or ["all"])
        self._wait(ids, self._started, done)
        self._look()

    def shutdown(self, done: Done) -> None:
        """Stop everything in reverse order, the Router last."""
        self._watching.end()
        self._wait(list(self._core.instances), self._stopped, done, at_end=True)
        self._supervisor.shut_down()

    def kill(self, done: Done) -> None:
        """End everything at once."""
        self._wait(list(self._core.instances), self._stopped, done, at_end=True)
        self._supervisor.kill()

    def signal(self, target: str, signum: int) -> None:
        """Send a signal to the processes of a target, not to their groups."""
        for instance in self._resolve([target]):
            pid = self._supervisor.pid_of(instance)
            if pid is not None:
                os.kill(pid, signal.Signals(signum))

    # ------------------------------------------------------------------ how

    def _resolve(self, targets: Iterable[str]) -> list[InstanceId]:
        """Turn ``search``, ``search:0`` and ``all`` into Instances, in the order of start.

        Raises:
            UnknownTarget: there is no such Peer or Instance.
        """
        found: set[InstanceId] = set()
        for target in targets:
            name, _, index = target.partition(":")
            matching = [
                i
                for i, one in self._core.instances.items()
                if (target == "all" and not self._core.is_idle(one))
                or (i.name == name and index in ("", "*", str(i.index)))
            ]
            if not matching and target != "all":
                known = sorted({i.name for i in self._core.instances})
                raise UnknownTarget(target, known)
            found.update(matching)
        return [i for i in self._core.instances if i in found]

    def _wait(self, ids: list[InstanceId], look: Look, done: Done, *, at_end: bool = False) -> None:
        self.wait_for([self._core.instances[i] for i in ids], look, done, at_end=at_end)

    def wait_for(
        self, instances: list[Instance], look: Look, done: Done, *, at_end: bool = False
    ) -> None:
        """Call ``done`` when ``look`` has an outcome for each; ``at_end``: when the stack ended."""
        self._waiters.append(_Waiter(instances, look, done, at_end))
        self._supervisor.loop.call_later(0, self._look)

    def _look(self) -> None:
        """After every change: who has what it waited for?"""
        is_over = self._supervisor.finished is not None
        for waiter in list(self._waiters):
            outcomes = waiter.outcomes(is_over)
            if outcomes is not None:
                self._waiters.remove(waiter)
                waiter.done(outcomes)

    def _started(self, instance: Instance) -> Outcome | None:
        """Ready, or a job that runs or is done; or why it cannot be that any more by itself."""
        is_job_at_work = instance.spec.kind is Kind.JOB and instance.state is State.RUNNING
        if instance.is_settled or is_job_at_work:
            return _outcome(instance, True)
        if self._core.is_stopping:
            return _outcome(instance, False, self._core.exit_reason or "the stack is stopping")
        is_left = instance.state is State.STOPPED and not instance.wanted
        has_ended = is_left or instance.state in (State.FATAL, State.EXITED)
        if has_ended or self._core.is_waiting_in_vain(instance):
            return _outcome(instance, False)
        return None

    def _stopped(self, instance: Instance) -> Outcome | None:
        has_stopped = instance.is_gone and instance.state is not State.BACKOFF
        return _outcome(instance, True) if has_stopped else None


class _Waiter:
    """One request under way: done when ``look`` has an outcome for each of the Instances.

    With ``at_end``, when the stack has ended.
    """

    def __init__(self, instances: list[Instance], look: Look, done: Done, at_end: bool) -> None:
        self._instances = instances
        self._look = look
        self.done = done
        self._at_end = at_end

    def outcomes(self, is_over: bool) -> list[Outcome] | None:
        """Give the answer once there is one for every Instance."""
        if self._at_end:
            return [_outcome(i, True) for i in self._instances] if is_over else None
        found: list[Outcome] = []
        for instance in self._instances:
            outcome = self._look(instance)
            if outcome is None:
                return None
            found.append(outcome)
        return found


def _outcome(instance: Instance, is_ok: bool, reason: str | None = None) -> Outcome:
    return {
        "instance": str(instance.id),
        "ok": is_ok,
        "state": instance.state.value,
        "reason": reason or instance.reason,
    }


def _age(since: float | None, now: float) -> float | None:
    return None if since is None else round(now - since, 3)
