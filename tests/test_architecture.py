"""Who may import whom; walked by the imports, not by review.

The packages are found where Python finds them, so this holds for the installed wheel as well.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = ("wampy", "orchestrator", "services")
#: What each package may not import.
SIBLINGS = {
    "wampy": ("orchestrator", "services"),
    "orchestrator": ("services",),
    "services": ("orchestrator",),
}
#: wampy's layers, the highest first; a module imports its own layer and lower ones only.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("wampy.testing", "wampy.compat", "wampy.router", "wampy.aio"),
    ("wampy.host", "wampy.registry"),
    ("wampy.peer", "wampy.entrypoints", "wampy.interfaces", "wampy.logging"),
    ("wampy.session",),
    ("wampy.protocol", "wampy.transports", "wampy.dispatch"),
    ("wampy.serializers", "wampy.auth"),
    ("wampy.messages", "wampy.options"),
    ("wampy.errors", "wampy.uris", "wampy.ids", "wampy.clock", "wampy.durations"),
)
#: Upward, inside one function: ``Message.serialize()`` is a convenience of the founding API.
EXCEPTIONS = {("wampy.messages.base", "wampy.serializers")}
#: What the orchestrator's decisions are made of: no IO, no clock, no randomness, no logging.
CORE_MAY_IMPORT = {
    "__future__", "typing", "dataclasses", "enum", "collections", "orchestrator.core",
}  # fmt: skip
#: Sans-IO: what neither the protocol nor the messages may touch.
IO_MODULES = {
    "asyncio", "logging", "os", "queue", "random", "select", "selectors", "signal", "socket",
    "ssl", "subprocess", "threading", "time", "websocket",
}  # fmt: skip
#: Modules of the Router that decide, without sockets; clock and randomness are arguments.
ROUTER_CORE = (
    "authorization", "broker", "calls", "dealer", "meta", "patterns", "realm", "sessions",
)  # fmt: skip
#: Modules of the library where threads are made or waited for.
THREADED = (
    "wampy.session", "wampy.transports", "wampy.dispatch", "wampy.host", "wampy.peer",
    "wampy.registry", "wampy.testing",
)  # fmt: skip
#: Processes of the orchestrator that fork: they may not start a thread.
FORKING = (
    "supervisor",
    "guard",
    "nursery",
    "nurseries",
    "loop",
    "processes",
    "router_process",
    "foreign",
)


@dataclass(frozen=True)
class Import:
    """One imported module, as it would be named in ``sys.modules``."""

    importer: str
    imported: str
    line: int
    is_for_types: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"

    def is_of(self, module: str) -> bool:
        return self.imported == module or self.imported.startswith(module + ".")


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None:
            continue
        for root in map(Path, spec.submodule_search_locations or ()):
            for path in sorted(root.rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                yield ".".join((package, *(part for part in parts if part != "__init__"))), path


def imports() -> Iterator[Import]:
    for name, path in MODULES:
        tree = ast.parse(path.read_text(), str(path))
        for_types = {
            id(node)
            for branch in ast.walk(tree)
            if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
            for node in ast.walk(branch)
        }
        for node in ast.walk(tree):
            for imported in imported_by(node, name, is_package=path.name == "__init__.py"):
                yield Import(name, imported, getattr(node, "lineno", 0), id(node) in for_types)


def imported_by(node: ast.AST, importer: str, *, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = importer.split(".") + ([""] if is_package else [])
            base = ".".join(filter(None, [*parts[: -node.level], base]))
        for alias in node.names:
            # `from package import module` imports the module; `from module import name` does not.
            both = f"{base}.{alias.name}"
            is_module = base.split(".")[0] in PACKAGES and any(both == name for name, _ in MODULES)
            yield both if is_module else base


# Without an __init__.py, or with two paths to one folder, a module would be walked twice.
MODULES = list(dict(modules()).items())
IMPORTS = list(imports())


def layer_of(module: str) -> int | None:
    """Give the number of the module's layer, 0 the highest; None: in none (``wampy`` itself)."""
    for number, layer in enumerate(LAYERS):
        if any(module == member or module.startswith(member + ".") for member in layer):
            return number
    return None


def test_there_is_something_to_walk() -> None:
    assert {name for name, _ in MODULES} >= {"wampy.testing.executables", "orchestrator.core"}
    assert any(found.imported == "orchestrator.core.states" for found in IMPORTS)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_a_sibling_that_it_must_not_know(package: str) -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.split(".")[0] == package
        and found.imported.split(".")[0] in SIBLINGS[package]
    ]
    assert not wrong, list(map(str, wrong))


def test_the_library_imports_downward_only() -> None:
    """Within ``wampy`` a lower layer knows no higher one, except for type checkers."""
    wrong = [
        found
        for found in IMPORTS
        if (own := layer_of(found.importer)) is not None
        and (other := layer_of(found.imported)) is not None
        and other < own
        and not found.is_for_types
        and (found.importer, found.imported) not in EXCEPTIONS
    ]
    assert not wrong, list(map(str, wrong))


def test_every_module_of_the_library_has_a_layer() -> None:
    without = [name for name, _ in MODULES if name.startswith("wampy.") and layer_of(name) is None]
    assert not without, f"name them in LAYERS: {without}"


def test_the_core_decides_without_io_clock_randomness_or_logging() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.startswith("orchestrator.core")
        and not any(found.is_of(allowed) for allowed in CORE_MAY_IMPORT)
    ]
    assert not wrong, list(map(str, wrong))


@pytest.mark.parametrize(
    "layer",
    [
        "wampy.protocol", "wampy.messages", "wampy.serializers",
        *(f"wampy.router.{module}" for module in ROUTER_CORE),
    ],
)  # fmt: skip
def test_protocol_and_messages_and_the_core_of_the_router_are_without_io(layer: str) -> None:
    assert any((name + ".").startswith(layer + ".") for name, _ in MODULES)
    wrong = [
        found
        for found in IMPORTS
        if (found.importer + ".").startswith(layer + ".")
        and not found.is_for_types
        and any(found.is_of(module) for module in IO_MODULES)
    ]
    assert not wrong, list(map(str, wrong))


def test_threads_are_in_few_modules_of_the_library() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.importer.startswith("wampy")
        and found.is_of("threading")
        and not any((found.importer + ".").startswith(module + ".") for module in THREADED)
    ]
    assert not wrong, list(map(str, wrong))


def test_the_websocket_client_is_in_the_transports_only() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.is_of("websocket") and not found.importer.startswith("wampy.transports")
    ]
    assert not wrong, list(map(str, wrong))


def test_what_forks_starts_no_thread() -> None:
    """A fork copies locks that another thread holds, and not the thread that would release them."""
    wrong = [
        found
        for found in IMPORTS
        if found.importer in {f"orchestrator.{module}" for module in FORKING}
        and (found.is_of("threading") or found.is_of("concurrent") or found.is_of("asyncio"))
    ]
    assert not wrong, list(map(str, wrong))
