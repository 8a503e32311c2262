"""The command line where no stack runs: arguments, messages, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wampy import Session
from wampy import errors as wampy_errors

WAMPY = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
ROOT = Path(__file__).resolve().parents[3]

PEERS = """
from wampy.entrypoints import rpc
from wampy.peer import Peer

class A(Peer):
    @rpc
    def hello(self): ...
"""


@pytest.fixture
def wampy(tmp_path):
    """Run the command in a folder with a manifest; gives the finished process."""
    (tmp_path / "wampy.toml").write_text('[peers.a]\napp = "peers:A"\n[peers.b]\napp = "peers:B"\n')
    (tmp_path / "peers.py").write_text(PEERS + "class B(Peer): ...\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(*arguments: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*WAMPY, *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["ps"],
        ["ps", "--json"],
        ["down"],
        ["start", "a"],
        ["stop", "a:0"],
        ["restart", "--hard", "all"],
        ["call", "hello"],
        ["publish", "topic", "1"],
        ["subscribe", "topic"],
    ],
)
def test_no_stack_is_exit_code_4_and_one_line(wampy, arguments):
    done = wampy(*arguments)
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().split("\n")) <= 2
    assert "wampy up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upp"], 'there is no command "upp"; did you mean "up"?'),
        (["frobnicate"], 'there is no command "frobnicate"; see wampy --help'),
        (["--nope"], "No such option"),
        (["ps", "--nope"], "No such option"),
        (["ps", "extra"], "unexpected extra argument"),
        (["start"], "Missing argument 'NAME...'"),
        (["start", "c"], 'there is no Peer "c"; there are a, b'),
        (["stop", "a:x"], 'there is no Peer "a:x"'),
        (["call"], "Missing argument 'URI'"),
        (["call", "x", "--timeout", "soon"], 'expected a duration such as 2.5 or "500ms"'),
        (["call", "x", "--kw", "novalue"], "--kw: expected K=V, got 'novalue'"),
        (["subscribe", "x", "--match", "regex"], "'regex' is not one of"),
        (["logs", "-n", "x"], "-n"),
        (["logs", "c"], 'there is no Peer "c"'),
        (["up", "--profile", "dev"], 'there is no profile "dev"; no Peer has profiles'),
        (["up", "--scale", "a"], 'expected NAME=N, N from 0 to 10000, got "a"'),
        (["up", "--scale", "c=1"], 'there is no Peer "c"'),
        (["up", "-d", "--abort-on-exit"], "--abort-on-exit needs the foreground"),
        (["up", "serch"], 'there is no Peer "serch"'),
        (["run"], "Missing argument 'MODULE:CLASS...'"),
        (["run", "nocolon"], 'expected MODULE:CLASS, got "nocolon"'),
        (["run", "peers:Nope"], "peers:Nope: peers has no Nope; its Peers: A, B"),
        (["run", "nowhere:A"], "nowhere:A: there is no module nowhere"),
        (["-f", "nowhere.toml", "ps"], "nowhere.toml: there is no such file"),
    ],
)
def test_wrong_arguments_are_exit_code_2_and_say_what_is_wrong(wampy, arguments, message):
    done = wampy(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().split("\n")) <= 2
    assert not list((Path(done.args[0]).parent).glob(".wampy"))


def test_a_faulty_manifest_is_exit_code_2_with_all_its_faults(wampy, tmp_path):
    (tmp_path / "wampy.toml").write_text("[stack]\nnam = 1\n[peers.a]\napp = 3\n")
    for command in (["check"], ["up"], ["ps"], ["down"], ["call", "x"]):
        done = wampy(*command)
        assert done.returncode == 2
        lines = done.stderr.strip().split("\n")
        assert [line.split(":")[:2] for line in lines] == [["wampy.toml", "2"], ["wampy.toml", "4"]]
    assert not (tmp_path / ".wampy").exists()


def test_the_manifest_is_found_in_a_folder_above(wampy, tmp_path):
    (tmp_path / "deep").mkdir()
    done = wampy("-f", "deep/../wampy.toml", "check")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [*WAMPY, "check"],
        cwd=tmp_path / "deep",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_no_manifest_at_all(wampy, tmp_path):
    (tmp_path / "wampy.toml").unlink()
    done = wampy("ps")
    assert done.returncode == 2
    assert done.stderr.startswith("wampy.toml: not found in ")


def test_a_folder_stands_for_its_manifest(wampy, tmp_path):
    assert wampy("-f", str(tmp_path), "check").returncode == 0


def test_check_says_what_is_right(wampy):
    done = wampy("check")
    assert (done.returncode, done.stdout) == (0, "wampy.toml is right: 2 Peers\n")
    done = wampy("check", "--graph")
    assert done.stdout == "1. router (builtin)\n2. a\n2. b\n"
    assert '"name": "a"' in wampy("check", "--json").stdout


def test_check_imports_the_peers(wampy, tmp_path):
    (tmp_path / "peers.py").write_text(
        "from wampy.peer import Peer\nclass A(Peer): ...\nimport nix\n"
    )
    done = wampy("check")
    assert done.returncode == 2
    assert done.stderr.split("\n")[0] == (
        "wampy.toml:2: [peers.a] app: peers.py:3: no module nix, which peers imports"
    )


def test_help_names_every_command(wampy):
    done = wampy("--help")
    assert done.returncode == 0
    for name in ("up", "down", "ps", "logs", "start", "stop", "restart", "check", "call", "run"):
        assert f"\n  {name} " in done.stdout
        assert wampy(name, "-h").returncode == 0


def test_a_traceback_is_shown_with_debug_only(wampy):
    assert "Traceback" not in wampy("down").stderr
    assert "Traceback" in wampy("--debug", "down").stderr


def test_run_says_which_router_is_not_there(wampy):
    done = wampy("run", "peers:A", "--url", "ws://127.0.0.1:9/ws", timeout_s=60)
    assert done.returncode == 1
    assert "ws://127.0.0.1:9/ws" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_output_is_no_error(tmp_path):
    (tmp_path / "wampy.toml").write_text('[peers.a]\napp = "m:A"\n')
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [*WAMPY, "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_order_of_start_in_three_ways(wampy):
    result = wampy("check", "--graph")
    assert result.stdout.splitlines() == ["1. router (builtin)", "2. a", "2. b"]
    found = json.loads(wampy("check", "--graph", "--json").stdout)
    assert ([row["name"] for row in found["order"]], found["edges"]) == (["a", "b"], [])
    assert wampy("check", "--json").stdout == wampy("check", "--graph", "--json").stdout
    assert wampy("check", "--graph=mermaid").stdout.startswith("flowchart TD\n")
    assert wampy("check", "--graph=dot").returncode == 2
    assert wampy("check", "--graph=mermaid", "--json").returncode == 2


def test_a_call_prints_each_part_where_they_are_asked_for(wampy, tmp_path, builtin_router):
    def parts(to: int, step: int = 1):
        for number in range(0, to, step):
            yield {"number": number}
        return "end"

    def fails():
        yield 1
        raise wampy_errors.ApplicationError("com.example.cli.broken", ["in the middle"])

    (tmp_path / ".wampy").mkdir()
    access = {"url": builtin_router.unix_url, "realm": "realm1"}
    access |= {"method": "ticket", "authid": None, "secret": None}
    (tmp_path / ".wampy" / "tickets.json").write_text(json.dumps(access))
    with Session(builtin_router.unix_url) as callee:
        callee.register("com.example.cli.parts", parts)
        callee.register("com.example.cli.fails", fails)
        done = wampy("call", "--progress", "com.example.cli.parts", "3")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == '{"number": 0}\n{"number": 1}\n{"number": 2}\n"end"\n'
        done = wampy("call", "--progress", "com.example.cli.parts", "3", "--kw", "step=2")
        assert done.stdout == '{"number": 0}\n{"number": 2}\n"end"\n'
        assert wampy("call", "com.example.cli.parts", "3").stdout == '"end"\n'
        done = wampy("call", "--progress", "com.example.cli.fails")
        assert (done.returncode, done.stdout) == (1, "1\n")
        assert "in the middle" in done.stderr
        assert "Traceback" not in done.stderr
