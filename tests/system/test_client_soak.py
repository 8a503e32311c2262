"""Threads that share one Session, and answers in any order; the whole million is `make soak`'s."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import TIME_SCALE

ROOT = Path(__file__).parents[2]


def test_many_threads_share_a_session_and_no_answer_is_lost_or_swapped() -> None:
    """See ``benchmarks/client_soak``: what it looks at, and when it fails."""
    soak = subprocess.run(
        [sys.executable, "-m", "benchmarks.client_soak", "--calls", "60000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * TIME_SCALE,
    )
    assert soak.returncode == 0, f"{soak.stdout}\n{soak.stderr}"
