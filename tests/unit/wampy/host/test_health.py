from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support import wait_until
from wampy.host import health
from wampy.host.health import Health


def test_without_checks_all_is_well_and_no_thread_runs() -> None:
    before = threading.active_count()
    nothing = Health([])
    nothing.start()
    assert nothing.reason() is None
    assert threading.active_count() == before


def test_what_checks_say_is_the_reason() -> None:
    answers: list[Any] = [None, True, False, KeyError("k"), None]

    def check() -> Any:
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    checked = Health([("check", check)])
    checked.start()
    assert checked._reason is None
    wait_until(lambda: checked.reason() == "check: said False")
    wait_until(lambda: checked.reason() == "check: KeyError: 'k'")
    wait_until(lambda: checked.reason() is None)
    checked.stop()
    assert checked.reason() is None


def test_a_check_that_does_not_return_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.05)
    release = threading.Event()
    checked = Health([("check", lambda: release.wait(10.0) and None)])
    checked.start()
    wait_until(lambda: "does not return" in (checked.reason() or ""))
    release.set()
    wait_until(lambda: checked.reason() is None)


def test_coroutines_are_checks_too() -> None:
    async def check() -> bool:
        return False

    checked = Health([("later", check)])
    checked.start()
    assert checked.reason() == "later: said False"
