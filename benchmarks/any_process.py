"""Any one process of a stack is killed with -9 at random moments of up, run, reload and down.

The Peers have children in sessions of their own and daemons; at some moments an Instance is
stopped, or the Router. Where the stack ends by it, nothing of it may be left after 2 s; where it
lives on, it must be well again; and always the next ``up`` and ``down`` must work.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import arguments, say, temporary_folder, wait_for, write_rows
from benchmarks.engines import wampy_program
from orchestrator.control.client import ControlClient
from orchestrator.errors import OrchestratorError
from orchestrator.processes import is_alive, parent_of, processes_marked
from orchestrator.rundir import RunDir

MOMENTS = ("up", "run", "reload", "down")
#: What marks every process of one try, Peers' children and commands included.
MARK = "WAMPY_ANY_PROCESS"
#: Seconds after which nothing may be left of a stack that has ended.
LEFT_S = 2.0
PEER = """
import subprocess
from wampy import Peer, rpc

VERSION = "{version}"

class Breeding(Peer):
    def on_start(self):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        subprocess.Popen(["setsid", "--fork", "sleep", "600"])

    @rpc
    def echo(self, value):
        return value

class Other(Breeding):
    prefix = "other."
"""
MANIFEST = """
[stack]
name = "any"
[router]
port = 0
[defaults]
stop_grace = "1s"
heartbeat = { interval = "500ms", timeout = "1s" }
[peers.one]
app = "any_peer:Breeding"
replicas = 3
[peers.other]
app = "any_peer:Other"
depends_on = ["one"]
"""


@dataclass
class Row:
    """What came of the kills at one kind of moment."""

    moment: str
    killed: list[str] = field(default_factory=list)
    ended: int = 0
    gone_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        kinds = sorted(set(self.killed))
        killed = ", ".join(f"{self.killed.count(kind)} {kind}" for kind in kinds)
        worst = f"{max(self.gone_s):.2f} s" if self.gone_s else "–"
        right = f"{len(self.killed) - len(self.wrong)} of {len(self.killed)}"
        return [self.moment, killed, str(self.ended), worst, right]


class Try:
    """One stack in a folder of its own, marked."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.mark = secrets.token_hex(8)
        self.run_dir = RunDir(folder / ".wampy")
        self.client = ControlClient(self.run_dir.control)
        self.write_code("first")
        (folder / "wampy.toml").write_text(MANIFEST)

    def write_code(self, version: str) -> None:
        (self.folder / "any_peer.py").write_text(PEER.format(version=version))

    def begin(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [wampy_program(), *argv],
            cwd=self.folder,
            env={**os.environ, MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *argv: str) -> int:
        return self.begin(*argv).wait(120)

    def alive(self) -> list[int]:
        return [pid for pid in processes_marked(MARK, self.mark) if is_alive(pid)]

    def names(self) -> dict[int, str]:
        """Say what each process is, as far as the stack itself knows."""
        state = self.run_dir.read_state()
        known = {state.get("pid"): "supervisor"}
        if state.get("pid"):
            known[parent_of(state["pid"])] = "guard"
        try:
            snapshot = self.client.ps(timeout_s=2.0)
        except (OrchestratorError, OSError):
            snapshot = {"router": {"pid": None}, "instances": []}
        known[snapshot["router"]["pid"]] = "Router"
        known |= {row["pid"]: "Instance" for row in snapshot["instances"]}
        return {pid: known.get(pid) or _kind(pid) for pid in self.alive()}

    def is_running(self) -> bool:
        try:
            self.client.ps(timeout_s=5.0)
        except (OrchestratorError, OSError):
            return False
        return True

    def is_well(self) -> bool:
        try:
            snapshot = self.client.ps(timeout_s=5.0)
        except (OrchestratorError, OSError):
            return False
        return all(row["ready"] for row in snapshot["instances"])

    def stop_some(self) -> None:
        """Stop an Instance, or the Router, or neither."""
        try:
            snapshot = self.client.ps(timeout_s=2.0)
        except (OrchestratorError, OSError):
            return
        pids = [row["pid"] for row in snapshot["instances"] if row["pid"]]
        stopped = self.chance.choice([[], pids[:1], [snapshot["router"]["pid"]]])
        for pid in stopped:
            if pid:
                os.kill(pid, signal.SIGSTOP)


def _kind(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "another"
    for text, kind in (("nursery", "nursery"), ("sleep", "a Peer's child"), ("guard", "logger")):
        if text in line:
            return kind
    return "command" if "wampy" in line else "another"


def _is(pid: int, command: subprocess.Popen[bytes] | None) -> bool:
    return command is not None and pid == command.pid


def one(this: Try, row: Row) -> None:
    """Kill one process at one moment, and look what comes of it."""
    chance, command = this.chance, None
    if row.moment == "up":
        command = this.begin("up", "-d")
        time.sleep(chance.uniform(0.02, 1.2))
    else:
        if this.run("up", "-d") != 0:
            row.wrong.append("the first up failed")
            return
        this.stop_some()
        if row.moment == "reload":
            this.write_code(str(chance.random()))
            command = this.begin("reload")
        elif row.moment == "down":
            command = this.begin("down")
        time.sleep(chance.uniform(0.0, 0.6))
    names = this.names()
    began = time.monotonic()
    if names:
        kind = chance.choice(sorted(set(names.values())))  # there are more children than guards
        pid = chance.choice(sorted(pid for pid in names if names[pid] == kind))
        try:
            os.kill(pid, signal.SIGKILL)
            row.killed.append(kind)
        except ProcessLookupError:
            row.killed.append("one that had just ended")
    else:
        row.killed.append("none was left")
    if row.killed[-1] in ("guard", "supervisor"):
        # Without one of these a stack ends, whatever it was about to do.
        row.ended += 1
        while any(pid for pid in this.alive() if not _is(pid, command)):
            if time.monotonic() - began > 30:
                break
            time.sleep(0.01)
        row.gone_s.append(time.monotonic() - began)
        if row.gone_s[-1] > LEFT_S:
            row.wrong.append(f"{row.killed[-1]}: something was left for {row.gone_s[-1]:.2f} s")
    if command is not None:
        command.wait(120)
    wait_for(lambda: this.is_well() or not this.is_running(), 60, "all is well again", 0.05)
    if not this.is_running():
        end = time.monotonic() + LEFT_S
        while this.alive() and time.monotonic() < end:
            time.sleep(0.01)
        if this.alive():
            row.wrong.append(f"{row.killed[-1]}: left {this.names()}")
    if this.run("up", "-d") != 0:
        row.wrong.append(f"{row.killed[-1]}: the next up failed")
    if this.run("down") != 0:
        row.wrong.append(f"{row.killed[-1]}: the next down failed")
    end = time.monotonic() + LEFT_S
    while this.alive() and time.monotonic() < end:
        time.sleep(0.01)
    if this.alive():
        row.wrong.append(f"{row.killed[-1]}: left after down: {this.names()}")


def main() -> int:
    options = arguments(__doc__, times=30, seed=1)
    chance = random.Random(options.seed)
    rows = [Row(moment) for moment in MOMENTS]
    for row in rows:
        for _ in range(options.times):
            with temporary_folder() as folder:
                this = Try(folder, chance)
                try:
                    one(this, row)
                finally:
                    for pid in this.alive():
                        os.kill(pid, signal.SIGKILL)
        say(f"   {row.cells()} {row.wrong}")
    write_rows(
        "any_process",
        "Any one process killed with -9",
        f"{options.times} random moments of each kind; 4 Instances with children in sessions of "
        "their own, at times one stopped, or the Router. Right: nothing was left 2 s after the "
        "end, or all was well again; and the next `up` and `down` worked.",
        ["during", "killed", "stack ended", "gone after, worst", "right"],
        [row.cells() for row in rows],
    )
    for row in rows:
        for wrong in row.wrong:
            say(f"wrong, {row.moment}: {wrong}")
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
