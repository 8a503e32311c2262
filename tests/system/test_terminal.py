"""`wampy up` on a terminal, and what becomes of it when the terminal is stopped or closed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.processes import is_alive
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import STEADY, WAMPY, RunningStack, StackMaker
from tests.system.test_signals import is_ready

#: Starts only when a file is there, so that somebody has to wait for it.
HELD = """
import time
from pathlib import Path
from wampy import Peer

class Held(Peer):
    def on_start(self):
        while not Path("go").exists():
            time.sleep(0.02)
"""

ENDS = """
import os, sys
from wampy import Peer

class Job(Peer):
    class Config:
        how: str

    def run(self):
        exec(self.config.how)
"""


class Terminal:
    """A command on a terminal of its own, which is its controlling one."""

    def __init__(self, stack: RunningStack, *arguments: str, term: str = "xterm") -> None:
        self._master, slave = pty.openpty()
        attach = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        attach += "os.execv(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", attach, WAMPY, *arguments],
            cwd=stack.folder,
            env={**os.environ, "TERM": term},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                text = os.read(self._master, 65536)
            except OSError:
                return
            self.output += text.decode(errors="replace")
            if not text:
                return

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        """As closing its window does: SIGHUP, and no write succeeds any more."""
        if self._master < 0:
            return
        os.killpg(self.process.pid, signal.SIGHUP)
        master, self._master = self._master, -1
        # The reading thread holds the terminal open until it is woken.
        os.close(master)

    def wait(self) -> int:
        return self.process.wait(30 * TIME_SCALE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._thread.join(10)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        terminal.end()


def test_a_terminal_shows_what_is_waited_for(
    make_stack: StackMaker, terminals: list[Terminal]
) -> None:
    held = '[peers.held]\napp = "held:Held"\n'
    stack = make_stack(STEADY + 'depends_on = ["held"]\n' + held, {"held": HELD})
    terminal = Terminal(stack, "up")
    terminals.append(terminal)
    line = "\r\x1b[Kwampy: 0 of 2 ready; waiting for held:0 STARTING"
    wait_until(lambda: line in terminal.output, 20.0)
    (stack.folder / "go").touch()
    wait_until(lambda: "2 Instances ready" in terminal.output, 20.0)
    wait_until(lambda: is_ready(stack))
    terminal.type("\x03")
    assert terminal.wait() == 130
    terminal.end()
    # One line a transition, and nothing of the status is left on the screen.
    rows = screen(terminal.output)
    for instance in ("echo:0", "held:0"):
        for state in ("STARTING", "RUNNING, ready", "STOPPING", "STOPPED"):
            shown = [row for row in rows if row.endswith(f"{instance}: {state}")]
            assert len(shown) == 1, (instance, state, rows)
    assert not [row for row in rows if "waiting for" in row]
    assert rows[-1] == f"wampy: {stack.name} is down"
    stack.wait_gone()


def screen(output: str) -> list[str]:
    """Give the rows as somebody sees them, without colours."""
    import re

    text = re.sub(r"\x1b\[\d*m", "", output).replace("\r\n", "\n")
    rows = [row.rpartition("\r\x1b[K")[2] for row in text.split("\n")]
    return [row for row in rows if row]


@pytest.mark.parametrize("arguments", [["up"], ["up", "-d"]])
def test_what_is_no_terminal_gets_plain_lines(make_stack: StackMaker, arguments: list[str]) -> None:
    stack = make_stack(STEADY)
    process = stack.popen(*arguments)
    wait_until(lambda: is_ready(stack), 20.0)
    if "-d" not in arguments:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30 * TIME_SCALE)
    assert "1 Instance ready" in output
    assert "\x1b" not in output
    assert "\r" not in output
    starts = [line for line in output.splitlines() if "echo:0" in line and "STARTING" in line]
    assert len(starts) == 1, output


def test_a_closed_terminal_harms_nothing(make_stack: StackMaker, terminals: list[Terminal]) -> None:
    """The stack lives on, with who started it; a later ``down`` ends both."""
    stack = make_stack(STEADY)
    terminal = Terminal(stack, "up")
    terminals.append(terminal)
    wait_until(lambda: is_ready(stack), 20.0)
    stack.remember()
    pid = stack.pid("echo:0")
    terminal.close()
    os.kill(pid, signal.SIGKILL)
    stack.wait_ready("echo:0", but_not=pid)
    assert is_alive(terminal.process.pid)
    assert stack.wampy("down").returncode == 0
    assert terminal.wait() == 0
    stack.wait_gone()


def test_a_terminal_that_is_closed_while_it_starts(
    make_stack: StackMaker, terminals: list[Terminal]
) -> None:
    stack = make_stack(STEADY)
    terminal = Terminal(stack, "up")
    terminals.append(terminal)
    wait_until(lambda: stack.run_dir.lock.exists(), 20.0)
    terminal.close()
    wait_until(lambda: is_ready(stack), 20.0)


def test_closing_the_terminal_of_who_only_looks_on_ends_that(
    make_stack: StackMaker, terminals: list[Terminal]
) -> None:
    stack = make_stack(STEADY).up()
    terminal = Terminal(stack, "up")
    terminals.append(terminal)
    wait_until(lambda: "1 Instance ready" in terminal.output, 20.0)
    terminal.close()
    assert terminal.wait() == 0
    assert stack.row("echo:0")["ready"]


def test_a_stopped_foreground_holds_up_nothing(
    make_stack: StackMaker, terminals: list[Terminal]
) -> None:
    """Ctrl-Z: the stack does not stop with it, and it shows later what it has missed."""
    stack = make_stack(STEADY)
    terminal = Terminal(stack, "up")
    terminals.append(terminal)
    wait_until(lambda: is_ready(stack), 20.0)
    os.kill(terminal.process.pid, signal.SIGSTOP)
    with stack.session() as session:
        session.call(f"com.test.{stack.name}.say", "said meanwhile")
        pid = stack.pid("echo:0")
        os.kill(pid, signal.SIGKILL)
        stack.wait_ready("echo:0", but_not=pid)
    assert "said meanwhile" not in terminal.output
    os.kill(terminal.process.pid, signal.SIGCONT)
    wait_until(lambda: "said meanwhile" in terminal.output)
    wait_until(lambda: "killed by signal 9" in terminal.output)
    terminal.type("\x03")
    assert terminal.wait() == 130


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("pass", 0),
        ("os._exit(7)", 7),
        ("raise OSError('no disk')", 1),
        ("os.kill(os.getpid(), 9)", 137),
    ],
)
def test_abort_on_exit_ends_as_the_one_that_ended(
    make_stack: StackMaker, how: str, code: int
) -> None:
    job = f'[peers.job]\napp = "ends:Job"\nkind = "job"\nconfig = {{ how = "{how}" }}\n'
    stack = make_stack(STEADY + job + 'depends_on = ["echo"]\n', {"ends": ENDS})
    process = stack.popen("up", "--abort-on-exit")
    output, _ = process.communicate(timeout=60 * TIME_SCALE)
    assert process.returncode == code, output
    assert "job:0 ended" in output
    assert Path(stack.run_dir.logs / "stack.log").read_text().count("echo:0: STOPPED") == 1
    stack.wait_gone()
