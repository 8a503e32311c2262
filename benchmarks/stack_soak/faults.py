"""Every fault of the contract's section 6, done to a running stack, and how soon it is over."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil

from benchmarks.common import wait_for
from benchmarks.engines import wampy_program
from benchmarks.stack_soak.stack import (
    ANY,
    DEPENDANT,
    DEPENDED_ON,
    MAX_CALL_AGE_S,
    Scene,
    write_code,
)
from orchestrator.processes import children_of
from wampy import Session, WampyError

#: Seconds that anything here may take at the very most.
LIMIT_S = 60.0
_versions = itertools.count(1)


@dataclass(frozen=True)
class Times:
    """Seconds from the fault until it was told of, and until all was well again."""

    found_s: float | None = None
    again_s: float | None = None


@dataclass
class Fault:
    """One fault: what it is, what the stack does, and what was promised and measured.

    Attributes:
        bound_s: seconds in which it must be over; None: nothing is promised but the behaviour.
        has_deaths: calls may be lost by it.
    """

    name: str
    does: str
    bound: str
    run: Callable[[Scene, random.Random], Times]
    bound_s: float | None = None
    found: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def _any(scene: Scene, chance: random.Random) -> tuple[str, int]:
    instance = f"{chance.choice(ANY)}:{chance.randrange(2)}"
    return instance, int(scene.rows()[instance]["pid"])


# ---------------------------------------------------------------------- one Instance


def _replaced(scene: Scene, chance: random.Random, act: Callable[[int], None]) -> Times:
    """Do something to a process that costs it its life."""
    instance, pid = _any(scene, chance)
    began = time.monotonic()
    act(pid)
    wait_for(lambda: scene.answers_anew(instance, pid), LIMIT_S, f"{instance} again", 0.001)
    again = time.monotonic()
    found = scene.first(began, lambda e: e.get("instance") == instance and not e["ready"])
    assert found is not None, f"the end of {instance} was not told"
    return Times(found - began, again - began)


def killed(scene: Scene, chance: random.Random) -> Times:
    return _replaced(scene, chance, _kill)


def exits(scene: Scene, chance: random.Random) -> Times:
    code = chance.choice((0, 1, 3))
    return _replaced(scene, chance, lambda pid: scene.ask("leave", pid, code))


def stopped(scene: Scene, chance: random.Random) -> Times:
    return _replaced(scene, chance, _stop)


def spins(scene: Scene, chance: random.Random) -> Times:
    return _replaced(scene, chance, lambda pid: scene.ask("spin", pid))


def deadlocked(scene: Scene, chance: random.Random) -> Times:
    return _replaced(scene, chance, lambda pid: scene.ask("deadlock", pid))


def stuck(scene: Scene, chance: random.Random) -> Times:
    return _replaced(scene, chance, lambda pid: scene.ask("stuck", pid))


def busy(scene: Scene, chance: random.Random) -> Times:
    """All handlers busy for longer than a heartbeat: told, and nothing else."""
    instance, pid = _any(scene, chance)
    began = time.monotonic()
    for _ in range(24):  # three for each handler
        scene.ask("busy", pid, 3.0)
    wait_for(lambda: scene.rows()[instance]["saturated"], 10, f"{instance} saturated", 0.05)
    found = time.monotonic()
    assert scene.rows()[instance]["ready"], "a busy Instance is not ready"
    wait_for(lambda: not scene.rows()[instance]["saturated"], LIMIT_S, "not saturated", 0.05)
    row = scene.rows()[instance]
    assert (row["pid"], row["ready"]) == (pid, True), "a busy Instance was replaced"
    return Times(found - began, None)


def session_lost(scene: Scene, chance: random.Random) -> Times:
    """The Router throws its session out; the process reconnects by itself."""
    instance, pid = _any(scene, chance)
    name, _, index = instance.partition(":")
    uri = f"wampy.soak.peer.{name}.{index}.heartbeat"
    session = scene.stack.session
    registration = session.call("wamp.registration.lookup", uri)
    (callee,) = session.call("wamp.registration.list_callees", registration)
    began = time.monotonic()
    session.call("wamp.session.kill", callee)

    def is_back() -> bool:
        try:
            return bool(scene.stack.call(uri, timeout=0.5)["pid"] == pid)
        except WampyError:
            return False

    wait_for(is_back, LIMIT_S, f"{instance} is back", 0.001)
    again = time.monotonic()
    assert scene.rows()[instance]["pid"] == pid, "who lost only its Session was replaced"
    found = scene.first(began, lambda e: e.get("instance") == instance and not e["ready"])
    return Times(None if found is None else found - began, again - began)


def flood(scene: Scene, chance: random.Random) -> Times:
    """Half lines and no text, faster than anybody writes them down."""
    instance, pid = _any(scene, chance)
    began = time.monotonic()
    scene.stack.call(f"soak.flood.{pid}", 40_000, timeout=30)
    again = time.monotonic()
    row = scene.rows()[instance]
    assert (row["pid"], row["ready"]) == (pid, True), "a flood cost an Instance its life"
    return Times(None, again - began)


# ---------------------------------------------------------------------- Router, and what is its own


def _router(scene: Scene, act: Callable[[int], None]) -> Times:
    """Do something to the Router; all is well again when each Peer is callable."""
    before, snapshot = scene.pids(), scene.stack.ps()
    began = time.monotonic()
    act(snapshot["router"]["pid"])

    def is_router(event: dict[str, Any], ready: bool) -> bool:
        return event.get("instance") == "router" and event["ready"] is ready

    def back_at() -> float:
        return scene.first(began, lambda e: is_router(e, True)) or 0.0

    back = wait_for(back_at, LIMIT_S, "the Router is back")
    found = scene.first(began, lambda e: is_router(e, False))
    with Session(scene.url, realm="realm1") as session:
        for instance in before:
            name = instance.partition(":")[0]
            wait_for(partial(_echoes, session, name), LIMIT_S, f"{name} again", 0.001)
    again = time.monotonic()
    assert scene.pids() == before, "a Peer was restarted for the Router"
    return Times(None if found is None else found - began, again - back)


def _echoes(session: Session, name: str) -> bool:
    try:
        return bool(session.call(f"soak.{name}.echo", 1, timeout=1.0) == 1)
    except WampyError:
        return False


def router_killed(scene: Scene, chance: random.Random) -> Times:
    return _router(scene, _kill)


def router_hangs(scene: Scene, chance: random.Random) -> Times:
    def stop_all(pid: int) -> None:
        for each in (pid, *children_of(pid)):
            _stop(each)

    return _router(scene, stop_all)


def helper_killed(scene: Scene, chance: random.Random) -> Times:
    """One of the stack's own processes: the logger, a nursery."""
    before, known = scene.pids(), set(scene.children())
    pid = chance.choice(sorted(known))
    began = time.monotonic()
    _kill(pid)

    def is_replaced() -> bool:
        return bool(set(scene.children()) - known) or len(scene.children()) >= len(known)

    wait_for(is_replaced, LIMIT_S, "another takes its place", 0.005)
    again = time.monotonic()
    assert scene.pids() == before, "an Instance was lost with a helper"
    return Times(None, again - began)


# ---------------------------------------------------------------------- Peers together


def crash_loop(scene: Scene, chance: random.Random) -> Times:
    """Ten Instances that cannot start: FATAL, and the supervisor has better to do."""
    supervisor = psutil.Process(scene.stack.ps()["pid"])
    began = time.monotonic()
    argv = [wampy_program(), "start", "crash"]
    done = subprocess.run(argv, cwd=scene.folder, capture_output=True, text=True, check=False)
    again = time.monotonic()
    rows = [row for row in scene.rows().values() if row["name"] == "crash"]
    assert done.returncode != 0, "a start that failed was called good"
    assert {row["state"] for row in rows} == {"FATAL"}, rows
    assert "no such database" in rows[0]["reason"] + str(rows[0]["exit"]), rows[0]
    found = scene.first(began, lambda e: str(e.get("instance")).startswith("crash:"))
    assert supervisor.is_running()
    return Times(None if found is None else found - began, again - began)


def dependency_lost(scene: Scene, chance: random.Random) -> Times:
    """All of what others depend on is killed; ``one_for_one`` leaves those others alone."""
    pids = scene.pids()
    gone = [f"{DEPENDED_ON}:{index}" for index in range(2)]
    began = time.monotonic()
    for instance in gone:
        _kill(pids[instance])
    for instance in gone:
        is_back = partial(scene.answers_anew, instance, pids[instance])
        wait_for(is_back, LIMIT_S, f"{instance} again", 0.001)
    again = time.monotonic()
    found = scene.first(began, lambda e: e.get("instance") in gone and not e["ready"])
    kept = [f"{DEPENDANT}:{index}" for index in range(2)]
    now = scene.pids()
    assert [now[one] for one in kept] == [pids[one] for one in kept], "a dependant was restarted"
    return Times(None if found is None else found - began, again - began)


# ---------------------------------------------------------------------- what is asked for


def rolled(scene: Scene, chance: random.Random) -> Times:
    name = chance.choice(ANY)
    return _timed(lambda: scene.stack.restart(name))


def stopped_and_started(scene: Scene, chance: random.Random) -> Times:
    instance, _ = _any(scene, chance)
    began = time.monotonic()
    scene.stack.stop(instance)
    scene.stack.start(instance)
    return Times(None, time.monotonic() - began)


def scaled(scene: Scene, chance: random.Random) -> Times:
    name = chance.choice(ANY)
    began = time.monotonic()
    scene.stack.scale(name, 4)
    scene.stack.scale(name, 2)
    return Times(None, time.monotonic() - began)


def reloaded(scene: Scene, chance: random.Random) -> Times:
    name = chance.choice(ANY)
    write_code(scene.folder, name, str(next(_versions)))
    before = scene.pids()

    def reload() -> None:
        plan = scene.stack.reload()
        assert {change["target"].partition(":")[0] for change in plan} == {name}, plan

    times = _timed(reload)
    now = scene.pids()
    changed = {one.partition(":")[0] for one in before if now.get(one) != before[one]}
    assert changed == {name}, f"a reload of {name} replaced {changed}"
    return times


def slow_stop(scene: Scene, chance: random.Random) -> Times:
    """While one Instance takes its time to stop, another is restarted."""
    slow, quick = chance.sample(ANY, 2)
    pid = int(scene.rows()[f"{slow}:0"]["pid"])
    scene.ask("busy", pid, 4.0)
    argv = [wampy_program(), "stop", f"{slow}:0"]
    stopping = subprocess.Popen(argv, cwd=scene.folder, stderr=subprocess.DEVNULL)
    wait_for(lambda: scene.rows()[f"{slow}:0"]["state"] == "STOPPING", 5, "it is stopping")
    times = _timed(lambda: scene.stack.restart(quick))
    assert stopping.poll() is None, "the slow stop was over too soon to tell"
    assert stopping.wait(LIMIT_S) == 0
    scene.stack.start(f"{slow}:0")
    return times


def two_ups(scene: Scene, chance: random.Random) -> Times:
    """Two more ``up`` at once: one stack."""
    before, pid = scene.pids(), scene.stack.ps()["pid"]
    began = time.monotonic()
    argv = [wampy_program(), "up", "-d"]
    ups = [subprocess.Popen(argv, cwd=scene.folder, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [up.wait(LIMIT_S) for up in ups] == [0, 0]
    again = time.monotonic()
    assert (scene.stack.ps()["pid"], scene.pids()) == (pid, before), "another up changed the stack"
    return Times(None, again - began)


def suspended(scene: Scene, chance: random.Random) -> Times:
    """Everything stands still for longer than a heartbeat may take, as in a laptop's sleep."""
    before, processes = scene.pids(), scene.processes()
    for pid in processes:
        _stop(pid)
    time.sleep(5.0)
    began = time.monotonic()
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    with Session(scene.url, realm="realm1") as session:
        for name in ANY:
            wait_for(partial(_echoes, session, name), LIMIT_S, f"{name} again", 0.001)
    again = time.monotonic()
    time.sleep(3.0)
    assert scene.pids() == before, "somebody was killed for having slept"
    return Times(None, again - began)


def _timed(act: Callable[[], None]) -> Times:
    began = time.monotonic()
    act()
    return Times(None, time.monotonic() - began)


#: interval x failures + timeout + 0.5 s, of the default heartbeat.
_HUNG_S = 2.0 * 3 + 2.0 + 0.5


def all_faults() -> list[Fault]:
    """Give each fault, new, in the order of the document."""
    hung, none = f"{_HUNG_S:g} s", "0 lost"
    tracebacks = "tracebacks, KILL, replaced"
    old_s = MAX_CALL_AGE_S + 2.0 + 0.5
    return [
        Fault("an Instance is killed with -9", "replaced", "250 ms", killed, 0.25),
        Fault("an Instance exits by itself", "replaced", "250 ms", exits, 0.25),
        Fault("an Instance is stopped (SIGSTOP)", tracebacks, hung, stopped, _HUNG_S),
        Fault("an Instance spins with the GIL held", tracebacks, hung, spins, _HUNG_S),
        Fault("its Session's threads are deadlocked", tracebacks, hung, deadlocked, _HUNG_S),
        Fault(
            f"a handler is stuck, max_call_age {MAX_CALL_AGE_S:g} s",
            tracebacks, f"{old_s:g} s", stuck, old_s,
        ),
        Fault("every handler is busy", "reported saturated, nothing killed", "–", busy),
        Fault("an Instance lost only its Session", "it joins again", "1 s", session_lost, 1.0),
        Fault("the Router is killed with -9", "restarted; no Peer is", "1 s", router_killed, 1.0),
        Fault("the Router hangs (SIGSTOP)", "restarted; no Peer is", "1 s", router_hangs, 1.0),
        Fault("10 Instances that cannot start", "backoff, FATAL with the cause", "–", crash_loop),
        Fault("a dependency is killed, all of it", "dependants live on", "–", dependency_lost),
        Fault("a rolling restart of 2 replicas", "replaced, then drained", none, rolled),
        Fault("stop and start of one of 2 replicas", "drained", none, stopped_and_started),
        Fault("scaled from 2 to 4 and back", "drained", none, scaled),
        Fault("a reload of changed code", "tried out, then rolled", none, reloaded),
        Fault("a restart while another stops slowly", "not held up", none, slow_stop),
        Fault("the logger or a nursery is killed with -9", "replaced", "–", helper_killed),
        Fault("two more wampy up at once", "they join it", none, two_ups),
        Fault("a flood of half lines that are no text", "no heartbeat is missed", "–", flood),
        Fault("the whole stack is suspended for 5 s", "nobody is killed", none, suspended),
    ]  # fmt: skip
