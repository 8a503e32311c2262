"""`command` Peers: programs in any language, over the built-in Router; and limits of processes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control.client import ControlClient
from tests.support import wait_until
from tests.system.conftest import RunningStack, StackMaker

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / ".venv-clients" / "node_modules"
SCRIPT = Path(__file__).with_name("foreign_peer.js")
NODE = """
[peers.node]
command = ["node", "SCRIPT", "PREFIX.who"]
provides = ["PREFIX.who"]
heartbeat = { interval = "300ms", timeout = "1s", failures = 3 }
"""


@pytest.fixture
def make_node(make_stack: StackMaker, monkeypatch: pytest.MonkeyPatch) -> StackMaker:
    """As ``make_stack``; ``SCRIPT`` is a Peer for Node, which finds autobahn-js."""
    assert shutil.which("node"), "Node is needed; see CONTRIBUTING.md"
    assert NODE_MODULES.is_dir(), "make setup installs autobahn-js"
    monkeypatch.setenv("NODE_PATH", str(NODE_MODULES))

    def make(peers: str, *given: Any, **options: Any) -> RunningStack:
        return make_stack(peers.replace("SCRIPT", str(SCRIPT)), *given, **options)

    return make


def who(stack: RunningStack) -> dict[str, Any]:
    with stack.session() as session:
        found: dict[str, Any] = session.call(f"com.test.{stack.name}.who")
        return found


def test_a_node_peer(make_node: StackMaker) -> None:
    stack = make_node(NODE).up()
    row = stack.row("node:0")
    assert (row["state"], row["ready"]) == ("RUNNING", True)
    assert who(stack) == {"pid": row["pid"], "instance": "node:0"}
    assert "registered" in stack.wampy("logs", "node").stdout
    secrets = stack.run_dir.tickets.read_text()
    command_line = Path(f"/proc/{row['pid']}/cmdline").read_text()
    assert not [word for word in command_line.split("\0") if len(word) > 20 and word in secrets]
    os.kill(row["pid"], signal.SIGKILL)
    again = stack.wait_ready("node:0", but_not=row["pid"])
    assert who(stack)["pid"] == again["pid"]
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_it_is_ready_when_its_own_session_has_registered_what_it_provides(
    make_node: StackMaker,
) -> None:
    # The second one says that it provides what only the first one registers.
    liar = NODE.replace("peers.node", "peers.liar").replace('"PREFIX.who"]\np', '"PREFIX.x"]\np')
    stack = make_node(NODE + liar.replace("heart", 'start_timeout = "2s"\nheart'))
    result = stack.wampy("up", "-d", "--timeout", "15s")
    assert result.returncode == 3
    assert stack.row("node:0")["ready"]
    row = stack.row("liar:0")
    assert not row["ready"]
    assert f"not registered: com.test.{stack.name}.who" in stack.log()


def test_replicas_are_rolled_one_after_the_other(make_node: StackMaker) -> None:
    stack = make_node(NODE + "replicas = 2\n").up()
    before = {row["pid"] for row in stack.ps()["instances"]}
    assert {who(stack)["pid"] for _ in range(4)} == before
    result = stack.wampy("restart", "node")
    assert result.returncode == 0, result.stderr
    after = {row["pid"] for row in stack.ps()["instances"]}
    assert not before & after
    assert {who(stack)["pid"] for _ in range(4)} == after


def test_what_is_not_registered_any_more_is_unready(make_node: StackMaker) -> None:
    stack = make_node(NODE).up()
    uri = f"com.test.{stack.name}.who"
    with stack.session() as session:
        registration = session.call("wamp.registration.lookup", uri)
        (callee,) = session.call("wamp.registration.list_callees", registration)
        session.call("wamp.registration.remove_callee", registration, callee)
    wait_until(lambda: not stack.row("node:0")["ready"])
    assert stack.row("node:0")["reason"] == f"not registered: {uri}"


def test_a_heartbeat_procedure_that_hangs(make_node: StackMaker) -> None:
    beating = NODE.replace('"PREFIX.who"]\np', '"PREFIX.who", "PREFIX.beat.INDEX"]\np')
    stack = make_node(beating + 'heartbeat_procedure = "PREFIX.beat.{index}"\nreplicas = 2\n').up()
    pids = {row["pid"] for row in stack.ps()["instances"]}
    with stack.session() as session:
        session.call(f"com.test.{stack.name}.who.hang")

    def one_is_replaced() -> bool:
        rows = stack.ps()["instances"]
        return all(row["ready"] for row in rows) and len(pids & {row["pid"] for row in rows}) == 1

    wait_until(one_is_replaced, 20)
    assert "3 heartbeats missed" in stack.log()


def test_a_job_and_its_exit_codes(make_stack: StackMaker) -> None:
    peers = """
    [peers.good]
    command = ["sh", "-c", "echo done; exit 3"]
    kind = "job"
    success_exit_codes = [3]
    [peers.bad]
    command = ["sh", "-c", "exit 4"]
    kind = "job"
    restart = "never"
    [peers.after]
    command = ["sleep", "600"]
    depends_on = { good = "completed" }
    """
    stack = make_stack(peers)
    assert stack.wampy("up", "-d").returncode == 3
    assert stack.row("good:0")["completed"]
    assert stack.row("bad:0")["state"] == "EXITED"
    assert stack.row("bad:0")["exit"]["code"] == 4
    assert stack.row("after:0")["ready"]


def test_one_that_ignores_sigterm_gets_its_grace_and_then_sigkill(make_stack: StackMaker) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    stack = make_stack(f'[peers.deaf]\ncommand = ["sh", "-c", "{script}"]\nstop_grace = "0.3s"\n')
    stack.up()
    result = stack.wampy("stop", "deaf", "--timeout", "20s")
    assert result.returncode == 0, result.stderr
    assert stack.row("deaf:0")["exit"]["signal"] == signal.SIGKILL
    assert "did not end within its grace" in stack.row("deaf:0")["exit"]["cause"]


def test_what_it_leaves_behind_is_ended(make_stack: StackMaker) -> None:
    script = "setsid --fork sleep 600; setsid --fork sleep 600; exec sleep 600"
    stack = make_stack(f'[peers.parent]\ncommand = ["sh", "-c", "{script}"]\n').up()
    wait_until(lambda: len([p for p in stack.alive() if _runs(p, "sleep")]) == 3)
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    stack.wait_gone()


def _runs(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except OSError:
        return False


def test_a_crash_loop_ends_fatal_and_78_at_once(make_stack: StackMaker) -> None:
    peers = """
    [peers.loop]
    command = ["sh", "-c", "exit 1"]
    restart_limit = 3
    backoff = { initial = "10ms" }
    [peers.wrong]
    command = ["sh", "-c", "exit 78"]
    """
    stack = make_stack(peers)
    assert stack.wampy("up", "-d").returncode == 3
    wait_until(lambda: stack.row("loop:0")["state"] == "FATAL")
    assert stack.row("wrong:0")["restarts"] == 0
    assert stack.row("wrong:0")["state"] == "FATAL"


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ('command = ["no-such-program"]', "expected a program in PATH, got"),
        ('command = ["./peers.py"]', "expected an executable file, got"),
        ('command = ["sh"]\napp = "peers:Echo"', "app: expected only without command"),
        ('command = ["sh"]\nqueue = 5', "queue: expected only without command"),
        ('app = "peers:Echo"\nprovides = ["a.b"]', "provides: expected only with command"),
        ("command = []", "command: expected a list of strings"),
        (
            'command = ["sh"]\nreplicas = 2\nheartbeat_procedure = "a.b"',
            "heartbeat_procedure: expected {index} in it",
        ),
        ('app = "peers:Echo"\nlimits = { nofiles = 1 }', 'unknown limit; did you mean "nofile"?'),
        ('app = "peers:Echo"\nlimits = { core = "x" }', 'expected a number, a size or "unlimited"'),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    make_stack: StackMaker, peer: str, said: str
) -> None:
    stack = make_stack(f"[peers.one]\n{peer}\n")
    for command in ("check", "up"):
        result = stack.wampy(command)
        assert result.returncode == 2
        assert said in result.stderr
        assert "wampy.toml:" in result.stderr


#: Everything that a process is given, as it sees it itself.
TELL = """
import json, os, resource, signal, sys

def state():
    names = [n for n in dir(resource) if n.startswith("RLIMIT_")]
    env = dict(os.environ)
    blocked = [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
    ignored = [int(s) for s in signal.valid_signals()
               if s not in (9, 19) and signal.getsignal(s) is signal.SIG_IGN]
    umask = os.umask(0)
    os.umask(umask)
    return {
        "env": env, "cwd": os.getcwd(), "umask": umask, "nice": os.nice(0),
        "limits": {n: resource.getrlimit(getattr(resource, n)) for n in names},
        "blocked": blocked, "ignored": ignored,
        "leads": [os.getpid() == os.getpgid(0), os.getpid() == os.getsid(0)],
        "stdin": os.readlink("/proc/self/fd/0"),
        "fds": sum(1 for fd in os.listdir("/proc/self/fd") if int(fd) > 2),
    }
"""
TELLER = """
from wampy import Peer, rpc
import tell
class Teller(Peer):
    @rpc("PREFIX.NAME")
    def tell(self):
        return tell.state()
"""
PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import tell
print(json.dumps(tell.state()), flush=True)
time.sleep(600)
"""
SETTINGS = 'umask = "027"\ncwd = "deep"\nenv = { COLOUR = "blue" }\n'
SETTINGS += 'limits = { nofile = 300, core = 0, as = "8GiB" }\n'


def test_the_hundredth_start_equals_the_first(make_stack: StackMaker) -> None:
    peers = (
        f'[peers.fork]\napp = "forked:Teller"\nrestart_limit = "off"\n'
        f"backoff = {{ initial = 0, max = 0 }}\n{SETTINGS}"
        f'[peers.exec]\napp = "execed:Teller"\nstart_method = "exec"\n{SETTINGS}'
        f'[peers.program]\ncommand = ["{sys.executable}", "program.py", "HERE"]\n{SETTINGS}'
    )
    modules = {
        "tell": TELL,
        "forked": TELLER.replace("NAME", "fork"),
        "execed": TELLER.replace("NAME", "exec"),
    }
    stack = make_stack(peers, modules)
    (stack.folder / "deep").mkdir()
    (stack.folder / "deep" / "program.py").write_text(textwrap.dedent(PROGRAM))
    manifest = stack.folder / "wampy.toml"
    manifest.write_text(manifest.read_text().replace("HERE", str(stack.folder)))
    stack.up()
    first = _told(stack, "fork")
    assert first["umask"] == 0o027
    assert first["cwd"] == str((stack.folder / "deep").resolve())
    assert first["env"]["COLOUR"] == "blue"
    assert first["limits"]["RLIMIT_NOFILE"] == [300, 300]
    assert first["limits"]["RLIMIT_AS"] == [8 * 2**30, 8 * 2**30]
    assert (first["blocked"], first["leads"], first["stdin"]) == ([], [True, True], "/dev/null")
    client = ControlClient(stack.run_dir.control)

    def pid_now() -> int | None:
        row = next(row for row in client.ps()["instances"] if row["instance"] == "fork:0")
        return row["pid"] if row["ready"] else None

    for _ in range(99):
        pid = pid_now()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        def is_another(old: int = pid) -> bool:
            return pid_now() not in (old, None)

        wait_until(is_another)
    stack.wait_ready("fork:0")
    assert stack.row("fork:0")["incarnation"] == 100
    assert _told(stack, "fork") == first
    _assert_alike(_told(stack, "exec"), first, but=("WAMPY_INSTANCE",))
    (line,) = [
        line for line in stack.wampy("logs", "program").stdout.splitlines() if '"umask"' in line
    ]
    _assert_alike(
        json.loads(line.partition("| ")[2]),
        first,
        but=("WAMPY_INSTANCE", "WAMPY_URL", "WAMPY_REALM", "WAMPY_AUTHID", "WAMPY_TICKET"),
    )


def _told(stack: RunningStack, name: str) -> dict[str, Any]:
    with stack.session() as session:
        told: dict[str, Any] = session.call(f"com.test.{stack.name}.{name}")
        return told


def _assert_alike(one: dict[str, Any], other: dict[str, Any], but: tuple[str, ...]) -> None:
    """The same but for variables that must differ, and descriptors of our own."""
    #: Set for what imports numbers; see ``nursery``.
    threads = [name for name in {**one["env"], **other["env"]} if name.endswith("_NUM_THREADS")]
    environments = [
        {k: v for k, v in each["env"].items() if k not in (*but, *threads)} for each in (one, other)
    ]
    assert environments[0] == environments[1]
    for key in ("cwd", "umask", "nice", "limits", "blocked", "leads", "stdin"):
        assert one[key] == other[key], key


def test_without_limits_a_peer_has_those_of_the_shell(make_stack: StackMaker) -> None:
    peers = '[peers.fork]\napp = "forked:Teller"\n'
    modules = {"tell": TELL, "forked": TELLER.replace("NAME", "fork")}
    stack = make_stack(peers, modules)
    stack.up()
    limits = _told(stack, "fork")["limits"]
    for name, value in limits.items():
        assert value == list(resource.getrlimit(getattr(resource, name))), name
