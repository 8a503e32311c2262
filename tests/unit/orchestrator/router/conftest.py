"""A manifest with any ``[router]``, without a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest.model import Manifest
from tests.manifests import manifest_of

MakeManifest = Callable[..., Manifest]


@pytest.fixture
def crossbar_program(tmp_path: Path) -> Path:
    """Something that can be executed, for plans that are not carried out."""
    program = tmp_path / ".venv-crossbar" / "bin" / "crossbar"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def make_manifest(tmp_path: Path, run_dir: Path) -> MakeManifest:
    """``make_manifest(realm="realm1", environ={}, **router)``."""

    def make(**options: Any) -> Manifest:
        return manifest_of(tmp_path, run_dir, **options)

    return make
