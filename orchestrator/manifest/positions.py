"""On which line of the text a path stands.

``tomllib`` keeps no positions, so the text is parsed again, by ``tomlkit``, which gives every
character back. A mark is put at the place in question, the document is written out, and the
newlines before the mark are counted. That costs some milliseconds a fault, and only a fault.
"""

from __future__ import annotations

from typing import Any

from orchestrator.manifest.faults import Path

_MARK = "\x01wampy\x01"
_SPELT = "\\u0001wampy\\u0001"


class Positions:
    """Finds lines in one text, which is valid TOML."""

    def __init__(self, text: str) -> None:
        self._text = text

    def line_of(self, path: Path) -> int | None:
        """Give the line, from 1, of the value at ``path``, or of the nearest table around it.

        A table's line is that of its header; None when nothing of the path is in the text.
        """
        while path:
            line = self._marked_line(path)
            if line is not None:
                return line
            path = path[:-1]
        return None

    def _marked_line(self, path: Path) -> int | None:
        import tomlkit

        try:
            document = tomlkit.parse(self._text)
            _mark(document, path)
            before, mark, _ = tomlkit.dumps(document).partition(_SPELT)
        except Exception:
            # A line number is a courtesy: no shape of a document may turn it into another error.
            return None
        return before.count("\n") + 1 if mark else None


def _mark(document: Any, path: Path) -> None:
    """Put the mark into the header of the table at ``path``, or in the place of its value."""
    from tomlkit.container import OutOfOrderTableProxy
    from tomlkit.items import AoT, Table

    parent: Any = document
    for part in path[:-1]:
        parent = parent[part]
    item = parent[path[-1]]
    while isinstance(item, AoT | OutOfOrderTableProxy) or (
        isinstance(item, Table) and item.is_super_table()
    ):
        # Without a header of its own, or with several: the first thing inside.
        parent, key = item, 0 if isinstance(item, AoT) else next(iter(item))
        item = parent[key]
        path = (*path, key)
    if isinstance(item, Table):
        item.comment(_SPELT)
    else:
        parent[path[-1]] = _MARK
