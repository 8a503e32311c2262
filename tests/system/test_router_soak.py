"""A minute of the built-in Router at full load, among clients that misbehave in every way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import TIME_SCALE

ROOT = Path(__file__).parents[2]


def test_a_minute_at_full_load_loses_and_leaves_nothing() -> None:
    """See ``benchmarks/router_soak``: what it looks at, and when it fails."""
    soak = subprocess.run(
        [sys.executable, "-m", "benchmarks.router_soak", "--seconds", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 180 * TIME_SCALE,
    )
    assert soak.returncode == 0, f"{soak.stdout}\n{soak.stderr}"
