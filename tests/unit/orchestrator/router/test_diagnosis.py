"""Why a Crossbar ended; the lines are what Crossbar 26.10 printed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestrator.router.diagnosis import CrossbarDiagnosis

STAMP = "2026-11-23T02:47:36+0000 [Router       6948] "
GENERATED = CrossbarDiagnosis(("/opt/crossbar",), "127.0.0.1", 8080, None)
OWN = CrossbarDiagnosis(("/opt/crossbar",), "127.0.0.1", 8080, Path("/etc/node.json"))


def test_a_port_that_was_taken_meanwhile() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        line = (
            "Cannot listen on transport endpoint: [Failure instance: Traceback: <class"
            " 'twisted.internet.error.CannotListenError'>: Couldn't listen on"
            f" 127.0.0.1:{port}: [Errno 98] Address already in use."
        )
        told = GENERATED(1, None, [STAMP, STAMP + line, "]", "Traceback (most recent call last):"])
    assert told.startswith(f"[router] port: 127.0.0.1:{port} is taken by ")
    assert "set another port" in told
    assert "\n" not in told


def test_an_address_that_is_not_here() -> None:
    line = "Couldn't listen on 192.0.2.1:8080: [Errno 99] Cannot assign requested address."
    told = GENERATED(1, None, [STAMP + line])
    assert told == (
        "[router] host: Crossbar cannot listen on 192.0.2.1:8080:"
        " [Errno 99] Cannot assign requested address"
    )
    assert OWN(1, None, [STAMP + line]).startswith(
        "[router] config: /etc/node.json: Crossbar cannot"
    )


def test_an_own_configuration_that_is_wrong() -> None:
    lines = [
        STAMP + "Traceback (most recent call last):",
        '  File "/x/main.py", line 853, in _run_command_start',
        "",
        STAMP + "Invalid node configuration",
        STAMP + "encountered unknown attribute 'foo' in top-level configuration",
        "",
    ]
    assert OWN(1, None, lines) == (
        "[router] config: /etc/node.json is refused by Crossbar:"
        " encountered unknown attribute 'foo' in top-level configuration"
    )


def test_a_generated_configuration_that_is_refused_blames_the_version() -> None:
    lines = [STAMP + "Invalid node configuration", STAMP + "unknown attribute"]
    told = GENERATED(1, None, lines)
    assert "generated for it: unknown attribute" in told
    assert "26.10" in told


def test_another_crossbar_in_that_folder() -> None:
    line = "Crossbar.io is already running from node directory /srv/node (PID 77)."
    assert "(pid 77) already runs from /srv/node; stop that" in OWN(1, None, [line])


@pytest.mark.parametrize(
    "line", ["ModuleNotFoundError: No module named 'txaio'", "ImportError: libffi.so.8"]
)
def test_a_broken_installation(line: str) -> None:
    told = GENERATED(1, None, ["Traceback (most recent call last):", line])
    assert told.startswith(f"Crossbar's installation is broken ({line}); install it again")


def test_killed() -> None:
    lines = [STAMP + "something odd", STAMP]
    assert GENERATED(None, 9, lines) == "Crossbar was killed by SIGKILL: something odd"
    assert GENERATED(None, 99, []) == "Crossbar was killed by signal 99"


def test_not_ready_in_time() -> None:
    assert GENERATED(None, None, []).startswith("Crossbar was not ready in time; give it longer")


def test_what_cannot_be_executed() -> None:
    assert GENERATED(127, None, ["sh: not found"]) == (
        "[router] command: /opt/crossbar cannot be executed: sh: not found"
    )


def test_anything_else_gives_the_last_line_that_says_something() -> None:
    lines = [
        STAMP + "Could not start node: Traceback (most recent call last):",
        '  File "/x/defer.py", line 1831, in _inlineCallbacks',
        "RuntimeError: no luck",
        STAMP + "Native worker received SIGTERM - shutting down ..",
        STAMP,
    ]
    assert GENERATED(1, None, lines) == "Crossbar ended with exit code 1: RuntimeError: no luck"
    assert GENERATED(1, None, []) == "Crossbar ended with exit code 1; see `wampy logs router`"
