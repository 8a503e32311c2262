"""Routers that are started by their plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.router import RouterLaunch
from tests.integration.orchestrator.router.started import Started


@pytest.fixture
def start(run_dir: Path) -> Iterator[Callable[[RouterLaunch], Started]]:
    """Carry a plan out; what was started is ended after the test."""
    started: list[Started] = []

    def start(launch: RouterLaunch) -> Started:
        started.append(Started(launch, run_dir / f"log{len(started)}"))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.close()
