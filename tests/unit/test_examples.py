"""The examples of every document: Python that compiles, TOML that is of a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import DOCS, README, blocks
from tests.unit.orchestrator.manifest.support import PEER, load

DOCUMENTS = (README, *sorted(DOCS.glob("*.md")))
PYTHON = [(path, *found) for path in DOCUMENTS for found in blocks(path)]
TOML = [(path, *found) for path in DOCUMENTS for found in blocks(path, "toml")]


def ids(examples: list[tuple[Path, int, str]]) -> list[str]:
    return [f"{path.name}:{line}" for path, line, _ in examples]


@pytest.mark.parametrize(("path", "line", "source"), PYTHON, ids=ids(PYTHON))
def test_python_compiles(path: Path, line: int, source: str) -> None:
    compile(source, f"{path.name}:{line}", "exec")


@pytest.mark.parametrize(("path", "line", "text"), TOML, ids=ids(TOML))
def test_toml_is_part_of_a_manifest(tmp_path: Path, path: Path, line: int, text: str) -> None:
    """With a Peer where it has none; what it takes from the environment is there."""
    whole = text if "[peers." in text else f"{text}\n{PEER}"
    manifest = load(tmp_path, whole, {"STACKS_PASSWORD": "s3cret"})
    assert manifest.peers, f"{path.name}:{line}"


def test_there_are_examples() -> None:
    """The pattern that finds them has not gone astray."""
    assert len(PYTHON) > 25
    assert len(TOML) >= 4


def test_every_fence_names_a_language_that_is_looked_at() -> None:
    known = {"", "python", "toml", "sh", "mermaid", "ini", "js", "json", "yaml", "dockerfile"}
    for path in DOCUMENTS:
        fences = [line[3:] for line in path.read_text().splitlines() if line.startswith("```")]
        assert set(fences) <= known, path.name
        assert len(fences) % 2 == 0, path.name
