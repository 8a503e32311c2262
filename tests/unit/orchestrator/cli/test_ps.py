from __future__ import annotations

from orchestrator.cli.ps import exit_text, render

ROUTER = {
    "type": "crossbar",
    "state": "RUNNING",
    "pid": 10,
    "host": "127.0.0.1",
    "port": 8080,
    "url": "ws://127.0.0.1:8080/ws",
}
INSTANCE = {
    "name": "search",
    "index": 0,
    "instance": "search:0",
    "state": "RUNNING",
    "ready": True,
    "reason": None,
    "saturated": False,
    "pid": 11,
    "incarnation": 1,
    "uptime_s": 65.0,
    "restarts": 0,
    "heartbeat_ms": 1.25,
    "in_flight": 2,
    "oldest_call_s": 0.1,
    "calls": 17,
    "errors": 0,
    "pss_bytes": 2 * 2**20,
    "exit": None,
}


def rows(*instances: dict[str, object]) -> list[list[str]]:
    text = render({"stack": "demo", "router": ROUTER, "instances": list(instances)})
    return [line.split() for line in text.split("\n")]


def test_router_and_instances_are_rows():
    title, router, instance = rows(INSTANCE)
    assert title[:4] == ["NAME", "STATE", "READY", "PID"]
    assert router[:4] == ["router", "RUNNING", "yes", "10"]
    assert router[-1] == "ws://127.0.0.1:8080/ws"
    assert " ".join(instance) == "search:0 RUNNING yes 11 1m05s 0 1.2ms 2 17 2.0M -"


def test_an_instance_that_is_down_has_dashes_and_its_reason():
    gone = {"code": None, "signal": 9, "cause": "killed", "at": 1.0}
    down = INSTANCE | {
        "state": "FATAL",
        "ready": False,
        "reason": "cannot\nstart",
        "pid": None,
        "uptime_s": None,
        "heartbeat_ms": None,
        "pss_bytes": None,
        "exit": gone,
    }
    row = " ".join(rows(down)[2])
    assert row == "search:0 FATAL no - - 0 - 2 17 - killed cannot start"


def test_a_saturated_instance_says_so():
    assert rows(INSTANCE | {"saturated": True})[2][2] == "saturated"


def test_exits():
    assert exit_text(None) == "-"
    assert exit_text({"code": 1, "signal": None, "cause": None, "at": 1.0}) == "code 1"
    assert exit_text({"code": None, "signal": 200, "cause": None, "at": 1}) == "signal 200"
    assert exit_text({"code": None, "signal": 9, "cause": None, "at": 1}) == "SIGKILL"
