"""Programs in any language as Peers: started, found ready, replaced, stopped, nothing left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from orchestrator.processes import is_alive
from tests.conftest import LOGINS, RealRouter
from tests.support import wait_until
from tests.system.conftest import RunningStack, StackMaker
from tests.system.programs import ADDER, NODE, adder, node, shell
from wampy.errors import WampyError


def call(stack: RunningStack, procedure: str, *args: object) -> object:
    with stack.session() as session:
        return session.call(f"com.test.{stack.name}.{procedure}", *args)


def environ_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_text()
    return dict(one.split("=", 1) for one in text.split("\0") if one)


# ---------------------------------------------------------------------- ready, replaced


def test_it_is_ready_when_what_it_provides_is_registered(make_stack: StackMaker) -> None:
    stack = make_stack(adder(), {"adder": ADDER}).up()
    row = stack.row("adder:0")
    assert (row["state"], row["ready"], row["restarts"]) == ("RUNNING", True, 0)
    assert row["pss_bytes"] > 1_000_000
    assert call(stack, "pid") == row["pid"]
    wait_until(lambda: "registered" in stack.log("adder-0.out"))
    assert "adder:0" in stack.wampy("ps").stdout
    assert "registered" in stack.wampy("logs", "adder").stdout


def test_a_node_peer_is_there_again_after_a_kill(make_stack: StackMaker) -> None:
    stack = make_stack(node(), {"unused": ""})
    (stack.folder / "svc.js").write_text(NODE.replace("PREFIX", f"com.test.{stack.name}"))
    stack.up()
    first = stack.row("js:0")
    assert call(stack, "js.pid") == first["pid"]
    os.kill(first["pid"], signal.SIGKILL)
    second = stack.wait_ready("js:0", but_not=first["pid"])
    assert call(stack, "js.pid") == second["pid"]
    assert call(stack, "js.add", 2, 3) == 5
    wait_until(lambda: stack.row("js:0")["calls"] == 7)
    assert stack.wampy("restart", "js").returncode == 0
    assert call(stack, "js.pid") == stack.pid("js:0") != second["pid"]
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_it_is_told_how_to_join_and_nobody_else_is(make_stack: StackMaker) -> None:
    stack = make_stack(adder("replicas = 2"), {"adder": ADDER}).up()
    environs = [environ_of(stack.pid(f"adder:{index}")) for index in range(2)]
    for index, environ in enumerate(environs):
        assert environ["WAMPY_URL"] == stack.ps()["router"]["url"]
        assert environ["WAMPY_REALM"] == "realm1"
        assert environ["WAMPY_INSTANCE"] == f"adder:{index}"
        assert environ["WAMPY_AUTHID"] == f"peer:adder:{index}#1"
    tickets = {environ["WAMPY_TICKET"] for environ in environs}
    assert len(tickets) == 2
    for path in stack.run_dir.logs.iterdir():
        assert not any(ticket in path.read_text(errors="replace") for ticket in tickets)


def test_it_is_not_ready_before_it_has_registered(make_stack: StackMaker) -> None:
    """A second replica does not count as ready for what the first has registered."""
    late = 'import time; import os\nif os.environ["WAMPY_INSTANCE"] == "adder:1":\n'
    late += "    time.sleep(600)\n"
    stack = make_stack(
        adder('replicas = 2\nstart_timeout = "1s"\nrestart_limit = 1'), {"adder": late + ADDER}
    )
    up = stack.wampy("up", "-d")
    assert up.returncode == 3
    assert "not ready within 1 s" in up.stderr
    assert "is not registered by this instance" in up.stderr
    assert stack.row("adder:0")["ready"]


def test_without_anything_to_ask_it_by_it_is_ready_as_it_runs(make_stack: StackMaker) -> None:
    stack = make_stack(f"[peers.idle]\ncommand = {shell('exec sleep 600')}\n").up()
    first = stack.row("idle:0")
    assert (first["state"], first["ready"]) == ("RUNNING", True)
    os.kill(first["pid"], signal.SIGKILL)
    stack.wait_ready("idle:0", but_not=first["pid"])


RARE = '{ interval = "10m", timeout = "1m", failures = 5 }'


def test_a_procedure_that_is_gone_makes_it_unready_at_once(make_stack: StackMaker) -> None:
    stack = make_stack(adder(heartbeat=RARE), {"adder": ADDER}).up()
    first, procedure = stack.pid("adder:0"), f"com.test.{stack.name}.add"
    with stack.session() as session:
        registration = session.call("wamp.registration.lookup", procedure)
        (callee,) = session.call("wamp.registration.list_callees", registration)
        session.call("wamp.registration.remove_callee", registration, callee)
    wait_until(lambda: not stack.row("adder:0")["ready"])
    row = stack.row("adder:0")
    assert (row["state"], row["pid"]) == ("RUNNING", first)
    assert row["reason"] == f"{procedure} is not registered"


def test_after_a_restart_of_the_router_it_is_ready_again(make_stack: StackMaker) -> None:
    stack = make_stack(adder(heartbeat=RARE), {"adder": ADDER}).up()
    first, router = stack.pid("adder:0"), stack.ps()["router"]["pid"]
    os.kill(router, signal.SIGKILL)
    wait_until(lambda: stack.ps()["router"]["pid"] not in (router, None))
    assert stack.wait_ready("adder:0")["pid"] == first


def test_what_hangs_is_replaced(make_stack: StackMaker) -> None:
    beat = 'heartbeat_procedure = "PREFIX.{index}.beat"'
    quick = '{ interval = "300ms", timeout = "400ms", failures = 2 }'
    stack = make_stack(adder(beat, heartbeat=quick), {"adder": ADDER}).up()
    first = stack.pid("adder:0")
    wait_until(lambda: stack.row("adder:0")["in_flight"] == 3)
    with stack.session() as session:
        session.call(f"com.test.{stack.name}.say", ready=False, reason="thinking")
        wait_until(lambda: stack.row("adder:0")["reason"] == "thinking")
        assert not stack.row("adder:0")["ready"]
        session.call(f"com.test.{stack.name}.say", ready=True)
    assert stack.wait_ready("adder:0")["pid"] == first
    call(stack, "hang")
    stack.wait_ready("adder:0", but_not=first)
    assert "2 heartbeats missed, it is hung or stopped" in stack.log()


def test_what_is_stopped_is_replaced(make_stack: StackMaker) -> None:
    beat = 'heartbeat_procedure = "PREFIX.{index}.beat"'
    quick = '{ interval = "300ms", timeout = "400ms", failures = 2 }'
    stack = make_stack(adder(beat, heartbeat=quick), {"adder": ADDER}).up()
    first = stack.pid("adder:0")
    os.kill(first, signal.SIGSTOP)
    stack.wait_ready("adder:0", but_not=first)


def test_a_rolling_restart_loses_no_call(make_stack: StackMaker) -> None:
    """Of a program that unregisters at SIGTERM: the replacement is ready before it gets that."""
    stack = make_stack(adder("replicas = 2"), {"adder": ADDER}).up()
    before = {stack.pid(f"adder:{index}") for index in range(2)}
    restart = stack.popen("restart", "adder")
    calls = 0
    with stack.session() as session:
        while restart.poll() is None:
            assert session.call(f"com.test.{stack.name}.add", calls, 1) == calls + 1
            calls += 1
    output, _ = restart.communicate()
    assert restart.returncode == 0, output
    assert calls > 0
    assert not before & {stack.pid(f"adder:{index}") for index in range(2)}


# ---------------------------------------------------------------------- jobs and ends


def test_a_job_is_done_by_its_exit_code(make_stack: StackMaker) -> None:
    peers = f"""
[peers.job]
command = {shell("echo made > made; exit 3")}
kind = "job"
success_exit_codes = [0, 3]
[peers.after]
command = {shell("cat made; exec sleep 600")}
depends_on = {{ job = "completed" }}
"""
    stack = make_stack(peers).up()
    row = stack.row("job:0")
    assert (row["state"], row["completed"], row["exit"]["code"]) == ("EXITED", True, 3)
    wait_until(lambda: "made" in stack.log("after-0.out"))
    assert stack.row("after:0")["restarts"] == 0


@pytest.mark.parametrize(("code", "text"), [(1, "3 starts in a row failed"), (78, "exit code 78")])
def test_what_cannot_run_is_fatal(make_stack: StackMaker, code: int, text: str) -> None:
    limit = 'restart_limit = 3\nbackoff = { initial = "10ms" }'
    stack = make_stack(f"[peers.bad]\ncommand = {shell(f'exit {code}')}\n{limit}\n")
    stack.wampy("up", "-d")
    wait_until(lambda: stack.row("bad:0")["state"] == "FATAL")
    row = stack.row("bad:0")
    assert text in row["reason"]
    assert row["exit"]["code"] == code
    assert row["restarts"] == (0 if code == 78 else 2)


STUBBORN = """
[peers.deaf]
command = %s
stop_grace = "700ms"
"""


def test_what_ignores_sigterm_is_killed_when_its_grace_is_over(make_stack: StackMaker) -> None:
    script = shell("trap '' TERM; echo deaf; while :; do sleep 1; done")
    stack = make_stack(STUBBORN % script).up()
    wait_until(lambda: "deaf" in stack.log("deaf-0.out"))
    began = time.monotonic()
    assert stack.wampy("stop", "deaf").returncode == 0
    assert 0.7 <= time.monotonic() - began < 5
    row = stack.row("deaf:0")
    assert (row["state"], row["exit"]["signal"]) == ("STOPPED", 9)
    assert "did not end within its grace after SIGTERM" in row["exit"]["cause"]


def test_what_double_forks_leaves_nothing_behind(make_stack: StackMaker) -> None:
    """A daemon lives as long as the program that has started it, and no longer."""
    script = shell("setsid --fork sleep 600; (sleep 601 &); echo $$; exec sleep 602")
    stack = make_stack(f"[peers.forks]\ncommand = {script}\n").up()
    first = stack.pid("forks:0")

    def sleepers() -> list[int]:
        lines = ((pid, Path(f"/proc/{pid}/cmdline")) for pid in stack.alive())
        return [pid for pid, line in lines if "sleep\x0060" in line.read_text()]

    stack.remember()
    wait_until(lambda: len(sleepers()) == 3)
    known = sleepers()
    time.sleep(0.3)  # nobody sweeps them away while it lives
    assert all(is_alive(pid) for pid in known)
    os.kill(first, signal.SIGKILL)
    stack.wait_ready("forks:0", but_not=first)
    wait_until(lambda: not any(is_alive(pid) for pid in known))


def test_a_daemon_that_leaves_its_starter_is_no_program(make_stack: StackMaker) -> None:
    stack = make_stack(
        f"[peers.daemon]\ncommand = {shell('setsid --fork sleep 600')}\nrestart = 'never'\n"
    )
    stack.wampy("up", "-d")
    wait_until(lambda: stack.row("daemon:0")["state"] == "EXITED")
    stack.remember()
    wait_until(lambda: not [pid for pid in stack.alive() if "sleep" in comm(pid)])


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("victim", ["supervisor_pid", "guard_pid"])
def test_nothing_is_left_when_the_top_is_killed(make_stack: StackMaker, victim: str) -> None:
    script = shell("sleep 600 & setsid sleep 601 & trap '' TERM; while :; do sleep 1; done")
    stack = make_stack(f"[peers.forks]\ncommand = {script}\n{adder()}", {"adder": ADDER}).up()
    stack.remember()
    os.kill(getattr(stack, victim), signal.SIGKILL)
    stack.wait_gone(2.0)


# ---------------------------------------------------------------------- not to be started


def test_a_program_that_is_not_there_is_a_fault(make_stack: StackMaker) -> None:
    peers = '[peers.a]\ncommand = ["no-such-program"]\n[peers.b]\ncommand = ["./b.sh"]\n'
    stack = make_stack(peers + "limits = { nofile = 99999999999 }\n")
    (stack.folder / "b.sh").write_text("")
    for command in (["check"], ["up", "-d"]):
        done = stack.wampy(*command)
        assert done.returncode == 2
        lines = done.stderr.splitlines()
        assert len(lines) == 3, lines
        assert "[peers.a] command: expected a program, got no-such-program, which is" in lines[0]
        assert "which may not be executed; chmod +x it" in lines[1]
        assert "[peers.b] limits.nofile: expected" in lines[2]
    assert not stack.alive()


def test_two_that_provide_one_procedure_are_a_fault(make_stack: StackMaker) -> None:
    stack = make_stack(adder() + adder().replace("peers.adder", "peers.twin"), {"adder": ADDER})
    for command in (["check"], ["up", "-d"]):
        done = stack.wampy(*command)
        assert done.returncode == 2
        assert "[peers.twin]" in done.stderr
        assert "which [peers.adder] declares already" in done.stderr


def test_a_program_that_has_gone_is_no_reason_to_fall_silent(make_stack: StackMaker) -> None:
    stack = make_stack('[peers.tool]\ncommand = ["./tool"]\nrestart_limit = 2\n')
    tool = stack.folder / "tool"
    tool.write_text("#!/bin/sh\nexec sleep 600\n")
    tool.chmod(0o700)
    stack.up()
    tool.unlink()
    os.kill(stack.pid("tool:0"), signal.SIGKILL)
    wait_until(lambda: stack.row("tool:0")["state"] == "FATAL")
    reason = "cannot be executed: No such file or directory"
    assert reason in stack.row("tool:0")["reason"]
    tool.write_text("#!/bin/sh\nexec sleep 600\n")
    tool.chmod(0o700)
    assert stack.wampy("start", "tool").returncode == 0


# ---------------------------------------------------------------------- other Routers


OWN = """
from wampy import Peer, rpc

class Own(Peer):
    @rpc("PREFIX.own")
    def own(self):
        return "own"
"""


@pytest.mark.parametrize("method", LOGINS)
def test_all_join_an_external_router_as_the_manifest_says(
    make_stack: StackMaker, builtin_router: RealRouter, method: str
) -> None:
    """The orchestrator, a program, a Peer of a class and the commands, by each method."""
    authid, secret = LOGINS[method]
    url = builtin_router.ticket_url
    how = (
        f'type = "external"\nurl = "{url}"\njoin = {{ authid = "{authid}", {method} = "{secret}" }}'
    )
    peers = adder() + '[peers.own]\napp = "own:Own"\n'
    stack = make_stack(peers, {"adder": ADDER, "own": OWN}, router=how).up()
    environ = environ_of(stack.pid("adder:0"))
    assert (environ["WAMPY_URL"], environ["WAMPY_AUTHID"]) == (url, authid)
    named = {"WAMPY_TICKET": secret}
    if method != "ticket":
        named = {"WAMPY_AUTHMETHOD": method, "WAMPY_SECRET": secret}
    names = ("WAMPY_TICKET", "WAMPY_AUTHMETHOD", "WAMPY_SECRET")
    assert {name: environ[name] for name in names if name in environ} == named
    assert stack.row("adder:0")["ready"]
    assert call(stack, "add", 1, 2) == 3
    assert stack.wampy("call", f"com.test.{stack.name}.own").stdout == '"own"\n'


def test_a_wrong_secret_is_told(make_stack: StackMaker, builtin_router: RealRouter) -> None:
    how = f'type = "external"\nurl = "{builtin_router.ticket_url}"\nstart_timeout = "2s"\n'
    how += 'join = { authid = "joan", wampcra = "mistaken" }'
    result = make_stack(adder(), {"adder": ADDER}, router=how).wampy("up", "-d")
    assert result.returncode != 0
    assert "mistaken" not in result.stdout + result.stderr
    assert "authentication" in result.stderr


def test_it_joins_crossbar(make_stack: StackMaker) -> None:
    stack = make_stack(adder(), {"adder": ADDER}, router="crossbar").up()
    assert environ_of(stack.pid("adder:0"))["WAMPY_AUTHID"] == "peer"
    assert call(stack, "add", 1, 2) == 3


def test_its_ticket_is_nobody_elses(make_stack: StackMaker) -> None:
    from wampy import Session

    stack = make_stack(adder(), {"adder": ADDER}).up()
    environ = environ_of(stack.pid("adder:0"))
    for authid in ("peer", "peer:adder:1#1", "peer:", "operator"):
        with pytest.raises(WampyError):
            Session(
                environ["WAMPY_URL"],
                authid=authid,
                ticket=environ["WAMPY_TICKET"],
                reconnect=False,
            ).begin()
