"""The docstrings of Python's standard library, read from its sources; nothing is imported.

Importing a module runs it: some print poems, open browsers or start threads. ``ast`` only reads.
What has no source (modules written in C, such as ``math``) has no docstring to read this way, and
is left out.
"""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_Scope = ast.Module | ast.ClassDef
_Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

#: The longest title, in characters: some signatures fill a page.
MAX_TITLE_LENGTH = 200


class UnreadableSource(Exception):
    """A file that is no Python of this version, or cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the library: the module's dotted name, and where it is."""

    module: str
    path: Path


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring, and what it is of.

    Attributes:
        name: dotted, with the module: ``contextlib.ExitStack.close``.
        title: how that is written: ``class contextlib.ExitStack(_BaseExitStack)``.
        text: the docstring without its indentation.
    """

    name: str
    title: str
    text: str


def library_sources(
    folder: Path | None = None, names: Iterable[str] = sys.stdlib_module_names
) -> list[Source]:
    """Give the files of the standard library, in the order of their modules' names.

    Args:
        folder: where the library is; default: that of the running Python.
        names: of its modules and packages; Python lists its own, which keeps out what pip
            installed beside them, and CPython's test suite.

    Raises:
        FileNotFoundError: there are no sources, as in a Python that ships its library as a zip.
    """
    folder = folder or Path(sysconfig.get_path("stdlib"))
    sources = []
    for name in names:
        if (folder / f"{name}.py").is_file():
            sources.append(Source(name, folder / f"{name}.py"))
        if (folder / name).is_dir():
            sources += _package_sources(folder / name)
    if not sources:
        raise FileNotFoundError(f"no sources of the standard library in {folder}")
    return sorted(sources, key=lambda source: source.module)


def _package_sources(package: Path) -> Iterator[Source]:
    for path in package.rglob("*.py"):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        yield Source(".".join(parts), path)


def read_docstrings(source: Source) -> list[Docstring]:
    """Give the docstrings of a module, its classes and their methods, and its functions.

    What is defined inside a function cannot be reached from outside and is left out. Where
    something is defined several times (for several platforms, or a property and its setter), the
    first one with a docstring counts.

    Raises:
        UnreadableSource: the file cannot be read or parsed.
    """
    try:
        with warnings.catch_warnings():
            # What the library's own sources are warned for is not our reader's concern.
            warnings.simplefilter("ignore")
            # Bytes, not text: ast then decodes as the file's own coding line says.
            tree = ast.parse(source.path.read_bytes(), str(source.path))
        found: dict[str, Docstring] = {}
        for docstring in _docstrings(tree, source.module):
            found.setdefault(docstring.name, docstring)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = str(error) or type(error).__name__
        raise UnreadableSource(f"{type(error).__name__}: {text}") from error
    return list(found.values())


def _docstrings(scope: _Scope, name: str) -> Iterator[Docstring]:
    """Give a module's or class's own docstring, then what is in it, from top to bottom."""
    if isinstance(scope, ast.Module) and (text := _text_of(scope)):
        yield Docstring(name, name, text)
    for node in _definitions(scope.body):
        inner = f"{name}.{node.name}"
        if text := _text_of(node):
            yield Docstring(inner, _title(node, inner), text)
        if isinstance(node, ast.ClassDef):
            yield from _docstrings(node, inner)


def _definitions(body: Iterable[ast.AST]) -> Iterator[_Named]:
    """Give the classes and functions of a body, those below ``if``, ``try`` and ``with`` too."""
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
        elif isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from _definitions(ast.iter_child_nodes(node))


def _text_of(node: _Scope | _Named) -> str:
    """Give a docstring as ``inspect`` would, in characters that any encoding can hold."""
    text = ast.get_docstring(node, clean=False)
    return "" if text is None else _printable(inspect.cleandoc(text))


def _printable(text: str) -> str:
    """Write half surrogates, which a docstring can hold as escapes, as escapes again."""
    return text.encode("utf-8", "backslashreplace").decode().strip()


def _title(node: _Named, name: str) -> str:
    """Give the definition as it is written, on one line."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in (*node.bases, *node.keywords))
        title = f"class {name}({bases})" if bases else f"class {name}"
    else:
        word = "async def " if isinstance(node, ast.AsyncFunctionDef) else ""
        title = f"{word}{name}({ast.unparse(node.args)})"
        if node.returns is not None:
            title += f" -> {ast.unparse(node.returns)}"
    title = _printable(" ".join(title.split()))
    return title if len(title) <= MAX_TITLE_LENGTH else title[: MAX_TITLE_LENGTH - 1] + "…"
