"""How `wampy up` behaves towards whoever started it: a shell, a container, a service manager."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import STEADY, WAMPY, RunningStack, StackMaker

# ---------------------------------------------------------------------- --abort-on-exit


@pytest.mark.parametrize(
    ("command", "restart", "code"),
    [
        ("exit 7", "always", 7),
        ("exit 7", "never", 7),
        ("exit 0", "never", 0),
        ("kill -9 $$$$", "always", 128 + 9),
    ],
)
def test_abort_on_exit_ends_with_the_code_of_the_one_that_ended(
    make_stack: StackMaker, command: str, restart: str, code: int
) -> None:
    script = f"while ! test -e go; do sleep 0.05; done; {command}"
    peers = STEADY + f'[peers.brief]\ncommand = ["sh", "-c", "{script}"]\nrestart = "{restart}"\n'
    stack = make_stack(peers)
    up = stack.popen("up", "--abort-on-exit")
    wait_until(lambda: stack.run_dir.control.exists() and stack.row("brief:0")["ready"], 20)
    stack.remember()
    (stack.folder / "go").touch()
    output, _ = up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == code, output
    assert "brief:0 ended" in output
    stack.wait_gone()


# ---------------------------------------------------------------------- progress


def test_who_waits_is_told_for_what(make_stack: StackMaker) -> None:
    slow = '[peers.slow]\ncommand = ["sleep", "600"]\nprovides = ["com.never"]\n'
    stack = make_stack(slow + 'start_timeout = "60s"\n' + STEADY)
    up = stack.popen("up")
    assert up.stdout is not None
    stack_lines = []
    deadline = time.monotonic() + 30 * TIME_SCALE
    for line in up.stdout:
        stack_lines.append(line)
        if "of 2 ready" in line or time.monotonic() > deadline:
            break
    expected = r"wampy: 1 of 2 ready; waiting for slow:0 STARTING \(not registered: com\.never\)\n"
    assert re.fullmatch(expected, stack_lines[-1]), stack_lines
    assert "\x1b" not in "".join(stack_lines)
    stack.remember()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 130
    stack.wait_gone()


def test_a_line_a_transition(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY)
    up = stack.popen("up")
    wait_until(lambda: stack.run_dir.control.exists() and stack.row("echo:0")["ready"], 20)
    stack.remember()
    assert stack.wampy("restart", "echo").returncode == 0
    up.send_signal(signal.SIGTERM)
    output, _ = up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 0
    lines = [line for line in output.splitlines() if re.search(r"echo:0: [A-Z]+", line)]
    states = [re.sub(r".*echo:0: (\w+(, ready)?).*", r"\1", line) for line in lines]
    assert states == [
        "STARTING", "RUNNING, ready", "STOPPING", "STOPPED",
        "STARTING", "RUNNING, ready", "STOPPING", "STOPPED",
    ]  # fmt: skip


# ---------------------------------------------------------------------- a service manager


class Manager:
    """A socket as systemd has it; what came on it."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address.replace("@", "\0", 1))
        self.sock.setblocking(False)
        self.told: list[str] = []

    def has_told(self, word: str) -> bool:
        try:
            while True:
                self.told += self.sock.recv(4096).decode().split("\n")
        except BlockingIOError:
            return any(line.startswith(word) for line in self.told)


@pytest.fixture
def listen() -> Iterator[Callable[[str], Manager]]:
    made: list[Manager] = []

    def make(address: str) -> Manager:
        made.append(Manager(address))
        return made[-1]

    yield make
    for manager in made:
        manager.sock.close()


def notified(stack: RunningStack, address: str, *options: str) -> subprocess.Popen[str]:
    environ = {
        **os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": "",
    }  # fmt: skip
    return stack.popen("up", *options, env=environ)


ENVIRON = """
import os
from wampy import Peer, rpc
class Environ(Peer):
    @rpc("PREFIX.environ")
    def environ(self):
        return dict(os.environ)
"""


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told(make_stack: StackMaker, listen, is_abstract: bool) -> None:
    stack = make_stack('[peers.e]\napp = "e:Environ"\n', {"e": ENVIRON})
    address = f"@wampy-{stack.name}" if is_abstract else str(stack.folder / "notify.sock")
    manager = listen(address)
    up = notified(stack, address)
    wait_until(lambda: manager.has_told("READY=1"), 20)
    assert manager.told.count("READY=1") == 1
    assert any(line.startswith("STATUS=") and "1 Instance ready" in line for line in manager.told)
    stack.remember()
    with stack.session() as session:
        environ = session.call(f"com.test.{stack.name}.environ")
    assert not [name for name in environ if name.startswith(("NOTIFY_", "WATCHDOG_"))]
    router = Path(f"/proc/{stack.ps()['router']['pid']}/environ").read_text()
    assert address not in router
    # The watchdog is fed while the stack answers, and not when it does not.
    before = manager.told.count("WATCHDOG=1")
    wait_until(lambda: manager.has_told("") and manager.told.count("WATCHDOG=1") > before + 1)
    os.kill(stack.supervisor_pid, signal.SIGSTOP)
    time.sleep(0.5)
    manager.has_told("")
    before = manager.told.count("WATCHDOG=1")
    time.sleep(1.0)
    manager.has_told("")
    assert manager.told.count("WATCHDOG=1") <= before
    os.kill(stack.supervisor_pid, signal.SIGCONT)
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=30 * TIME_SCALE)
    assert up.returncode == 0
    assert manager.has_told("STOPPING=1")
    stack.wait_gone()


def test_detached_it_names_the_process_that_stays(make_stack: StackMaker, listen) -> None:
    stack = make_stack(STEADY)
    address = str(stack.folder / "notify.sock")
    manager = listen(address)
    up = notified(stack, address, "-d")
    up.communicate(timeout=30 * TIME_SCALE)
    assert manager.has_told("READY=1")
    assert f"MAINPID={stack.ps()['pid']}" in manager.told


def test_a_stack_that_is_not_ready_is_not_said_to_be(make_stack: StackMaker, listen) -> None:
    stack = make_stack('[peers.bad]\ncommand = ["sh", "-c", "exit 78"]\n')
    address = str(stack.folder / "notify.sock")
    manager = listen(address)
    up = notified(stack, address)
    wait_until(lambda: "FATAL" in stack.log(), 20)
    stack.remember()
    time.sleep(0.5)
    assert not manager.has_told("READY=1")
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30 * TIME_SCALE)


# ---------------------------------------------------------------------- a container


def test_as_the_first_process_of_a_container(make_stack: StackMaker) -> None:
    """In a PID namespace of its own: signals without defaults, orphans that nobody else reaps."""
    stack = make_stack(STEADY)
    up = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", WAMPY, "up"],
        cwd=stack.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: stack.run_dir.control.exists() and stack.row("echo:0")["ready"], 20)
        (first,) = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
        # Its guard is the only one that could be adopted by it: the stack ends with that.
        with stack.session() as session:
            session.call(f"com.test.{stack.name}.fork_children")
        inside = ["nsenter", "-t", first, "-p", "-m", "--"]
        orphans = "for i in 1 2 3; do (setsid sh -c 'exit 3' &) ; done; sleep 0.5"
        subprocess.run([*inside, "sh", "-c", orphans], check=True)
        wait_until(lambda: "Z" not in _states_below(int(first)))
        os.kill(int(first), signal.SIGTERM)
        output, _ = up.communicate(timeout=30 * TIME_SCALE)
    finally:
        up.kill()
        up.wait()
    assert up.returncode == 0, output
    assert f"{stack.name} is down" in output


def _states_below(pid: int) -> str:
    """The states of the children of a process, a letter each."""
    found = ""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found += Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return found
