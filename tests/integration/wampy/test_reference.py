"""The reference that `make docs` writes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import orchestrator
import wampy
from tests.documents import DOCS
from tests.support import TIME_SCALE


def test_the_reference_has_every_public_name(tmp_path: Path) -> None:
    """It can be written, and says something of each name that `wampy` and `orchestrator` offer."""
    # A process of its own: it imports all names, and makes warnings errors.
    argv = [sys.executable, str(DOCS / "reference.py"), str(tmp_path)]
    subprocess.run(argv, check=True, timeout=60 * TIME_SCALE)
    for module in (wampy, orchestrator):
        page = (tmp_path / f"{module.__name__}.html").read_text()
        assert module.__all__
        for name in module.__all__:
            assert f'id="{name}"' in page, name
            assert inspect.getdoc(getattr(module, name)), name
