"""Real stacks: `wampy up -d` on manifests of a test's own, and nothing left of them afterwards."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.processes import children_of, is_alive, processes_marked
from orchestrator.rundir import RunDir
from orchestrator.stack import operator_session
from tests.conftest import short_folder
from tests.support import TIME_SCALE, wait_until
from wampy import Session

_numbers = itertools.count()

#: The command as it is installed beside this interpreter.
WAMPY = str(Path(sys.executable).with_name("wampy"))

#: A Peer for most tests. ``PREFIX`` becomes the stack's own, since all share one Router.
PEERS = '''
import os, signal, subprocess, sys, threading, time
from wampy import Peer, rpc

class Echo(Peer):
    prefix = "PREFIX."

    @rpc
    def pid(self):
        return os.getpid()

    @rpc
    def echo(self, value=None):
        return value

    @rpc
    def slow(self, seconds):
        time.sleep(seconds)
        return os.getpid()

    @rpc
    def say(self, text, stream="stdout"):
        print(text, file=getattr(sys, stream))
        return len(text)

    @rpc
    def spin(self):
        """Hold the GIL in C: a regular expression that never ends."""
        import re
        re.match(r"(a*)*b", "a" * 40)

    @rpc
    def fork_children(self):
        """A child in a session of its own, a stopped one, and a daemon whose parent has gone."""
        own = subprocess.Popen(["sleep", "600"], start_new_session=True)
        stopped = subprocess.Popen(["sleep", "600"])
        os.kill(stopped.pid, signal.SIGSTOP)
        daemon = subprocess.Popen(["setsid", "--fork", "sleep", "600"])
        return [own.pid, stopped.pid, daemon.pid]
'''


class RunningStack:
    """One manifest in a folder of its own, and the commands on it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.run_dir = RunDir(folder / ".wampy")
        self.tokens: set[str] = set()

    def wampy(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        result = subprocess.run(
            [WAMPY, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s * TIME_SCALE,
            stdin=subprocess.DEVNULL,
        )
        self.remember()
        return result

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [WAMPY, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def remember(self) -> None:
        """Keep the mark of the run, to find what it leaves behind."""
        token = self.run_dir.read_state().get("run")
        if token:
            self.tokens.add(token)

    def up(self) -> RunningStack:
        result = self.wampy("up", "-d")
        assert result.returncode == 0, result.stderr + self.log()
        return self

    def ps(self) -> dict[str, Any]:
        result = self.wampy("ps", "--json")
        assert result.returncode == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def row(self, instance: str) -> dict[str, Any]:
        return next(row for row in self.ps()["instances"] if row["instance"] == instance)

    def pid(self, instance: str) -> int:
        pid = self.row(instance)["pid"]
        assert isinstance(pid, int)
        return pid

    def session(self) -> Session:
        return operator_session(self.run_dir)

    def log(self, name: str = "stack") -> str:
        path = self.run_dir.logs / (f"{name}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def supervisor_pid(self) -> int:
        pid = self.run_dir.read_state()["pid"]
        assert isinstance(pid, int)
        return pid

    @property
    def guard_pid(self) -> int:
        stat = Path(f"/proc/{self.supervisor_pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[1])

    def child_named(self, text: str) -> int:
        """Give the child of the supervisor whose command line has ``text``."""
        for pid in children_of(self.supervisor_pid):
            if text in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
                return pid
        raise AssertionError(f"the supervisor has no child with {text!r}")

    @property
    def logger_pid(self) -> int:
        """The first child: forked from the supervisor, with its command line."""
        return next(
            pid
            for pid in children_of(self.supervisor_pid)
            if "orchestrator.guard" in Path(f"/proc/{pid}/cmdline").read_text()
        )

    def alive(self) -> list[int]:
        """Every process of this stack that is alive."""
        return [
            pid
            for token in self.tokens
            for pid in processes_marked("WAMPY_RUN", token)
            if is_alive(pid)
        ]

    def wait_gone(self, timeout_s: float = 5.0) -> None:
        """Wait until no process of the stack is left."""
        self.remember()

        def look() -> bool:
            return not self.alive()

        wait_until(look, timeout_s, f"left of {self.name}: {self.describe_alive()}")

    def describe_alive(self) -> str:
        found = []
        for pid in self.alive():
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                found.append(f"{pid} {line}")
        return "; ".join(found)

    def wait_ready(self, instance: str, *, but_not: int | None = None) -> dict[str, Any]:
        """Wait until an Instance is ready, in another process than ``but_not``."""

        def look() -> dict[str, Any] | None:
            row = self.row(instance)
            return row if row["ready"] and row["pid"] != but_not else None

        found = wait_until(look, 20.0, f"{instance} is not ready: {self.log()[-2000:]}")
        assert found is not None
        return found

    def close(self) -> None:
        self.remember()
        if self.run_dir.read_state():
            with suppress(subprocess.TimeoutExpired):
                self.wampy("down", "--timeout", "20s", timeout_s=40.0)
        for pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


StackMaker = Callable[..., RunningStack]


@pytest.fixture
def make_stack(request: pytest.FixtureRequest) -> Iterator[StackMaker]:
    """Write a manifest and its modules: ``make_stack(peers_toml, modules, router="builtin")``.

    ``router`` is ``builtin``, ``crossbar``, ``external`` (a Crossbar that runs already), or the
    keys of ``[router]``. The name ``PREFIX`` in both becomes a URI prefix of this stack alone.
    """
    with short_folder() as base:
        made: list[RunningStack] = []

        def make(
            peers: str,
            modules: dict[str, str] | None = None,
            *,
            router: str = "builtin",
            stack: str = "",
        ) -> RunningStack:
            name = f"t{os.getpid()}_{next(_numbers)}"
            folder = base / name
            folder.mkdir()
            prefix = f"com.test.{name}"
            how = router
            if router == "builtin":
                how = "port = 0"
            elif router == "crossbar":
                executable = request.getfixturevalue("crossbar_executable")
                how = f'type = "crossbar"\nport = 0\ncommand = ["{executable}"]'
            elif router == "external":
                url = request.getfixturevalue("crossbar").unix_url
                how = f'type = "external"\nurl = "{url}"'
            head = f'[stack]\nname = "{name}"\n{textwrap.dedent(stack)}\n[router]\n{how}\n'
            (folder / "wampy.toml").write_text(
                head + textwrap.dedent(peers).replace("PREFIX", prefix)
            )
            for module, text in {"peers": PEERS, **(modules or {})}.items():
                source = textwrap.dedent(text).replace("PREFIX", prefix)
                (folder / f"{module}.py").write_text(source)
            made.append(RunningStack(folder, name))
            return made[-1]

        try:
            yield make
        finally:
            for stack in made:
                stack.close()


#: One Echo with heartbeats quick enough for a test.
ECHO = """
[peers.echo]
app = "peers:Echo"
heartbeat = { interval = "200ms", timeout = "200ms", failures = 2 }
"""

#: One Echo whose heartbeats a busy machine does not miss: for tests in which nobody is replaced.
STEADY = """
[peers.echo]
app = "peers:Echo"
heartbeat = { interval = "300ms", timeout = "3s", failures = 5 }
"""
