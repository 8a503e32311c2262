"""Manifests written and read in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.errors import ManifestError
from orchestrator.manifest import Manifest, load_manifest

PEER = '[peers.search]\napp = "services.search:Search"\n'

Load = Callable[..., Manifest]


def written(folder: Path, text: str) -> Path:
    path = folder / "wampy.toml"
    path.write_text(text)
    return path


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Manifest:
    return load_manifest(written(folder, text), environ or {})


def faults(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Give the faults of a manifest, without the folder that they begin with."""
    try:
        load(folder, text, environ)
    except ManifestError as error:
        return [line.removeprefix(f"{folder}/") for line in str(error).split("\n")]
    return []
