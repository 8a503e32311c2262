"""Which files the Peers' code is in, and which of them have changed since they were imported.

Rules:

- a nursery tells of each local module that it has imported the file and its digest; what belongs to
  the interpreter, to installed packages or to wampy itself is not local, and does not change;
- a Peer depends on the file of its module and on whatever that imports, at the top or within a
  function, as far as it is local: found by reading the imports, not by running anything;
- a local file that was not imported (within a function only) has changed when it is newer than the
  import of its Peer.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType

#: Packages of our own: a new version of them is for a new stack.
_OURS = ("wampy", "orchestrator")


@dataclass(frozen=True, slots=True)
class Code:
    """The local modules that were imported for some Peers.

    Attributes:
        files: by module: the path of its file, and its digest.
        imported_at: seconds since the epoch.
    """

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    imported_at: float = 0.0


def local_files(modules: Mapping[str, ModuleType]) -> dict[str, tuple[str, str]]:
    """Give path and digest of each local module among these (``sys.modules``)."""
    found = {}
    for name, module in sorted(modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and _is_local(name, file):
            digest = digest_of(file)
            if digest is not None:
                found[name] = (file, digest)
    return found


def digest_of(path: str) -> str | None:
    """Give the digest of a file's content; None where it cannot be read."""
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return None


def changed_files(code: Code, root: Path, modules: Iterable[str]) -> list[str]:
    """Give the files that have changed among those on which some modules depend.

    Args:
        code: what was imported.
        root: the manifest's folder, where modules are found first.
        modules: of a Peer, and those that are imported before it.

    Returns:
        Their paths, sorted; relative to ``root`` where they are below it.
    """
    changed = set()
    for path in files_of(code, root, modules):
        known = {file: digest for file, digest in code.files.values()}.get(path)
        if known is not None:
            is_changed = digest_of(path) != known
        else:
            is_changed = _modified_at(path) > code.imported_at
        if is_changed:
            changed.add(_shown(path, root))
    return sorted(changed)


def files_of(code: Code, root: Path, modules: Iterable[str]) -> set[str]:
    """Give the local files on which some modules depend, their own among them."""
    found: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        # ``import a.b.c`` imports ``a`` and ``a.b`` as well.
        for module in _with_parents(name):
            path = None if module in found else _path_of(code, root, module)
            if path is not None:
                found[module] = path
                todo += _imports_of(path, module)
    return set(found.values())


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _path_of(code: Code, root: Path, module: str) -> str | None:
    if module in code.files:
        return code.files[module][0]
    if module.partition(".")[0] in (*_OURS, *sys.stdlib_module_names):
        return None
    place = root.joinpath(*module.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return str(path)
    return None


def _imports_of(path: str, module: str) -> list[str]:
    """Give the names of what a file imports; also of what turns out to be no module."""
    digest = digest_of(path)
    return [] if digest is None else list(_parsed_imports(path, module, digest))


@lru_cache(maxsize=4096)
def _parsed_imports(path: str, module: str, digest: str) -> tuple[str, ...]:
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()  # it cannot be imported either, which says more than we could here
    package = module if Path(path).name == "__init__.py" else module.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base is not None:
                found.append(base)
                found += [f"{base}.{alias.name}" for alias in node.names if alias.name != "*"]
    return tuple(name for name in found if name)


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    if node.level - 1 > len(parts):
        return None
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)


def _is_local(name: str, file: str) -> bool:
    if not file.endswith(".py") or name.partition(".")[0] in _OURS:
        return False
    return not any(Path(file).is_relative_to(folder) for folder in _not_local())


@lru_cache(maxsize=1)
def _not_local() -> tuple[str, ...]:
    """Folders of the interpreter and of installed packages."""
    paths = sysconfig.get_paths()
    return tuple({paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def _modified_at(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _shown(path: str, root: Path) -> str:
    try:
        return str(Path(path).relative_to(root))
    except ValueError:
        return path
