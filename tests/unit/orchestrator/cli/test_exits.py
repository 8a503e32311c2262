from __future__ import annotations

import pytest

from orchestrator.cli.exits import CommandError, ExitCode, outcome_of
from orchestrator.errors import (
    ManifestError,
    OrchestratorError,
    RestartLimitReached,
    RouterUnavailable,
)
from orchestrator.manifest import Fault
from wampy.errors import NotAuthorized, RequestTimeout


def test_the_codes_are_those_of_the_contract():
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "GAVE_UP": 3,
        "NO_STACK": 4,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (CommandError("no"), 1, "no"),
        (CommandError("no", ExitCode.NO_STACK), 4, "no"),
        (ManifestError([Fault("w.toml", 1, "[a]", "b")]), 2, "w.toml:1: [a]: b"),
        (RouterUnavailable("no router"), 3, "no router"),
        (RestartLimitReached("too often"), 3, "too often"),
        (OrchestratorError("other"), 1, "other"),
        (RequestTimeout("too late"), 1, "too late"),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied"),
    ],
)
def test_expected_errors_have_a_code_and_a_text(error, code, text):
    assert outcome_of(error) == (code, text)


def test_a_refusal_says_what_would_allow_it():
    outcome = outcome_of(NotAuthorized("wamp.error.not_authorized", ("not authorized",)))
    assert outcome is not None
    assert outcome[0] == 1
    assert "[[router.roles.ROLE]]" in outcome[1]


def test_an_error_may_bring_its_own_code():
    error = OrchestratorError("busy port")
    error.exit_code = 2  # type: ignore[attr-defined]
    assert outcome_of(error) == (2, "busy port")


def test_anything_else_is_a_bug():
    assert outcome_of(ZeroDivisionError("x")) is None
