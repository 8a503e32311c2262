"""A manifest with any ``[router]``, without a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest.model import LogsSection, Manifest, RouterSection, StackSection

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

    def make(
        realm: str = "realm1", environ: dict[str, str] | None = None, **router: Any
    ) -> Manifest:
        values: dict[str, Any] = {
            "type": "crossbar",
            "host": "127.0.0.1",
            "port": 0,
            "path": "/ws",
            "insecure": False,
            "tls": None,
            "config": None,
            "command": None,
            "url": "",
            "join": None,
            "start_timeout_s": 30.0,
            "stop_grace_s": 25.0,
            "anonymous": "anonymous",
            "tickets": {},
            "roles": {},
        }
        return Manifest(
            path=tmp_path / "wampy.toml",
            root=tmp_path,
            stack=StackSection("demo", realm, run_dir, (), "keep", False),
            logs=LogsSection(10_000, 2, "text"),
            router=RouterSection(**{**values, **router}),
            peers={},
            environ={} if environ is None else environ,
        )

    return make
