"""More that fails: Sessions, event loops, descriptors, children, the clock; and who is told."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from orchestrator.control.client import ControlClient
from orchestrator.processes import is_alive, processes_marked
from orchestrator.rundir import RUN_MARK
from tests.support import wait_until
from tests.system.conftest import ECHO, STEADY, RunningStack, StackMaker
from wampy import Session

FAULTY = """
import asyncio, os, subprocess, sys, threading, time
from wampy import Peer, rpc

class Faulty(Peer):
    prefix = "PREFIX."

    @rpc
    def pid(self):
        return os.getpid()

    @rpc
    def deadlock(self):
        self.session._lock.acquire()
        threading.Event().wait()

    @rpc
    async def block(self, seconds):
        time.sleep(seconds)  # what an async handler must not do
        return os.getpid()

    @rpc
    async def later(self):
        await asyncio.sleep(0)
        return os.getpid()

    @rpc
    def leak(self):
        kept = self.__dict__.setdefault("kept", [])
        try:
            while True:
                kept.append(open(os.devnull))
        except OSError:
            return len(kept)

    @rpc
    def breed(self, count):
        script = "sleep 600 & sleep 600 & setsid --fork sleep 600; exec sleep 600"
        for _ in range(count):
            subprocess.Popen(["sh", "-c", script], start_new_session=True)
"""
ONE = """
[peers.faulty]
app = "faulty:Faulty"
heartbeat = { interval = "300ms", timeout = "500ms", failures = 2 }
"""


@pytest.fixture
def faulty(make_stack: StackMaker) -> RunningStack:
    return make_stack(ONE, {"faulty": FAULTY}).up()


def test_a_deadlocked_session_is_found_with_its_tracebacks(faulty: RunningStack) -> None:
    """Its process and its main thread live, so only the heartbeat over the Router can tell."""
    first = faulty.pid("faulty:0")
    with faulty.session() as session:
        session.call_async(f"com.test.{faulty.name}.deadlock")
        faulty.wait_ready("faulty:0", but_not=first)
    assert "2 heartbeats missed" in faulty.log()
    assert "in deadlock" in (faulty.run_dir.tracebacks / "faulty-0.1.txt").read_text()


def test_who_lost_only_its_session_reconnects_and_is_not_replaced(faulty: RunningStack) -> None:
    first = faulty.pid("faulty:0")
    with faulty.session() as session:
        registration = session.call("wamp.registration.lookup", f"com.test.{faulty.name}.pid")
        for _ in range(3):
            (callee,) = session.call("wamp.registration.list_callees", registration)
            session.call("wamp.session.kill", callee)

            def is_another(old: int = callee) -> bool:
                nonlocal registration
                registration = session.call(
                    "wamp.registration.lookup", f"com.test.{faulty.name}.pid"
                )
                if registration is None:
                    return False
                return bool(session.call("wamp.registration.list_callees", registration) != [old])

            wait_until(is_another)
            assert session.call(f"com.test.{faulty.name}.pid") == first
    faulty.wait_ready("faulty:0")
    assert (faulty.pid("faulty:0"), faulty.row("faulty:0")["restarts"]) == (first, 0)


def test_an_event_loop_that_is_blocked_costs_no_heartbeat(faulty: RunningStack) -> None:
    """Handlers hold each other up there; the Session does not run in it."""
    first = faulty.pid("faulty:0")
    with faulty.session() as session:
        blocked = session.call_async(f"com.test.{faulty.name}.block", 2.5)
        behind = session.call_async(f"com.test.{faulty.name}.later")
        assert session.call(f"com.test.{faulty.name}.pid", timeout=2.0) == first
        assert (blocked.result(10), behind.result(10)) == (first, first)
    assert faulty.row("faulty:0")["restarts"] == 0


def test_a_peer_without_descriptors_still_answers(make_stack: StackMaker) -> None:
    stack = make_stack(ONE + "limits = { nofile = 64 }\n", {"faulty": FAULTY}).up()
    first = stack.pid("faulty:0")
    with stack.session() as session:
        assert session.call(f"com.test.{stack.name}.leak") > 10
        time.sleep(1.5)
        assert session.call(f"com.test.{stack.name}.pid") == first
    assert stack.row("faulty:0")["ready"]
    assert stack.wampy("stop", "faulty").returncode == 0
    assert stack.row("faulty:0")["exit"]["code"] == 0


def test_a_crowd_of_grandchildren_ends_with_its_peer(faulty: RunningStack) -> None:
    def crowd() -> int:
        return len(faulty.alive())

    faulty.remember()
    before = crowd()
    with faulty.session() as session:
        session.call(f"com.test.{faulty.name}.breed", 20)
    wait_until(lambda: crowd() >= before + 80)
    first = faulty.pid("faulty:0")
    os.kill(first, signal.SIGKILL)
    faulty.wait_ready("faulty:0", but_not=first)
    wait_until(lambda: crowd() <= before)


@pytest.mark.parametrize("when", ["__init__", "on_start"])
def test_who_exits_before_it_is_ready_ends_fatal(make_stack: StackMaker, when: str) -> None:
    """Before it has joined, and between that and its registrations."""
    code = f"""
    import os
    from wampy import Peer, rpc

    class Bad(Peer):
        def {when}(self, *args, **kwargs):
            os._exit(9)

        @rpc("PREFIX.bad")
        def bad(self):
            pass
    """
    limit = 'restart_limit = 3\nbackoff = { initial = "10ms" }\n'
    stack = make_stack(f'[peers.bad]\napp = "bad:Bad"\n{limit}', {"bad": code})
    assert stack.wampy("up", "-d").returncode == 3
    row = stack.row("bad:0")
    assert (row["state"], row["exit"]["code"], row["incarnation"]) == ("FATAL", 9, 3)


def test_a_router_that_gets_sigterm_is_restarted_and_no_peer_is(faulty: RunningStack) -> None:
    first, router = faulty.pid("faulty:0"), faulty.ps()["router"]["pid"]
    os.kill(router, signal.SIGTERM)
    wait_until(lambda: faulty.ps()["router"]["pid"] not in (router, None))
    assert faulty.wait_ready("faulty:0")["pid"] == first


def test_a_suspended_machine_has_nobody_killed(make_stack: StackMaker) -> None:
    """All stand still for longer than heartbeats, calls and starts may take, and go on."""
    fast = 'heartbeat = { interval = "200ms", timeout = "300ms", failures = 2 }\n'
    stack = make_stack(
        f'[peers.echo]\napp = "peers:Echo"\nreplicas = 2\nmax_call_age = "2s"\n{fast}'
    ).up()
    before = [stack.pid("echo:0"), stack.pid("echo:1")]
    with stack.session() as session:
        slow = session.call_async(f"com.test.{stack.name}.slow", 1.0)
        token = stack.run_dir.read_state()["run"]
        processes = list(processes_marked(RUN_MARK, token))
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(4.0)
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        assert slow.result(10) in before
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        assert [stack.pid("echo:0"), stack.pid("echo:1")] == before


def test_a_long_queue_has_nobody_killed(make_stack: StackMaker) -> None:
    """``max_call_age`` is for what runs: what waits behind it is not hung, it is late."""
    stack = make_stack(STEADY + 'concurrency = 1\nmax_call_age = "2s"\n').up()
    first = stack.pid("echo:0")
    with stack.session() as session:
        calls = [session.call_async(f"com.test.{stack.name}.slow", 0.8) for _ in range(5)]
        wait_until(lambda: stack.row("echo:0")["saturated"])
        assert {call.result(20) for call in calls} == {first}
    assert stack.row("echo:0")["restarts"] == 0


# ---------------------------------------------------------------------- who is told


def test_a_snapshot_and_what_follows_give_the_state(make_stack: StackMaker) -> None:
    """Whoever follows the events knows at each moment what ``ps`` would say."""
    stack = make_stack(STEADY + "replicas = 2\n").up()
    state: dict[str, tuple[str, bool, int | None]] = {}

    def take(row: dict[str, Any], new: str) -> None:
        if row.get("instance"):
            state[row["instance"]] = (new, row["ready"], row["pid"])

    def follow() -> None:
        for event in ControlClient(stack.run_dir.control).events():
            if "snapshot" in event:
                for row in event["snapshot"]["instances"]:
                    take(row, row["state"])
                router = event["snapshot"]["router"]
                take({**router, "instance": "router"}, router["state"])
            elif "new" in event:
                take(event, event["new"])

    threading.Thread(target=follow, daemon=True).start()
    wait_until(lambda: len(state) == 3)
    os.kill(stack.pid("echo:0"), signal.SIGKILL)
    assert stack.wampy("restart", "echo").returncode == 0
    assert stack.wampy("stop", "echo:1").returncode == 0
    assert stack.wampy("scale", "echo=3").returncode == 0
    os.kill(stack.ps()["router"]["pid"], signal.SIGKILL)
    wait_until(lambda: stack.ps()["router"]["ready"] and stack.row("echo:0")["ready"])

    def is_the_same() -> bool:
        snapshot = stack.ps()
        rows = {r["instance"]: (r["state"], r["ready"], r["pid"]) for r in snapshot["instances"]}
        router = snapshot["router"]
        rows["router"] = (router["state"], router["ready"], router["pid"])
        return all(state.get(name) == row for name, row in rows.items())

    wait_until(is_the_same)


def test_who_subscribes_to_everything_hears_no_transition(make_stack: StackMaker) -> None:
    """The transitions are the operator's: an anonymous prefix subscription gets none of them."""
    stack = make_stack(ECHO).up()
    heard: list[Any] = []
    told: list[Any] = []
    with (
        Session(stack.ps()["router"]["url"], realm="realm1", reconnect=False) as anonymous,
        stack.session() as operator,
    ):
        anonymous.subscribe("com", lambda *args, **more: heard.append(args), match="prefix")
        for uri in ("", "wampy", f"wampy.{stack.name}", "w"):
            try:
                anonymous.subscribe(uri, lambda *args, **more: heard.append(args), match="prefix")
            except Exception:  # refused, or no URI: as good
                continue
        operator.subscribe(f"wampy.{stack.name}.transition", told.append)
        assert stack.wampy("restart", "--hard", "echo").returncode == 0
        wait_until(lambda: [event for event in told if event["new"] == "RUNNING"])
        operator.publish("com.test.mark", 1, acknowledge=True)
        wait_until(lambda: heard)
        time.sleep(0.2)
    assert set(heard) == {(1,)}


def test_a_state_with_a_pid_that_is_somebody_elses_by_now(make_stack: StackMaker) -> None:
    """What is swept is what carries the run's mark; a pid alone says nothing."""
    stack = make_stack(ECHO).up()
    state = stack.run_dir.read_state()
    for pid in (stack.guard_pid, stack.supervisor_pid):
        os.kill(pid, signal.SIGKILL)
    stack.remember()
    wait_until(lambda: not is_alive(state["pid"]))
    text = stack.run_dir.state.read_text().replace(str(state["pid"]), str(os.getpid()))
    stack.run_dir.state.write_text(text)
    stack.up()
    assert stack.row("echo:0")["ready"]
