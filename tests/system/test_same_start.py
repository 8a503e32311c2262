"""The hundredth start of an Instance looks exactly like the first, however it is started."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from typing import Any

import pytest

from tests.support import wait_until
from tests.system.conftest import RunningStack, StackMaker
from wampy import Session
from wampy.errors import WampyError

#: What a process can see of how it was started.
STATE = """
import ctypes, os, resource

KINDS = ("SigBlk", "SigIgn", "SigCgt", "Umask", "NoNewPrivs", "Seccomp", "CapEff", "Groups")

def descriptors():
    found = {}
    for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            kind = os.readlink(f"/proc/self/fd/{fd}").partition(":[")[0]
            # Each incarnation writes its tracebacks to a file of its own.
            found[fd] = "tracebacks" if "/tracebacks/" in kind else kind
        except FileNotFoundError:
            pass  # that of the listing itself
    return found

def has_terminal():
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True

def prctl(option):
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(option, ctypes.byref(value), 0, 0, 0)
    return value.value

def state():
    with open("/proc/self/status") as file:
        status = dict(line.rstrip().split(":", 1) for line in file)
    return {
        "pid": os.getpid(),
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "limits": {
            name: resource.getrlimit(getattr(resource, name))
            for name in dir(resource) if name.startswith("RLIMIT_")
        },
        "descriptors": {str(fd): kind for fd, kind in descriptors().items()},
        "nice": os.nice(0),
        "scheduler": os.sched_getscheduler(0),
        "cpus": sorted(os.sched_getaffinity(0)),
        "leads session": os.getsid(0) == os.getpid(),
        "leads group": os.getpgrp() == os.getpid(),
        "terminal": has_terminal(),
        "parent": os.getppid(),
        "dies with parent by": prctl(2),
        "adopts": prctl(37),
        **{kind: status[kind].strip() for kind in KINDS},
    }
"""

PEERS = """
from state import state
from wampy import Peer, rpc

class Reporting(Peer):
    def on_start(self):
        self.began = state()  # before there is anything that others could ask for

class Forked(Reporting):
    @rpc("PREFIX.forked")
    def state(self):
        return self.began

class Executed(Reporting):
    @rpc("PREFIX.executed")
    def state(self):
        return self.began
"""

PROGRAM = """
import os, signal, sys
sys.path.insert(0, os.environ["FOLDER"])
from state import state
began = state()  # before a Session has descriptors of its own
from wampy import Session
session = Session(
    os.environ["WAMPY_URL"], authid=os.environ["WAMPY_AUTHID"], ticket=os.environ["WAMPY_TICKET"]
)
session.begin()
session.register("PREFIX.program", lambda: began, invoke="roundrobin")
signal.pause()
"""

MANIFEST = """
[defaults]
env = { FOLDER = "%s", MINE = "yes" }
backoff = { initial = "1ms", max = "1ms" }
restart_limit = 150
%s
[peers.forked]
app = "both:Forked"
[peers.executed]
app = "both:Executed"
start_method = "exec"
[peers.program]
command = %s
provides = ["PREFIX.program"]
"""
GIVEN = 'cwd = "sub"\numask = "027"\nlimits = { nofile = 200, core = 0, as = "8GiB" }'
#: How often each is started; that of a fork is short.
STARTS = {"forked": 100, "executed": 8, "program": 25}
#: What an incarnation has for itself.
OWN = ("pid",)
#: The variables that tell Instances from one another, and what runs in them.
OWN_VARIABLES = ("WAMPY_INSTANCE", "WAMPY_URL", "WAMPY_REALM", "WAMPY_AUTHID", "WAMPY_TICKET")
NURSERYS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@pytest.fixture(params=["", GIVEN], ids=["defaults", "given"])
def stack(request: pytest.FixtureRequest, make_stack: StackMaker) -> RunningStack:
    made = make_stack("", {"state": STATE, "both": PEERS, "program": PROGRAM})
    folder = made.folder
    (folder / "sub").mkdir()
    command = json.dumps([sys.executable, str(folder / "program.py")])
    text = MANIFEST % (folder, request.param, command)
    with (folder / "wampy.toml").open("a") as file:
        file.write(text.replace("PREFIX", f"com.test.{made.name}"))
    return made.up()


def state_of(session: Session, procedure: str, but_not: int | None = None) -> dict[str, Any]:
    """Ask for it, once another process than ``but_not`` answers."""

    def ask() -> dict[str, Any] | None:
        try:
            state: dict[str, Any] = session.call(procedure)
        except WampyError:
            return None  # not registered again yet
        return state if state["pid"] != but_not else None

    found = wait_until(ask, 20.0, f"{procedure} is not there again")
    assert found is not None
    return found


def without(state: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out what must differ; of an incarnation's authid and ticket, that they are there."""
    left = {name: value for name, value in state.items() if name not in (*OWN, *names)}
    left["environ"] = {
        name: "own" if name in ("WAMPY_AUTHID", "WAMPY_TICKET") else text
        for name, text in state["environ"].items()
    }
    return left


@pytest.mark.parametrize("name", STARTS)
def test_every_start_is_like_the_first(stack: RunningStack, name: str) -> None:
    procedure = f"com.test.{stack.name}.{name}"
    with stack.session() as session:
        first = last = state_of(session, procedure)
        for _ in range(STARTS[name] - 1):
            os.kill(last["pid"], signal.SIGKILL)
            last = state_of(session, procedure, but_not=last["pid"])
    assert last["descriptors"] == first["descriptors"]
    assert without(last) == without(first)
    assert stack.row(f"{name}:0")["incarnation"] == STARTS[name]


def test_all_ways_to_start_agree(stack: RunningStack) -> None:
    with stack.session() as session:
        forked, executed, program = (
            state_of(session, f"com.test.{stack.name}.{name}") for name in STARTS
        )
    for state in (forked, executed, program):
        for name in OWN_VARIABLES:
            state["environ"].pop(name, None)
        assert state["descriptors"]["0"] == "/dev/null"
        assert (state["leads session"], state["leads group"], state["terminal"]) == (
            True, True, False,
        )  # fmt: skip
        assert (state["dies with parent by"], state["adopts"]) == (signal.SIGKILL, 1)
        assert state["parent"] == stack.supervisor_pid
        assert int(state["SigBlk"], 16) == 0
    # multiprocess keeps a pipe to whoever forked, which has ended, and its standard input.
    more = Counter(forked["descriptors"].values()) - Counter(executed["descriptors"].values())
    assert more == Counter({"pipe": 2, "/dev/null": 1})
    assert without(executed, "descriptors") == without(forked, "descriptors")
    for name in NURSERYS:
        forked["environ"].pop(name, None)
    # A program has its own handlers and descriptors: none but the standard ones, at first.
    assert set(program["descriptors"]) == {"0", "1", "2"}
    different = ("descriptors", "SigCgt", "SigIgn")
    assert without(program, *different) == without(forked, *different)


def test_what_is_not_given_is_as_the_stack_was_started_with(stack: RunningStack) -> None:
    is_given = "nofile" in (stack.folder / "wampy.toml").read_text()
    with stack.session() as session:
        state = state_of(session, f"com.test.{stack.name}.forked")
    ours = list(resource.getrlimit(resource.RLIMIT_NOFILE))
    assert state["limits"]["RLIMIT_NOFILE"] == ([200, 200] if is_given else ours)
    if is_given:
        assert state["limits"]["RLIMIT_CORE"] == [0, 0]
        assert state["limits"]["RLIMIT_AS"] == [8 * 2**30, 8 * 2**30]
        assert (state["Umask"], state["cwd"]) == ("0027", str(stack.folder / "sub"))


def test_a_program_has_the_default_handlers(make_stack: StackMaker) -> None:
    """Also where whoever starts the stack ignores signals, as ``nohup`` and some CI do."""
    stack = make_stack('[peers.cat]\ncommand = ["sh", "-c", "cat /proc/self/status; sleep 600"]\n')
    ignored = (
        *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1),
        signal.SIGCHLD,
    )

    def ignore() -> None:
        for signum in ignored:
            signal.signal(signum, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGTERM))

    up = stack.popen("up", "-d", preexec_fn=ignore)
    assert up.wait(30) == 0
    up.communicate()

    def status() -> dict[str, str]:
        lines = (line.partition("Sig")[2] for line in stack.log("cat-0.out").splitlines())
        return dict(line.split(":\t") for line in lines if ":\t" in line)

    wait_until(lambda: "Cgt" in status())
    # The C library keeps two signals to itself: GNU make's children have them ignored, for good.
    changeable = sum(1 << (number - 1) for number in signal.valid_signals())
    assert {int(status()[kind], 16) & changeable for kind in ("Blk", "Ign", "Cgt")} == {0}
    # The Router takes its SIGTERM too, and what ends is seen: nothing waits to kill.
    os.kill(stack.pid("cat:0"), signal.SIGKILL)
    wait_until(lambda: stack.row("cat:0")["restarts"] == 1)
    began = time.monotonic()
    assert stack.wampy("down").returncode == 0
    assert time.monotonic() - began < 15
