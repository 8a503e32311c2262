from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.foreground import exit_code_of, is_exit


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"code": 0, "signal": None}, 0),
        ({"code": 7, "signal": None}, 7),
        ({"code": None, "signal": 9}, 137),
        ({"code": None, "signal": None}, 1),
        (None, 1),
    ],
)
def test_the_exit_code_is_that_of_a_shell(last: dict[str, Any] | None, code: int) -> None:
    assert exit_code_of({"instance": "a:0", "exit": last}) == code


def test_an_exit_is_an_end_that_nobody_asked_for() -> None:
    ended = {"instance": "a:0", "old": "RUNNING", "new": "BACKOFF"}
    assert is_exit(ended)
    assert is_exit({**ended, "old": "STARTING", "new": "FATAL"})
    assert not is_exit({**ended, "new": "STOPPED"})
    assert not is_exit({**ended, "old": "STOPPED"})
    assert not is_exit({**ended, "instance": "router"})
    assert not is_exit({"instance": None, "stack": "stopped"})
