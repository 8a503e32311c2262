"""Manifests without a file, with any ``[router]``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.manifest.model import LogsSection, Manifest, RouterSection, StackSection

_ROUTER: dict[str, Any] = {
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


def manifest_of(
    root: Path,
    run_dir: Path,
    *,
    realm: str = "realm1",
    environ: Mapping[str, str] | None = None,
    **router: Any,
) -> Manifest:
    """Give a manifest of the stack ``demo`` without Peers; ``router`` as in ``RouterSection``."""
    return Manifest(
        path=root / "wampy.toml",
        root=root,
        stack=StackSection("demo", realm, run_dir, (), "one_for_one", "keep", False),
        logs=LogsSection(10_000, 2, "text"),
        router=RouterSection(**{**_ROUTER, **router}),
        peers={},
        environ=dict(environ or {}),
    )
