"""The manifest as a tree whose every value knows where it stands in the file.

References to variables are replaced while the tree is made. Merging ``[defaults]`` keeps the
places, so a fault in a default is found where it was written, once, however many Peers inherit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.manifest.faults import Path, shown
from orchestrator.manifest.interpolation import InterpolationError, interpolate


class Broken:
    """Stands for a value whose reference could not be replaced; its fault is reported already."""


BROKEN = Broken()


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the manifest.

    Attributes:
        path: where it stands.
        value: of a table, a dict of Nodes; of a list, a list of Nodes; else what TOML gave.
        is_whole_reference: it was one ``${…}`` and nothing else: its text may stand for a number.
    """

    path: Path
    value: Any
    is_whole_reference: bool = False

    def plain(self) -> Any:
        """Give the value without Nodes; a whole reference to a number or boolean as such."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return scalar(self.value) if self.is_whole_reference else self.value


@dataclass(slots=True)
class Reading:
    """The faults found so far, each once, in the order they were found."""

    found: dict[tuple[Path, str], None] = field(default_factory=dict)

    def fault(self, path: Path, message: str) -> None:
        """Note a fault; what is noted a second time counts once."""
        self.found[(path, message)] = None

    def wrong(self, node: Node, expected: str, *, secret: bool = False) -> None:
        """Note that ``node`` is not what is expected there."""
        self.fault(node.path, f"expected {expected}, got {shown(node.value, secret=secret)}")


def scalar(text: Any) -> Any:
    """Give the number or boolean that ``text`` spells in TOML, else ``text`` itself."""
    if text in ("true", "false"):
        return text == "true"
    digits = text.lstrip("+-")
    if not digits[:1].isdigit() or (digits[:1] == "0" and digits[1:2].isdigit()):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def tree(value: Any, path: Path, variables: Mapping[str, str], reading: Reading) -> Node:
    """Make the Node of a TOML value, with the references in its strings replaced."""
    if isinstance(value, dict):
        children = {k: tree(v, (*path, k), variables, reading) for k, v in value.items()}
        return Node(path, children)
    if isinstance(value, list):
        return Node(path, [tree(v, (*path, i), variables, reading) for i, v in enumerate(value)])
    if isinstance(value, str):
        try:
            text, is_whole = interpolate(value, variables)
        except InterpolationError as error:
            reading.fault(path, str(error))
            return Node(path, BROKEN)
        return Node(path, text, is_whole)
    return Node(path, value)


def merged(under: Node, over: Node) -> Node:
    """Lay a table over another: tables merge by key, everything else is replaced."""
    result = dict(under.value)
    for key, node in over.value.items():
        below = result.get(key)
        if below is not None and isinstance(below.value, dict) and isinstance(node.value, dict):
            node = merged(below, node)
        result[key] = node
    return Node(over.path, result)
