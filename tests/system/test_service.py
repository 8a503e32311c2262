"""`wampy up` as the main process of others: of a service manager, of a container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.processes import children_of, processes_marked
from orchestrator.stack import Stack
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, STEADY, WAMPY, RunningStack, StackMaker

TOLD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Manager:
    """A service manager: hears whatever is sent to its socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # an abstract name, of the kernel's choice
        self._socket.setblocking(False)
        self.address = "@" + self._socket.getsockname()[1:].decode()
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        """Every line so far, in order."""
        try:
            while True:
                self._lines += self._socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self._lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    made = Manager()
    yield made
    made.close()


def environ(manager: Manager, **more: str) -> dict[str, str]:
    return {**os.environ, "NOTIFY_SOCKET": manager.address, **more}


def end(process: subprocess.Popen[str], signum: int = signal.SIGTERM) -> str:
    process.send_signal(signum)
    output, _ = process.communicate(timeout=30 * TIME_SCALE)
    return output


def test_a_service_manager_is_told(make_stack: StackMaker, manager: Manager) -> None:
    """READY when all is; signs of life; STOPPING; and in between what goes on."""
    stack = make_stack(STEADY)
    usec = str(int(1_000_000 * TIME_SCALE))
    process = stack.popen("up", env=environ(manager, WATCHDOG_USEC=usec))
    wait_until(lambda: "READY=1" in manager.lines, 20.0)
    assert stack.row("echo:0")["ready"]
    wait_until(lambda: manager.lines.count("WATCHDOG=1") >= 3)
    wait_until(lambda: "STATUS=1 of 1 ready" in manager.lines)
    os.kill(stack.pid("echo:0"), signal.SIGKILL)
    wait_until(lambda: stack.row("echo:0")["restarts"] == 1 and stack.row("echo:0")["ready"])
    output = end(process)
    assert process.returncode == 0, output
    lines = manager.lines
    assert lines.count("READY=1") == lines.count("STOPPING=1") == 1
    assert lines.index("READY=1") < lines.index("STOPPING=1")
    assert {line.partition("=")[0] for line in lines} == {
        "READY",
        "STATUS",
        "STOPPING",
        "WATCHDOG",
    }
    stack.wait_gone()


def test_a_supervisor_that_hangs_gives_no_sign_of_life(
    make_stack: StackMaker, manager: Manager
) -> None:
    stack = make_stack(STEADY)
    interval_s = 0.25 * TIME_SCALE
    usec = str(int(2e6 * interval_s))
    process = stack.popen("up", env=environ(manager, WATCHDOG_USEC=usec))
    wait_until(lambda: "READY=1" in manager.lines, 20.0)
    stack.remember()
    os.kill(stack.supervisor_pid, signal.SIGSTOP)
    try:
        # One may have been on its way.
        wait_until(lambda: is_silent(manager, 4 * interval_s), 10.0)
    finally:
        os.kill(stack.supervisor_pid, signal.SIGCONT)
    count = len(manager.lines)
    wait_until(lambda: "WATCHDOG=1" in manager.lines[count:])
    end(process)
    stack.wait_gone()


def is_silent(manager: Manager, for_s: float) -> bool:
    """Whether nothing comes for so long."""
    import time

    count = len(manager.lines)
    time.sleep(for_s)
    return len(manager.lines) == count


def test_nobody_below_sees_the_service_manager(
    make_stack: StackMaker, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither guard, supervisor, Router, nursery nor Peer; nor from a program's `Stack`."""
    more = environ(manager, WATCHDOG_USEC="60000000", WATCHDOG_PID="1")
    stack = make_stack(STEADY)
    process = stack.popen("up", env=more)
    wait_until(lambda: "READY=1" in manager.lines, 20.0)
    stack.remember()
    assert not told_of(stack, manager)
    end(process)
    stack.wait_gone()
    for name in TOLD:
        monkeypatch.setenv(name, more.get(name, "1"))
    with Stack.from_manifest(stack.folder / "wampy.toml"):
        stack.remember()
        assert not told_of(stack, manager)


def told_of(stack: RunningStack, manager: Manager) -> list[str]:
    found = []
    pids = stack.alive()
    assert len(pids) > 4
    for pid in pids:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        found += [entry for entry in entries if entry.startswith(TOLD)]
    # The supervisor has a socket of that kind of its own, on which the Router tells it.
    return [e for e in found if not e.startswith("NOTIFY_SOCKET=") or manager.address in e]


def test_up_d_names_who_is_to_be_watched(make_stack: StackMaker, manager: Manager) -> None:
    """The guard is the service's main process then: SIGTERM to it is an orderly stop."""
    stack = make_stack(ECHO)
    process = stack.popen("up", "-d", env=environ(manager))
    output, _ = process.communicate(timeout=30 * TIME_SCALE)
    assert process.returncode == 0, output
    stack.remember()
    guard = stack.guard_pid
    lines = [line for line in manager.lines if not line.startswith("STATUS=")]
    assert lines == [f"MAINPID={guard}", "READY=1"]
    os.kill(guard, signal.SIGTERM)
    stack.wait_gone(10.0)
    assert "echo:0: STOPPED" in stack.log()


def test_a_stack_that_is_not_ready_is_not_said_to_be(
    make_stack: StackMaker, manager: Manager
) -> None:
    """It is once it is: somebody may have mended what was wrong."""
    script = "test -e mended && exec sleep 600; exit 78"
    stack = make_stack(STEADY + f'[peers.bad]\ncommand = ["sh", "-c", "{script}"]\n')
    process = stack.popen("up", env=environ(manager))
    wait_until(lambda: any("waiting for bad:0 FATAL" in line for line in manager.lines), 20.0)
    assert "READY=1" not in manager.lines
    (stack.folder / "mended").touch()
    assert stack.wampy("start", "bad").returncode == 0
    wait_until(lambda: "READY=1" in manager.lines)
    end(process)
    stack.wait_gone()


def test_up_d_that_fails_is_not_ready(make_stack: StackMaker, manager: Manager) -> None:
    bad = "import sys\nfrom wampy import Peer\nclass Bad(Peer):\n"
    bad += "    def on_start(self):\n        sys.exit(78)\n"
    stack = make_stack('[peers.bad]\napp = "bad:Bad"\n', {"bad": bad})
    process = stack.popen("up", "-d", env=environ(manager))
    process.communicate(timeout=30 * TIME_SCALE)
    assert process.returncode == 3
    assert {line.partition("=")[0] for line in manager.lines} == {"STATUS"}
    process = stack.popen("up", "-d", env=environ(manager, WATCHDOG_USEC="1000000"))
    output, _ = process.communicate(timeout=30 * TIME_SCALE)
    assert (process.returncode, "watchdog" in output) == (2, True)


# ---------------------------------------------------------------------- a container


@pytest.fixture(scope="module")
def as_pid_1() -> list[str]:
    """What runs a command as PID 1 of pids of its own, with a /proc of them; never skipped."""
    ways = [
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
        ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"],
    ]
    said = ""
    for way in ways:
        result = subprocess.run(
            [*way, "sh", "-c", "echo $$"], capture_output=True, text=True, timeout=30
        )
        if result.stdout.strip() == "1":
            return way
        said += result.stderr
    pytest.fail(f"no way to be PID 1 here: {said}")


class Container:
    """One `wampy up` as PID 1."""

    def __init__(self, stack: RunningStack, way: list[str], *arguments: str) -> None:
        self.stack = stack
        self.process = subprocess.Popen(
            [*way, WAMPY, "up", *arguments],
            cwd=stack.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Of the first process, as it is seen from outside."""
        return children_of(self.process.pid)[0]

    def wait_ready(self) -> None:
        def look() -> bool:
            result = self.stack.wampy("ps", "--json")
            return '"ready": true' in result.stdout.partition("instances")[2]

        wait_until(lambda: self.stack.run_dir.tickets.exists() and look(), 20.0)
        self.stack.remember()

    def stop(self, signum: int = signal.SIGTERM) -> str:
        os.kill(self.pid, signum)
        output, _ = self.process.communicate(timeout=30 * TIME_SCALE)
        return output


@pytest.fixture
def contain(as_pid_1: list[str]) -> Iterator[Callable[..., Container]]:
    made: list[Container] = []

    def start(stack: RunningStack, *arguments: str) -> Container:
        made.append(Container(stack, as_pid_1, *arguments))
        return made[-1]

    yield start
    for container in made:
        if container.process.poll() is None:
            container.process.kill()
            container.process.communicate()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_pid_1_stops_in_order(
    make_stack: StackMaker, contain: Callable[..., Container], signum: int, code: int
) -> None:
    """No signal is lost for want of a handler; what is in flight is finished; nothing is left."""
    stack = make_stack(STEADY)
    container = contain(stack)
    container.wait_ready()
    with stack.session() as session:
        slow = session.call_async(f"com.test.{stack.name}.slow", 1.0 * TIME_SCALE)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
        output = container.stop(signum)
        assert slow.result(5) > 0
    assert container.process.returncode == code, output
    assert "is down" in output
    assert "echo:0: STOPPED" in stack.log()
    stack.wait_gone()


def test_a_signal_more_changes_nothing_about_an_orderly_stop(
    make_stack: StackMaker, contain: Callable[..., Container]
) -> None:
    stack = make_stack(STEADY)
    container = contain(stack)
    container.wait_ready()
    with stack.session() as session:
        slow = session.call_async(f"com.test.{stack.name}.slow", 1.5 * TIME_SCALE)
        wait_until(lambda: stack.row("echo:0")["in_flight"] == 1)
        for _ in range(3):
            os.kill(container.pid, signal.SIGTERM)
            wait_until(lambda: stack.row("echo:0")["state"] == "STOPPING")
        assert slow.result(5) > 0
    output, _ = container.process.communicate(timeout=30 * TIME_SCALE)
    assert container.process.returncode == 0, output


def test_pid_1_reaps_what_falls_to_it(
    make_stack: StackMaker, contain: Callable[..., Container]
) -> None:
    """As `docker exec` leaves it: a process whose parent, no child of the stack, has ended."""
    stack = make_stack(STEADY)
    container = contain(stack)
    container.wait_ready()
    pid = container.pid
    before = children_of(pid)
    enter = ["nsenter", "-t", str(pid), "--pid", "--mount"]
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        enter += ["--user", "--preserve-credentials"]
    token = f"{stack.name}_orphan"
    for _ in range(5):
        subprocess.run(
            [*enter, "sh", "-c", "sleep 0.3 & exec true"],
            env={**os.environ, "WAMPY_TEST": token},
            check=True,
        )
    assert set(children_of(pid)) > set(before), "none has fallen to it"
    wait_until(lambda: children_of(pid) == before and not processes_marked("WAMPY_TEST", token))
    assert stack.row("echo:0")["ready"]
    container.stop()


def test_a_guard_that_is_killed_ends_the_container(
    make_stack: StackMaker, contain: Callable[..., Container]
) -> None:
    stack = make_stack(STEADY)
    container = contain(stack)
    container.wait_ready()
    os.kill(children_of(container.pid)[0], signal.SIGKILL)
    output, _ = container.process.communicate(timeout=30 * TIME_SCALE)
    assert container.process.returncode == 3, output
    stack.wait_gone()


def test_down_from_outside_of_the_container(
    make_stack: StackMaker, contain: Callable[..., Container]
) -> None:
    """Whose pids are others: what the stack calls its own is somebody else here."""
    stack = make_stack(STEADY)
    container = contain(stack)
    container.wait_ready()
    assert stack.ps()["pid"] < 100
    result = stack.wampy("down")
    assert result.returncode == 0, result.stderr
    stack.wait_gone(1.0)
    output, _ = container.process.communicate(timeout=30 * TIME_SCALE)
    assert container.process.returncode == 0, output


def test_pid_1_does_not_detach(make_stack: StackMaker, contain: Callable[..., Container]) -> None:
    container = contain(make_stack(STEADY), "-d")
    output, _ = container.process.communicate(timeout=30 * TIME_SCALE)
    assert container.process.returncode == 2
    assert "would end the container" in output
