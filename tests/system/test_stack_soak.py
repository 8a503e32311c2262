"""A minute of a stack of 20 Peers under calls, to which every fault is done that can be, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import TIME_SCALE

ROOT = Path(__file__).parents[2]


def test_every_fault_under_load_loses_no_more_than_it_must() -> None:
    """See ``benchmarks/stack_soak``: what it does, what it looks at, and when it fails."""
    soak = subprocess.run(
        [sys.executable, "-m", "benchmarks.stack_soak", "--minutes", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240 + 120 * TIME_SCALE,
    )
    assert soak.returncode == 0, f"{soak.stdout}\n{soak.stderr}"
