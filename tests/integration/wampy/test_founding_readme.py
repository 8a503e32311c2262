"""The founding README, typed into a real Python shell, word by word, against a real Crossbar."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support import TIME_SCALE, wait_until

ROOT = Path(__file__).resolve().parents[3]
#: What the packaged configuration says.
PORT = 8080
#: What Crossbar's log has while nobody does anything wrong: in colour, with its time first, and
#: whom a connection belongs to, over several lines.
CROSSBAR_LINE = re.compile(
    r"^(?:(?:\x1b\[\d+m)+\d{4}-\d\d-\d\dT|[{ ]'x_cb_)[^\n]*\n?", re.MULTILINE
)


class Shell:
    """An interactive Python, as a person at a terminal has it."""

    def __init__(self) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environ |= {"TERM": "dumb", "PYTHON_BASIC_REPL": "1"}
        self._child = pexpect.spawn(
            sys.executable,
            ["-q"],
            cwd=ROOT,
            env=environ,
            encoding="utf-8",
            timeout=60 * TIME_SCALE,
            dimensions=(50, 400),
        )
        self._child.expect_exact(">>> ")

    def type(self, *lines: str) -> str:
        """Type lines, each at its prompt; give what was printed after the last of them."""
        for line in lines[:-1]:
            self._child.sendline(line)
            self._child.expect_exact("... ")
        self._child.sendline(lines[-1])
        # A last empty line ends a block; its echo is nothing but the end of the line.
        self._child.expect_exact(lines[-1] + "\r\n")
        # Crossbar writes to the same terminal, at any time: the prompt may stand anywhere.
        self._child.expect_exact(">>> ")
        return CROSSBAR_LINE.sub("", str(self._child.before)).strip()

    def leave(self) -> None:
        """Leave as a person does."""
        if self._child.isalive():
            self._child.sendeof()
            self._child.expect(pexpect.EOF)
        self._child.close()

    @property
    def exit_code(self) -> int | None:
        return self._child.exitstatus


@pytest.fixture
def shells() -> Iterator[Callable[[], Shell]]:
    opened: list[Shell] = []

    def open_shell() -> Shell:
        opened.append(Shell())
        return opened[-1]

    yield open_shell
    for shell in reversed(opened):
        shell.leave()


def is_listening() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


def test_the_transcript(shells: Callable[[], Shell], crossbar_executable: Path) -> None:
    message = f"something has port {PORT}, which the README uses"
    wait_until(lambda: not is_listening(), 30.0, message)
    shell = shells()

    # "Running Wampy": a Router.
    assert shell.type("from wampy import register_peer") == ""
    assert shell.type("from wampy.testing.routers import Crossbar") == ""
    assert (
        shell.type(
            "crossbar = Crossbar(host='localhost', "
            "config_path='./wampy/testing/routers/config.json', crossbar_directory='./')"
        )
        == ""
    )
    assert "Traceback" not in shell.type("register_peer(crossbar)")
    assert is_listening()

    # A Session: connected, not joined; then joined.
    assert shell.type("from wampy.session import Session") == ""
    assert shell.type("session = Session(crossbar)") == ""
    assert shell.type("session.id is None").splitlines()[-1] == "True"
    said = shell.type("session.begin()")
    expected = (
        r'.+ - wampy\.wamp\.session - INFO - sending "HELLO" message\s+'
        r'.+ - wampy\.wamp\.session - INFO - received "WELCOME" message\s+'
        r".+ - wampy\.wamp\.session - INFO - session started with ID: (\d+)"
    )
    match = re.search(expected, said)
    assert match, said
    assert shell.type("session.id").splitlines()[-1] == match[1]

    # A Peer, the Callee.
    assert shell.type("from wampy.interfaces import Peer") == ""
    assert shell.type("from wampy.entrypoints import rpc") == ""
    assert (
        shell.type(
            "class CalleeApp(Peer):",
            "    @rpc",
            "    def callee_application_entrypoint(self):",
            "        return 'hello from the callee'",
            "",
        )
        == ""
    )
    assert shell.type("app = CalleeApp()") == ""
    assert "Traceback" not in shell.type("register_peer(app)")

    # The Caller: a message by hand.
    assert shell.type("from wampy.messages.call import Call") == ""
    assert (
        shell.type(
            "message = Call(procedure='callee_application_entrypoint', "
            "options=None, args=None, kwargs=None)"
        )
        == ""
    )
    constructed = shell.type("message.construct()")
    assert constructed.startswith("[48, ")
    assert "'callee_application_entrypoint'" in constructed
    assert 'sending "CALL" message' in shell.type("session.send(message)")
    received = shell.type("session.recv()")
    assert "Result(" in received
    assert "hello from the callee" in received
    assert "hello from the callee" in shell.type("session.send_and_receive(message)")

    # Another shell: a Crossbar that something else started.
    other = shells()
    other.type("from wampy.testing.routers import Crossbar")
    other.type("from wampy.session import Session")
    other.type(
        "crossbar = Crossbar(host='localhost', "
        "config_path='./wampy/testing/routers/config.json', crossbar_directory='./')"
    )
    other.type("session = Session(crossbar)")
    assert "session started with ID" in other.type("session.begin()")
    said = other.type("session.call('callee_application_entrypoint')")
    assert said == "'hello from the callee'"
    # Other messages likewise.
    other.type("from wampy.messages.publish import Publish")
    other.type("message = Publish(request_id=1, topic='com.example.topic', args=[1])")
    assert other.type("message.construct()") == "[16, 1, {}, 'com.example.topic', [1]]"
    assert "Traceback" not in other.type("session.send(message)")
    other.leave()
    assert other.exit_code == 0

    # When the shell ends, the Router does.
    shell.leave()
    assert shell.exit_code == 0
    assert not is_listening()


def test_a_peer_before_any_router_is_an_error_that_says_so(shells: Callable[[], Shell]) -> None:
    shell = shells()
    shell.type("from wampy import register_peer, Peer")
    shell.type("class App(Peer): pass", "")
    said = shell.type("register_peer(App())")
    assert "NoRouter: no Router is registered yet" in said
