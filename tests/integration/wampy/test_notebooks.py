"""Sessions in a Jupyter kernel, whose main thread has a running event loop; see ``notebook``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RealRouter
from tests.documents import DOCS
from tests.support import TIME_SCALE


@pytest.mark.parametrize("what", ["both", "interrupt"])
def test_a_session_in_a_notebook(builtin_router: RealRouter, tmp_path: Path, what: str) -> None:
    """Both kinds work in one kernel; an interrupt of a call leaves the Session usable."""
    argv = [sys.executable, "-m", "tests.integration.wampy.notebook", what, builtin_router.url]
    done = subprocess.run(
        [*argv, str(tmp_path)],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        timeout=120 * TIME_SCALE,
    )
    assert done.returncode == 0, done.stderr
