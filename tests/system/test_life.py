"""A stack from its first start to its end: order, jobs, stops, restarts, limits."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.conftest import RealCrossbar
from tests.support import wait_until
from tests.system.conftest import ECHO, RunningStack, StackMaker
from wampy import Session
from wampy.errors import NoSuchProcedure, WampyError

ORDERED = """
import os
from pathlib import Path
from wampy import Peer, rpc

class Noted(Peer):
    def on_start(self):
        self.note("start")

    def on_stop(self):
        self.note("stop")

    def note(self, what):
        with open("order.txt", "a") as file:
            file.write(f"{what} {self.name}\\n")

class Job(Noted):
    def run(self):
        self.note("run")

class FailsOnce(Peer):
    def run(self):
        marker = Path("failed-once")
        if not marker.exists():
            marker.touch()
            raise OSError("the first time")
"""


def test_up_shows_and_down_leaves_nothing(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + "replicas = 2\n").up()
    snapshot = stack.ps()
    assert snapshot["stack"] == stack.name
    assert snapshot["router"]["state"] == "RUNNING"
    rows = snapshot["instances"]
    assert [row["instance"] for row in rows] == ["echo:0", "echo:1"]
    for row in rows:
        assert (row["state"], row["ready"], row["incarnation"]) == ("RUNNING", True, 1)
        assert row["exit"] is None
        assert row["pss_bytes"] > 0
    assert stack.run_dir.path.stat().st_mode & 0o777 == 0o700
    assert stack.run_dir.control.stat().st_mode & 0o777 == 0o600
    assert stack.run_dir.tickets.stat().st_mode & 0o777 == 0o600
    result = stack.wampy("down")
    assert result.returncode == 0, result.stderr
    stack.wait_gone()
    assert not stack.run_dir.control.exists()
    assert stack.wampy("ps").returncode == 4


def test_start_in_order_stop_in_reverse(make_stack: StackMaker) -> None:
    stack = make_stack(
        """
        [peers.web]
        app = "ordered:Noted"
        depends_on = { api = "ready", migrate = "completed" }
        [peers.api]
        app = "ordered:Noted"
        depends_on = ["db"]
        [peers.db]
        app = "ordered:Noted"
        [peers.migrate]
        app = "ordered:Job"
        kind = "job"
        depends_on = ["db"]
        """,
        {"ordered": ORDERED},
    ).up()
    stack.wampy("down")
    lines = (stack.folder / "order.txt").read_text().splitlines()
    at = {line: lines.index(line) for line in lines}
    assert at["start db"] < at["start api"] < at["start web"]
    assert at["run migrate"] < at["start web"]
    assert at["stop web"] < at["stop api"] < at["stop db"]


def test_up_by_name_brings_only_what_it_needs(make_stack: StackMaker) -> None:
    stack = make_stack(
        """
        [peers.api]
        app = "ordered:Noted"
        depends_on = ["db"]
        [peers.db]
        app = "ordered:Noted"
        [peers.other]
        app = "ordered:Noted"
        """,
        {"ordered": ORDERED},
    )
    assert stack.wampy("up", "-d", "api").returncode == 0
    states = {row["name"]: row["state"] for row in stack.ps()["instances"]}
    assert states == {"api": "RUNNING", "db": "RUNNING", "other": "STOPPED"}
    assert stack.wampy("up", "-d").returncode == 0
    assert stack.row("other:0")["state"] == "RUNNING"


def test_a_job_that_fails_is_tried_again_until_it_is_done(make_stack: StackMaker) -> None:
    stack = make_stack(
        '[peers.once]\napp = "ordered:FailsOnce"\nkind = "job"\n', {"ordered": ORDERED}
    )
    stack.wampy("up", "-d")
    wait_until(lambda: stack.row("once:0")["completed"], 10.0)
    row = stack.row("once:0")
    assert (row["state"], row["restarts"], row["exit"]["code"]) == ("EXITED", 1, 0)
    assert "OSError: the first time" in stack.log("once-0.err")


def test_stop_start_and_restart_by_name(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + "replicas = 2\n").up()
    result = stack.wampy("stop", "echo:1")
    assert result.returncode == 0, result.stderr
    assert stack.row("echo:1")["state"] == "STOPPED"
    assert stack.row("echo:0")["state"] == "RUNNING"
    assert stack.wampy("start", "echo").returncode == 0
    assert stack.row("echo:1")["ready"]
    before = stack.pid("echo:0")
    assert stack.wampy("restart", "echo:0", "--hard").returncode == 0
    assert stack.pid("echo:0") != before
    result = stack.wampy("stop", "nobody")
    assert result.returncode == 2
    assert "nobody" in result.stderr


def test_a_stop_waits_for_what_is_in_flight(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    first = stack.pid("echo:0")
    with stack.session() as session:
        slow = session.call_async(f"com.test.{stack.name}.slow", 1.5)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
        assert stack.wampy("stop", "echo").returncode == 0
        assert slow.result(5) == first
    row = stack.row("echo:0")
    assert (row["exit"]["code"], row["exit"]["cause"]) == (0, "stopped")


def test_a_slow_stop_blocks_no_other_command(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + 'replicas = 2\nstop_grace = "20s"\n').up()
    with stack.session() as session:
        calls = [session.call_async(f"com.test.{stack.name}.slow", 2.5) for _ in range(2)]
        wait_until(lambda: sum(r["in_flight"] for r in stack.ps()["instances"]) == 2)
        stop = stack.popen("stop", "echo:0")
        wait_until(lambda: stack.row("echo:0")["state"] == "STOPPING")
        assert stack.wampy("restart", "--hard", "echo:1").returncode == 0
        stop.communicate(timeout=10)
        assert stop.returncode == 0
        assert len({call.result(5) for call in calls}) == 2


def test_a_stop_ends_whoever_ignores_it(make_stack: StackMaker) -> None:
    """Grace, TERM, 5 s, KILL: for a handler that never returns in a Peer that ignores TERM."""
    deaf = """
    import signal, time
    from wampy import Peer, rpc

    class Deaf(Peer):
        def on_start(self):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

        @rpc("PREFIX.never")
        def never(self):
            while True:
                time.sleep(1)
    """
    manifest = '[peers.deaf]\napp = "deaf:Deaf"\nstop_grace = "300ms"\n'
    stack = make_stack(manifest, {"deaf": deaf}).up()
    with stack.session() as session:
        session.call_async(f"com.test.{stack.name}.never")
        wait_until(lambda: stack.row("deaf:0")["in_flight"] == 1)
        assert stack.wampy("stop", "deaf").returncode == 0
    assert stack.row("deaf:0")["exit"]["signal"] == signal.SIGKILL


def test_a_rolling_restart_loses_no_call(make_stack: StackMaker) -> None:
    """Calls as fast as they come through three rolls; every one gets its result."""
    stack = make_stack(ECHO + "replicas = 2\n").up()
    results: list[int] = []
    errors: list[Exception] = []
    over = threading.Event()

    def load() -> None:
        with stack.session() as session:
            while not over.is_set():
                try:
                    results.append(session.call(f"com.test.{stack.name}.slow", 0.002))
                except WampyError as error:
                    errors.append(error)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(results) > 20)
        for _ in range(3):
            assert stack.wampy("restart", "echo").returncode == 0
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert errors == []
    assert len(set(results)) == 8, "each of the two was replaced three times"
    assert [row["incarnation"] for row in stack.ps()["instances"]] == [4, 4]


def test_restart_runs_the_code_on_the_disk(make_stack: StackMaker) -> None:
    """New code for a restart, the old after a crash; broken code touches nothing."""
    stack = make_stack(ECHO).up()
    module = stack.folder / "peers.py"
    text = module.read_text()
    module.write_text(text.replace("return value", 'return "new"'))
    first = stack.pid("echo:0")
    os.kill(first, signal.SIGKILL)
    second = stack.wait_ready("echo:0", but_not=first)["pid"]
    uri = f"com.test.{stack.name}.echo"
    with stack.session() as session:
        assert session.call(uri, "old") == "old"
        module.write_text("def broken(:\n")
        result = stack.wampy("restart", "echo")
        assert result.returncode == 3
        assert "peers.py" in result.stderr
        assert stack.pid("echo:0") == second
        module.write_text(text.replace("return value", 'return "new"'))
        assert stack.wampy("restart", "echo").returncode == 0
        assert session.call(uri, "old") == "new"


def test_a_crash_loop_ends_fatal_with_its_cause(make_stack: StackMaker) -> None:
    bad = """
    from wampy import Peer

    class Bad(Peer):
        def on_start(self):
            raise RuntimeError("no such database")
    """
    stack = make_stack(
        """
        [peers.bad]
        app = "bad:Bad"
        restart_limit = 3
        backoff = { initial = "20ms" }
        """,
        {"bad": bad},
    )
    result = stack.wampy("up", "-d")
    assert result.returncode == 3
    assert "RuntimeError: no such database" in result.stderr
    row = stack.row("bad:0")
    assert (row["state"], row["incarnation"]) == ("FATAL", 3)
    assert "3 starts in a row failed" in row["reason"]
    assert "Traceback" in stack.log("bad-0.err")


def test_on_fatal_stop_ends_the_stack_with_3(make_stack: StackMaker) -> None:
    bad = "import sys\nfrom wampy import Peer\nclass Bad(Peer):\n"
    bad += "    def on_start(self):\n        sys.exit(78)\n"
    stack = make_stack(
        '[peers.bad]\napp = "bad:Bad"\n' + ECHO, {"bad": bad}, stack='on_fatal = "stop"'
    )
    process = stack.popen("up")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "bad:0" in output
    stack.wait_gone()


def test_a_router_that_already_runs_outlives_the_stack(
    make_stack: StackMaker, crossbar: RealCrossbar
) -> None:
    stack = make_stack(ECHO, router="external").up()
    router = stack.ps()["router"]
    assert (router["type"], router["pid"], router["ready"]) == ("external", None, True)
    with Session(crossbar.url) as session:
        assert session.call(f"com.test.{stack.name}.echo", 1) == 1
        assert stack.wampy("down").returncode == 0
        stack.wait_gone()
        with pytest.raises(NoSuchProcedure):
            session.call(f"com.test.{stack.name}.echo", 1)


def test_a_router_that_cannot_run_ends_the_stack_with_3(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO, router='type = "external"\nurl = "tcp://127.0.0.1:1"\n')
    manifest = stack.folder / "wampy.toml"
    text = manifest.read_text().replace("[router]", '[router]\nstart_timeout = "1s"')
    manifest.write_text(text)
    result = stack.wampy("up", "-d")
    assert result.returncode == 3
    assert "cannot connect to tcp://127.0.0.1:1" in result.stderr
    stack.wait_gone()


def test_two_ups_at_once_make_one_stack(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO)
    ups = [stack.popen("up", "-d") for _ in range(3)]
    outputs = [up.communicate(timeout=60)[0] for up in ups]
    assert [up.returncode for up in ups] == [0, 0, 0], outputs
    stack.remember()
    supervisors = [p for p in stack.alive() if _is_guard(p)]
    assert len(supervisors) == 3, "guard, supervisor and logger of one stack"


def _is_guard(pid: int) -> bool:
    return "orchestrator.guard" in Path(f"/proc/{pid}/cmdline").read_text()


def test_logs_come_merged_and_follow_a_restart(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO).up()
    uri = f"com.test.{stack.name}.say"
    with stack.session() as session:
        session.call(uri, "one")
        follower = stack.popen("logs", "echo", "-f", bufsize=1)
        try:
            assert follower.stdout is not None
            lines: list[str] = []
            reader = threading.Thread(target=lambda: lines.extend(follower.stdout or ()))
            reader.start()
            wait_until(lambda: any("| one" in line for line in lines))
            expected = []
            for number in range(5):
                session.call(uri, f"line {number}", "stderr" if number % 2 else "stdout")
                expected.append(f"line {number}")
            assert stack.wampy("restart", "echo").returncode == 0
            session.call(uri, "after")

            def said() -> list[str]:
                texts = [line.rpartition("| ")[2].strip() for line in lines]
                return [text for text in texts if text in (*expected, "after")]

            wait_until(lambda: said() == [*expected, "after"], 10.0)
        finally:
            follower.kill()
            reader.join(5)
            follower.communicate()
    shown = stack.wampy("logs", "echo").stdout
    assert shown.index("one") < shown.index("line 0") < shown.index("after")


def test_a_job_that_is_done_runs_again_only_by_name(make_stack: StackMaker) -> None:
    stack = make_stack('[peers.job]\napp = "ordered:Job"\nkind = "job"\n', {"ordered": ORDERED})
    stack.up()
    wait_until(lambda: stack.row("job:0")["completed"], 10.0)
    stack.up()
    assert stack.row("job:0")["incarnation"] == 1
    assert stack.wampy("up", "-d", "job").returncode == 0
    wait_until(lambda: stack.row("job:0")["completed"], 10.0)
    assert stack.row("job:0")["incarnation"] == 2


def test_up_ends_where_a_dependency_cannot_be_met(make_stack: StackMaker) -> None:
    bad = "from wampy import Peer\nclass Bad(Peer):\n"
    bad += "    def on_start(self):\n        raise OSError('no disk')\n"
    stack = make_stack(
        ECHO
        + """
        depends_on = ["bad"]
        [peers.bad]
        app = "bad:Bad"
        restart_limit = 1
        """.replace("        ", ""),
        {"bad": bad},
    )
    result = stack.wampy("up", "-d")
    assert result.returncode == 3
    assert "OSError: no disk" in result.stderr
    assert "waiting for bad to be ready, but bad:0 is FATAL" in result.stderr


#: Starts as often as its file says.
FICKLE = """
import os
from pathlib import Path
from wampy import Peer, rpc

class Fickle(Peer):
    prefix = "PREFIX."

    def on_start(self):
        if Path("broken").exists():
            raise RuntimeError("no such database")

    @rpc
    def pid(self):
        return os.getpid()
"""


def test_a_replacement_that_fails_leaves_what_runs(make_stack: StackMaker) -> None:
    stack = make_stack('[peers.fickle]\napp = "fickle:Fickle"\nreplicas = 2\n', {"fickle": FICKLE})
    stack.up()
    before = [row["pid"] for row in stack.ps()["instances"]]
    (stack.folder / "broken").touch()
    result = stack.wampy("restart", "fickle")
    assert result.returncode == 3
    assert "the replacement failed: " in result.stderr
    assert "no such database" in result.stderr
    rows = stack.ps()["instances"]
    assert [row["pid"] for row in rows] == before
    assert [row["ready"] for row in rows] == [True, True]
    with stack.session() as session:
        called = {session.call(f"com.test.{stack.name}.pid") for _ in range(10)}
    assert called == set(before), "both serve as before"
    (stack.folder / "broken").unlink()
    assert stack.wampy("restart", "fickle").returncode == 0


def test_a_stop_ends_a_roll(make_stack: StackMaker) -> None:
    """While the replacement of one is starting and the old one still serves."""
    slow = """
    import time
    from pathlib import Path
    from wampy import Peer

    class Slow(Peer):
        def on_start(self):
            if Path("slow").exists():
                time.sleep(30)
    """
    stack = make_stack('[peers.slow]\napp = "slow:Slow"\nreplicas = 2\n', {"slow": slow}).up()
    (stack.folder / "slow").touch()
    restart = stack.popen("restart", "slow")
    wait_until(lambda: stack.row("slow:0")["state"] == "STARTING", 10.0)
    assert stack.wampy("stop", "slow").returncode == 0
    assert {row["state"] for row in stack.ps()["instances"]} == {"STOPPED"}
    output, _ = restart.communicate(timeout=10)
    assert restart.returncode == 3, output


def test_many_restarts_leave_nothing_behind(make_stack: StackMaker) -> None:
    """No descriptor, process or memory of the supervisor is kept for a process that is gone."""
    at_once = 'replicas = 2\nrestart_limit = 100\nbackoff = { initial = "10ms", max = "10ms" }\n'
    stack = make_stack(ECHO + at_once).up()
    pids = {pid: name for name, pid in stack_processes(stack).items()}

    def held() -> dict[str, int]:
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for pid, name in pids.items()}

    def cycle(times: int) -> None:
        for _ in range(times):
            pid = stack.pid("echo:0")
            os.kill(pid, signal.SIGKILL)
            stack.wait_ready("echo:0", but_not=pid)

    cycle(2)
    before, children = held(), len(stack.alive())
    rss = resident(stack.supervisor_pid)
    cycle(20)
    wait_until(lambda: held() == before, 5.0, f"{before} became {held()}")
    assert len(stack.alive()) == children
    assert resident(stack.supervisor_pid) - rss < 2 << 20


def stack_processes(stack: RunningStack) -> dict[str, int]:
    return {
        "supervisor": stack.supervisor_pid,
        "guard": stack.guard_pid,
        "logger": stack.logger_pid,
        "nursery": stack.child_named("orchestrator.nursery"),
    }


def resident(pid: int) -> int:
    """Give the resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
