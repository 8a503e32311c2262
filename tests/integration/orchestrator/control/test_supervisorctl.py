"""The real supervisorctl, as a process, on the control socket."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest
from supervisor.xmlrpc import SupervisorTransport

from orchestrator.control.faults import FaultCode
from orchestrator.reload_plan import GONE, NEW
from tests.support import TIME_SCALE, wait_until

SUPERVISORCTL = str(Path(sys.executable).with_name("supervisorctl"))


@pytest.fixture
def ctl(served):
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [SUPERVISORCTL, "-s", f"unix://{served.path}", *arguments],
            capture_output=True,
            text=True,
            timeout=30 * TIME_SCALE,
            stdin=subprocess.DEVNULL,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONIOENCODING": "utf-8",
                "PYTHONWARNINGS": "ignore",
            },
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout

    return run


@pytest.fixture
def proxy(served):
    transport = SupervisorTransport(serverurl=f"unix://{served.path}")
    with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as found:
        yield found
    transport.close()


def test_status(ctl):
    code, said = ctl("status")
    lines = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in said.splitlines()}
    assert code == 3
    assert lines["clock:0"] == "STOPPED   Not started"
    assert lines["search:0"] == f"RUNNING   pid {os.getpid()}, uptime 1:01:01"
    assert lines["search:1"].endswith("uptime 1:01:01, not ready: it lost its session")
    assert lines["wrong:0"] == r"FATAL     config: \x1b[1mpath\x00 is missing"


def test_status_of_names(ctl):
    assert ctl("status", "search:0")[0] == 0
    assert len(ctl("status", "search:*")[1].splitlines()) == 2
    assert "no such group" in ctl("status", "nosuch:*")[1]


def test_start_stop_restart(ctl):
    assert ctl("start", "clock:0") == (0, "clock:0: started\n")
    assert ctl("start", "clock:0")[1] == "clock:0: ERROR (already started)\n"
    assert ctl("restart", "clock:0") == (0, "clock:0: stopped\nclock:0: started\n")
    assert ctl("stop", "clock")[0] == 0
    assert ctl("stop", "clock:0")[1] == "clock:0: ERROR (not running)\n"
    assert ctl("stop", "search:*") == (0, "search:0: stopped\nsearch:1: stopped\n")
    assert ctl("start", "search") == (0, "search: started\n")
    assert ctl("start", "nosuch:0")[1] == "nosuch:0: ERROR (no such process)\n"
    assert ctl("start", "nosuch:*")[1] == "nosuch: ERROR (no such group)\n"


def test_start_all_says_what_failed(ctl):
    code, said = ctl("start", "all")
    assert code != 0
    assert said == "clock:0: started\nwrong:0: ERROR (abnormal termination)\n"


def test_stop_all(ctl):
    assert ctl("stop", "all") == (0, "search:0: stopped\nsearch:1: stopped\n")


def test_pid_signal_version_avail(ctl, served):
    assert ctl("pid") == (0, f"{os.getpid()}\n")
    assert ctl("pid", "search:1") == (0, f"{os.getpid()}\n")
    assert ctl("pid", "clock:0")[1] == "0\n"
    assert ctl("signal", "HUP", "search:1") == (0, "search:1: signalled\n")
    assert ctl("signal", "10", "search:*")[0] == 0
    assert served.stack.signals == [("search:1", 1), ("search:0", 10), ("search:1", 10)]
    assert "bad signal name" in ctl("signal", "NOSUCH", "search:1")[1]
    assert "not running" in ctl("signal", "HUP", "clock:0")[1]
    assert ctl("signal", "KILL", "search:0")[0] != 0
    assert ctl("version")[1].startswith("4.")
    assert ctl("avail")[1].splitlines()[0].split() == ["clock:0", "in", "use", "auto", "999:999"]


def change(action: str, target: str, reason: str) -> dict[str, str]:
    return {"action": action, "target": target, "reason": reason}


def test_reread_and_update_with_nothing_changed(ctl, served):
    served.stack.plan = []
    assert ctl("reread") == (0, "No config updates to processes\n")
    assert ctl("update") == (0, "")
    assert served.stack.reloads == [True, True]
    assert "already active" in ctl("add", "search")[1]
    assert "still running" in ctl("remove", "search")[1]
    assert ctl("reload")[0] == 0


def test_reread_and_update_take_over_what_has_changed(ctl, served):
    served.stack.plan = [
        change("update", "stack", "[stack] strategy"),
        change("start", "fresh:0", NEW),
        change("stop", "clock:0", GONE),
        change("stop", "wrong:0", GONE),
        change("restart", "search:0", "config"),
        change("restart", "search:1", "config"),
    ]
    found = "clock: disappeared\nfresh: available\nsearch: changed\nwrong: disappeared\n"
    assert ctl("reread") == (0, found)
    assert served.stack.reloads == [True]
    code, said = ctl("update")
    assert (code, said.splitlines()) == (
        0,
        [
            "clock: stopped",
            "clock: removed process group",
            "wrong: stopped",
            "wrong: removed process group",
            "search: stopped",
            "search: updated process group",
            "fresh: added process group",
        ],
    )
    states = {row["instance"]: row["state"] for row in served.stack.rows}
    assert set(states) >= {"search:0", "search:1", "fresh:0"}
    assert set(states.values()) == {"RUNNING"}


def test_a_broken_manifest_is_told(ctl, served):
    for command in ("reread", "update"):
        code, said = ctl(command)
        assert code != 0
        if command == "reread":
            assert said == "ERROR: CANT_REREAD: broken\n"


def test_shutdown(ctl, served):
    assert ctl("shutdown") == (0, "Shut down\n")
    assert served.stack.state == "stopping"
    assert ctl("shutdown")[1] == "ERROR: already shutting down\n"
    # Questions are still answered.
    assert "STOPPED" in ctl("status")[1]


def test_tail(ctl, served):
    (served.logs / "search-0.out.log").write_bytes("é one\nt\x1bwo\n".encode())
    (served.logs / "search-0.err.log").write_text("bad\n")
    (served.logs / "stack.log").write_text("began\n")
    assert ctl("tail", "search:0")[1] == "é one\nt\\x1bwo\n\n"
    assert ctl("tail", "search:0", "stderr")[1] == "bad\n\n"
    assert ctl("tail", "-4", "search:0")[1] == "\\x1bwo\n\n"
    assert ctl("maintail")[1] == "began\n\n"
    assert "no log file" in ctl("tail", "search:1")[1]
    assert "no such process name" in ctl("tail", "search")[1]
    assert ctl("clear", "search:0")[1] == "search:0: ERROR (failed)\n"


@pytest.mark.parametrize("command", [["tail", "-f", "search:0"], ["maintail", "-f"]])
def test_tail_f_goes_on_through_rotation(served, run_dir, command):
    log = served.logs / ("stack.log" if command[0] == "maintail" else "search-0.out.log")
    log.write_text("one\n")
    said = run_dir / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [SUPERVISORCTL, "-s", f"unix://{served.path}", *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"},
        )
    try:
        wait_until(lambda: "one\n" in said.read_text(), 20)
        with log.open("a") as file:
            file.write("two\n")
        log.rename(f"{log}.1")
        log.write_text("three\n")
        wait_until(lambda: "three\n" in said.read_text(), 20)
        lines = [x for x in said.read_text().splitlines() if not x.startswith("==>")]
        assert lines == ["one", "two", "three"]
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
    # The server forgets who has left.
    wait_until(lambda: not served.server._connections)


def test_no_null_no_big_numbers_no_control_characters(proxy):
    infos = proxy.supervisor.getAllProcessInfo()
    assert {type(value) for info in infos for value in info.values()} == {str, int}
    assert proxy.supervisor.getProcessInfo("wrong:0")["spawnerr"].startswith("config: \\x1b[1m")


def test_identity_and_state(proxy):
    assert proxy.supervisor.getAPIVersion() == "3.0"
    assert proxy.supervisor.getIdentification() == "demo"
    assert proxy.supervisor.getState() == {"statecode": 1, "statename": "RUNNING"}


def test_wait_false_answers_at_once(proxy, served):
    served.stack.slow.add("clock:0")
    assert proxy.supervisor.startProcess("clock:0", False) is True
    assert proxy.supervisor.stopProcessGroup("search", False)[0]["status"] == FaultCode.SUCCESS


def test_a_slow_stop_blocks_nobody(proxy, served, ctl):
    served.stack.slow.add("search:0")
    slow = subprocess.Popen(
        [SUPERVISORCTL, "-s", f"unix://{served.path}", "stop", "search:0"],
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"},
    )
    wait_until(lambda: served.stack.waiting, 20)
    assert ctl("start", "clock:0") == (0, "clock:0: started\n")
    assert slow.poll() is None
    served.release()
    assert slow.communicate(timeout=20)[0] == b"search:0: stopped\n"


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("nosuch", (), FaultCode.UNKNOWN_METHOD),
        ("_rows", (), FaultCode.UNKNOWN_METHOD),
        ("getPID", (1,), FaultCode.INCORRECT_PARAMETERS),
        ("startProcess", (), FaultCode.INCORRECT_PARAMETERS),
        ("startProcess", (1,), FaultCode.INCORRECT_PARAMETERS),
        ("readLog", ("a", "b"), FaultCode.INCORRECT_PARAMETERS),
        ("readLog", (-1, 1), FaultCode.NO_FILE),
        ("startProcess", ("wrong:0",), FaultCode.ABNORMAL_TERMINATION),
        ("getProcessInfo", ("search:7",), FaultCode.BAD_NAME),
        ("getProcessInfo", ("search",), FaultCode.BAD_NAME),
        ("stopProcessGroup", ("search:0",), FaultCode.BAD_NAME),
        ("signalProcess", ("search:0", "KILL"), FaultCode.FAILED),
        ("sendProcessStdin", ("search:0", "x"), FaultCode.NO_FILE),
        ("clearLog", (), FaultCode.FAILED),
        ("addProcessGroup", ("nosuch",), FaultCode.BAD_NAME),
        ("removeProcessGroup", ("clock",), FaultCode.FAILED),
    ],
)
def test_faults(proxy, method, parameters, code):
    with pytest.raises(xmlrpc.client.Fault) as caught:
        getattr(proxy.supervisor, method)(*parameters)
    if (method, parameters) == ("readLog", (-1, 1)):
        code = FaultCode.BAD_ARGUMENTS
    assert caught.value.faultCode == code


def test_tail_by_offsets(proxy, served):
    log = served.logs / "search-0.out.log"
    assert proxy.supervisor.tailProcessStdoutLog("search:0", 0, 10) == ["", 0, False]
    log.write_text("0123456789abcdef")
    assert proxy.supervisor.tailProcessStdoutLog("search:0", 0, 10) == ["6789abcdef", 16, True]
    assert proxy.supervisor.tailProcessStdoutLog("search:0", 16, 10) == ["", 16, False]
    assert proxy.supervisor.readProcessStdoutLog("search:0", 4, 3) == "456"
    assert proxy.supervisor.readProcessStdoutLog("search:0", -3, 0) == "def"


def test_system_methods(proxy):
    assert "supervisor.startProcess" in proxy.system.listMethods()
    assert "supervisor._rows" not in proxy.system.listMethods()
    assert proxy.system.methodHelp("supervisor.getPID").startswith("Return the pid")
    signature = proxy.system.methodSignature("supervisor.readProcessStdoutLog")
    assert signature == ["string", "string", "int", "int"]
    with pytest.raises(xmlrpc.client.Fault):
        proxy.system.methodHelp("nosuch")


def test_multicall_with_answers_that_take_time(proxy):
    calls = xmlrpc.client.MultiCall(proxy)
    calls.supervisor.stopProcess("search:0")
    calls.supervisor.getPID()
    calls.supervisor.getProcessInfo("search:0")
    calls.supervisor.getAllProcessInfo()
    results: Any = calls()
    assert results[0] is True
    assert results[1] == os.getpid()
    assert results[2]["statename"] == "STOPPED"
    assert len(results[3]) == 4
    multicall: Any = proxy.system.multicall
    answers = multicall([{"methodName": "system.multicall", "params": [[]]}, 5])
    assert {answer["faultCode"] for answer in answers} == {FaultCode.INCORRECT_PARAMETERS}
    assert len(multicall([{"methodName": "supervisor.getPID"}] * 3000)) == 3000
