"""What users get wrong: one clear message each, the right exit code, nothing left running."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestrator.rundir import RunDir
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import ECHO, RunningStack, StackMaker
from wampy.errors import ApplicationError, RequestError


def refused(stack: RunningStack, code: int, *texts: str) -> None:
    """``up`` ends with this code and these texts on one or two lines, and nothing runs."""
    result = stack.wampy("up", "-d")
    assert result.returncode == code, result.stderr
    for text in texts:
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    stack.wait_gone()
    assert not stack.run_dir.control.exists()


@pytest.mark.parametrize(
    ("module", "texts"),
    [
        ("import no_such_module_at_all\n", ["no_such_module_at_all", "bad.py:1"]),
        ("class Bad(\n", ["bad.py:1"]),
        ("raise ValueError('at import')\n", ["ValueError: at import", "bad.py:1"]),
        ("import sys\nsys.exit(5)\n", ["bad"]),
        ("import os\nos._exit(5)\n", ["exit code 5"]),
        ("class Bad: pass\n", ["no wampy.Peer"]),
        ("Other = 1\n", ["has no Bad"]),
    ],
)
def test_modules_that_cannot_be_imported(
    make_stack: StackMaker, module: str, texts: list[str]
) -> None:
    stack = make_stack('[peers.bad]\napp = "bad:Bad"\n' + ECHO, {"bad": module})
    refused(stack, 2, "wampy.toml:", "[peers.bad] app", *texts)


def test_a_fault_found_while_the_router_starts_ends_it(make_stack: StackMaker) -> None:
    """The Router is started while modules are imported: with them it ends, and all that it had."""
    stack = make_stack(
        '[peers.bad]\napp = "bad:Bad"\n',
        {"bad": "import time\ntime.sleep(1)\nraise OSError('no disk')\n"},
        router="crossbar",
    )
    process = stack.popen("up", "-d")
    wait_until(lambda: bool(stack.run_dir.read_state()), 20.0)
    stack.remember()
    assert stack.alive()
    output, _ = process.communicate(timeout=60 * TIME_SCALE)
    assert process.returncode == 2
    assert "OSError: no disk" in output
    stack.wait_gone(1.0)
    assert not stack.run_dir.state.exists()
    assert not stack.run_dir.tickets.exists()


def test_a_module_that_is_not_there(make_stack: StackMaker) -> None:
    refused(make_stack('[peers.bad]\napp = "nowhere:Bad"\n'), 2, "[peers.bad] app", "nowhere")


def test_a_wrong_config(make_stack: StackMaker) -> None:
    typed = """
    from wampy import Peer

    class Typed(Peer):
        class Config:
            path: str
            size: int = 3
    """
    stack = make_stack(
        '[peers.typed]\napp = "typed:Typed"\nconfig = { path = 5 }\n', {"typed": typed}
    )
    refused(stack, 2, "[peers.typed] config", "path")


def test_two_peers_with_one_uri(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + '[peers.twin]\napp = "peers:Echo"\n')
    refused(stack, 2, "[peers.twin]", "which [peers.echo] declares already")


def test_single_with_replicas(make_stack: StackMaker) -> None:
    single = """
    from wampy import Peer, rpc

    class Single(Peer):
        @rpc("PREFIX.only", invoke="single")
        def only(self): ...
    """
    stack = make_stack('[peers.one]\napp = "one:Single"\nreplicas = 2\n', {"one": single})
    refused(stack, 2, "[peers.one]", 'invoke="single"', "2 replicas")


def test_a_busy_port(make_stack: StackMaker, crossbar_executable: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        how = f'type = "crossbar"\nport = {port}\ncommand = ["{crossbar_executable}"]'
        refused(make_stack(ECHO, router=how), 2, str(port))


def test_no_crossbar(make_stack: StackMaker) -> None:
    how = 'type = "crossbar"\nport = 0\ncommand = ["/no/such/crossbar"]'
    refused(make_stack(ECHO, router=how), 2, "/no/such/crossbar")


def test_an_own_node_config_that_is_wrong(
    make_stack: StackMaker, crossbar_executable: Path
) -> None:
    how = f'type = "crossbar"\nconfig = "node.json"\ncommand = ["{crossbar_executable}"]'
    stack = make_stack(ECHO, router=how)
    (stack.folder / "node.json").write_text("{ this is no JSON")
    refused(stack, 2, "node.json")


def test_a_run_dir_that_cannot_be_made(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO, stack='run_dir = "taken/run"')
    (stack.folder / "taken").write_text("a file")
    refused(stack, 2, "run_dir")


def test_a_path_too_long_for_a_socket(make_stack: StackMaker) -> None:
    """Everything works; the sockets are elsewhere."""
    stack = make_stack(ECHO, stack=f'run_dir = "{"long/" * 30}run"')
    stack.run_dir = RunDir(stack.folder / ("long/" * 30 + "run"))
    stack.up()
    assert stack.row("echo:0")["ready"]
    assert stack.wampy("call", f"com.test.{stack.name}.echo", "1").stdout.strip() == "1"
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_wampy_call(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO)
    uri = f"com.test.{stack.name}.echo"
    result = stack.wampy("call", uri, "x")
    assert (result.returncode, "no stack is running" in result.stderr) == (4, True)
    stack.up()
    assert stack.wampy("call", uri, '{"a": [1, null]}').stdout.strip() == '{"a": [1, null]}'
    assert stack.wampy("call", uri, "--", "-5").stdout.strip() == "-5"
    assert stack.wampy("call", uri, "--kw", "value=text").stdout.strip() == '"text"'
    for arguments, text in (
        (["com.test.nobody.has.this"], "no_such_procedure"),
        ([uri, "1", "2", "3"], "invalid_argument"),
        ([f"com.test.{stack.name}.slow", "5", "--timeout", "200ms"], "within 0.2 s"),
        (["not a uri"], "not a URI"),
    ):
        result = stack.wampy("call", *arguments)
        assert result.returncode == (2 if text == "not a URI" else 1), result.stderr
        assert text in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") <= 2


TROUBLE = """
import os, sys, subprocess, threading
from wampy import Peer, rpc

class InInit(Peer):
    def __init__(self):
        raise RuntimeError("in init")

class Trouble(Peer):
    prefix = "PREFIX."

    @rpc
    def fail(self):
        raise LookupError("not here")

    @rpc
    def unserialisable(self):
        return object()

    @rpc
    def noise(self):
        sys.stdout.write("half a line")
        sys.stdout.flush()
        os.write(1, b"\\xff\\xfe not utf-8\\n")
        for number in range(20_000):
            print("flood", number)
        return True

    @rpc
    def hello(self):
        return "hello"
"""


def test_a_peer_that_raises_in_init(make_stack: StackMaker) -> None:
    stack = make_stack(
        '[peers.bad]\napp = "trouble:InInit"\nrestart_limit = 2\nbackoff = { initial = "10ms" }\n',
        {"trouble": TROUBLE},
    )
    result = stack.wampy("up", "-d")
    assert result.returncode == 3
    assert "RuntimeError: in init" in result.stderr


def test_handlers_that_misbehave(make_stack: StackMaker) -> None:
    """The caller gets the error's name and text; the Peer lives, its log is whole."""
    stack = make_stack('[peers.bad]\napp = "trouble:Trouble"\n', {"trouble": TROUBLE}).up()
    first = stack.pid("bad:0")
    prefix = f"com.test.{stack.name}"
    with stack.session() as session:
        with pytest.raises(RequestError, match="LookupError: not here"):
            session.call(f"{prefix}.fail")
        with pytest.raises(ApplicationError, match="object"):
            session.call(f"{prefix}.unserialisable")
        assert session.call(f"{prefix}.noise", timeout=30.0)
        assert session.call(f"{prefix}.hello") == "hello"
    wait_until(lambda: "flood 19999" in stack.log("bad-0.out"))
    log = stack.log("bad-0.out")
    assert "half a line" in log
    assert "\\xff\\xfe not utf-8" in log
    assert log.count(" flood ") == 20_000
    assert stack.pid("bad:0") == first


def test_a_uri_that_somebody_else_holds(make_stack: StackMaker) -> None:
    taken = """
    from wampy import Peer, rpc

    class Taken(Peer):
        @rpc("PREFIX.taken")
        def taken(self): ...
    """
    manifest = '[peers.bad]\napp = "taken:Taken"\nrestart_limit = 1\n'
    stack = make_stack(manifest + ECHO, {"taken": taken})
    stack.wampy("up", "-d", "echo")
    with stack.session() as session:
        session.register(f"com.test.{stack.name}.taken", lambda: None)
        result = stack.wampy("up", "-d")
    assert result.returncode == 3
    assert "procedure_already_exists" in result.stderr


def test_a_module_that_starts_threads(make_stack: StackMaker) -> None:
    """It gets interpreters of its own; the others are forked as ever."""
    threaded = """
    import threading, time
    from wampy import Peer, rpc

    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()

    class Threaded(Peer):
        @rpc("PREFIX.threads")
        def threads(self):
            return threading.active_count()
    """
    stack = make_stack('[peers.bad]\napp = "bad:Threaded"\n' + ECHO, {"bad": threaded}).up()
    assert "starts threads when it is imported" in stack.log()
    with stack.session() as session:
        assert session.call(f"com.test.{stack.name}.threads") >= 2
        first = stack.pid("bad:0")
        import os
        import signal

        os.kill(first, signal.SIGKILL)
        stack.wait_ready("bad:0", but_not=first)


def test_start_method_exec(make_stack: StackMaker) -> None:
    stack = make_stack(ECHO + 'start_method = "exec"\nreplicas = 2\n').up()
    with stack.session() as session:
        assert session.call(f"com.test.{stack.name}.echo", 5) == 5
    assert stack.wampy("restart", "echo").returncode == 0
