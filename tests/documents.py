"""Runs the examples of a document: what stands there is what happens."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support import wait_until

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
#: The Router that the documents name.
URL = "ws://127.0.0.1:8080/ws"


def blocks(path: Path, language: str = "python") -> list[tuple[int, str]]:
    """Give each example of a document in a language, and the line that it begins in."""
    text = path.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: one.start(1)].count("\n"), one[1]) for one in found]


def run_document(path: Path, replaced: Mapping[str, str], capture: Any, **names: Any) -> None:
    """Run a document's examples one after the other, in one namespace, against a Router.

    An expression with ``# → value`` behind it has that value; ``# prints: text`` below a statement
    is what has been printed since the last of these.

    Args:
        path: of the document.
        replaced: what stands in the place of a text of the document, such as the Router's URL.
        capture: pytest's ``capsys``.
        names: what the examples may use, beside ``eventually``, which waits for a condition.
    """
    # A module that can be imported, since hints of classes are looked up there.
    module = sys.modules["wampy_document"] = ModuleType("wampy_document")
    module.__dict__.update({"eventually": wait_until, **names})
    try:
        for line, source in blocks(path):
            for text, other in replaced.items():
                source = source.replace(text, other)
            _run(source, module.__dict__, f"{path.name}:{line}", capture)
    finally:
        del sys.modules["wampy_document"]


def _run(source: str, namespace: dict[str, Any], place: str, capture: Any) -> None:
    lines = source.splitlines()
    for node in ast.parse(source).body:
        last = lines[(node.end_lineno or node.lineno) - 1]
        _, arrow, wanted = last.partition("# → ")
        if isinstance(node, ast.Expr) and arrow:
            code = compile(ast.Expression(node.value), place, "eval")
            got = repr(eval(code, namespace))
            assert got == wanted.strip(), f"{place}, line {node.lineno}: {got}"
        else:
            assert not arrow, f"{place}: only an expression has a value: {last}"
            exec(compile(ast.Module([node], []), place, "exec"), namespace)
    wanted_lines = [line.partition("# prints: ")[2] for line in lines if "# prints: " in line]
    printed = capture.readouterr().out.splitlines()
    if wanted_lines:
        assert printed == wanted_lines, place
