"""Where Crossbar is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wampy.testing.executables import CrossbarNotFound, find_crossbar


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python beside which there is no Crossbar."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    return tmp_path


def test_the_environment_variable_wins(elsewhere: Path) -> None:
    named = executable(elsewhere / "mine")
    executable(elsewhere / ".venv-crossbar/bin/crossbar")
    assert find_crossbar(elsewhere, {"WAMPY_CROSSBAR": str(named)}) == named


def test_the_environment_variable_may_name_a_program_on_path(elsewhere: Path) -> None:
    named = executable(elsewhere / "bin" / "mine")
    environ = {"WAMPY_CROSSBAR": "mine", "PATH": str(named.parent)}
    assert find_crossbar(elsewhere, environ) == named


def test_an_environment_variable_that_names_nothing_is_an_error(elsewhere: Path) -> None:
    """What somebody asked for expressly is never replaced silently."""
    executable(elsewhere / ".venv-crossbar/bin/crossbar")
    with pytest.raises(CrossbarNotFound, match=r"\$WAMPY_CROSSBAR is '/nowhere'"):
        find_crossbar(elsewhere, {"WAMPY_CROSSBAR": "/nowhere"})


def test_the_nearest_parent_with_a_venv_for_it_is_taken(elsewhere: Path) -> None:
    executable(elsewhere / ".venv-crossbar/bin/crossbar")
    near = executable(elsewhere / "a/.venv-crossbar/bin/crossbar")
    (elsewhere / "a/b/c").mkdir(parents=True)
    assert find_crossbar(elsewhere / "a/b/c", {}) == near


def test_beside_the_running_python_comes_before_path(elsewhere: Path) -> None:
    beside = executable(elsewhere / "elsewhere" / "crossbar")
    on_path = executable(elsewhere / "bin" / "crossbar")
    assert find_crossbar(elsewhere, {"PATH": str(on_path.parent)}) == beside


def test_path_comes_last(elsewhere: Path) -> None:
    on_path = executable(elsewhere / "bin" / "crossbar")
    assert find_crossbar(elsewhere, {"PATH": str(on_path.parent)}) == on_path


def test_the_current_folder_is_where_it_begins(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = executable(elsewhere / ".venv-crossbar/bin/crossbar")
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("WAMPY_CROSSBAR", raising=False)
    assert find_crossbar() == found


def test_what_cannot_be_executed_does_not_count(elsewhere: Path) -> None:
    executable(elsewhere / ".venv-crossbar/bin/crossbar").chmod(0o644)
    with pytest.raises(CrossbarNotFound, match=r"no Crossbar is installed.*pip install"):
        find_crossbar(elsewhere, {"PATH": ""})
