"""Which files a Peer's code is in: found by reading imports, compared by content."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.code import Code, changed_files, digest_of, files_of, local_files

FILES = {
    "app.py": "import lib.deep\nfrom lib import other as o\ndef f():\n    import late\n",
    "lib/__init__.py": "from . import sibling\n",
    "lib/deep.py": "from .sibling import *\nfrom ..nowhere import x\nimport json, msgspec\n",
    "lib/other.py": "from lib.deep import app\n",
    "lib/sibling.py": "",
    "late.py": "import app\n",
    "stranger.py": "",
    "broken.py": "def (:\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def imported(root: Path, *names: str) -> Code:
    """What a nursery would tell of these files."""
    found = {}
    for name in names:
        path = str(root / name)
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        digest = digest_of(path)
        assert digest is not None
        found[module] = (path, digest)
    return Code(found, imported_at=2e9)


def names(paths: set[str], root: Path) -> set[str]:
    return {str(Path(path).relative_to(root)) for path in paths}


def test_what_a_module_depends_on(root: Path) -> None:
    code = imported(root, "app.py", "lib/__init__.py", "lib/deep.py", "stranger.py")
    assert names(files_of(code, root, ["app"]), root) == {
        "app.py", "late.py", "lib/__init__.py", "lib/deep.py", "lib/other.py", "lib/sibling.py",
    }  # fmt: skip
    assert names(files_of(code, root, ["stranger"]), root) == {"stranger.py"}
    assert files_of(code, root, ["nowhere", "json", "wampy.peer"]) == set()


def test_a_file_that_cannot_be_parsed_imports_nothing(root: Path) -> None:
    assert names(files_of(Code(), root, ["broken"]), root) == {"broken.py"}


def test_changed_is_what_has_another_content(root: Path) -> None:
    everything = imported(root, *FILES)
    assert changed_files(everything, root, ["app"]) == []
    os.utime(root / "app.py", (3e9, 3e9))
    assert changed_files(everything, root, ["app"]) == []
    (root / "lib" / "sibling.py").write_text("x = 1\n")
    (root / "stranger.py").write_text("x = 1\n")
    assert changed_files(everything, root, ["app"]) == ["lib/sibling.py"]
    (root / "app.py").unlink()
    assert changed_files(everything, root, ["app"]) == ["app.py"]


def test_what_was_not_imported_has_changed_when_it_is_newer(root: Path) -> None:
    code = imported(root, "app.py", "lib/__init__.py", "lib/deep.py")
    assert changed_files(code, root, ["app"]) == []
    os.utime(root / "late.py", (3e9, 3e9))
    assert changed_files(code, root, ["app"]) == ["late.py"]


def test_files_elsewhere_are_told_in_full(tmp_path: Path, root: Path) -> None:
    place = root / "elsewhere"
    place.mkdir()
    code = imported(root, "app.py")
    (root / "app.py").write_text("")
    assert changed_files(code, place, ["app"]) == [str(root / "app.py")]


def test_only_local_modules_are_told(root: Path) -> None:
    local = ModuleType("local")
    local.__file__ = str(root / "app.py")
    binary = ModuleType("binary")
    binary.__file__ = str(root / "binary.so")
    gone = ModuleType("gone")
    gone.__file__ = str(root / "gone.py")
    modules = {
        **sys.modules,
        "local": local,
        "binary": binary,
        "gone": gone,
        "none": ModuleType("x"),
    }
    found = local_files(modules)
    assert found["local"] == (str(root / "app.py"), digest_of(str(root / "app.py")))
    others = set(found) - {"local"}
    assert not {name for name in others if name.partition(".")[0] in ("wampy", "orchestrator")}
    assert not others & {"binary", "gone", "none", "json", "pytest", "msgspec"}
