"""The tables in docs/states.md are those of the code; `WAMPY_WRITE_DOCS=1` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.core import instance, router
from wampy.protocol import session

DOCUMENT = Path(__file__).parents[2] / "docs" / "states.md"
HEAD = """# States and transitions

Made from the tables in the code (`orchestrator/core/instance.py`, `orchestrator/core/router.py`,
`wampy/protocol/states.py`) by `tests/unit/test_docs.py`, which fails when they differ. A dash:
nothing happens. A cross: impossible; it is told as a bug and changes nothing (in the protocol: a
protocol error).
"""


def actions(table: Mapping[tuple[Any, type], Callable[..., Any] | None]) -> str:
    """Give events down, states across; in the cells what is done."""
    states = list(dict.fromkeys(state for state, _ in table))
    events = list(dict.fromkeys(event for _, event in table))
    lines = ["| event | " + " | ".join(state.value for state in states) + " |"]
    lines.append("|---" * (len(states) + 1) + "|")
    for event in events:
        cells = []
        for state in states:
            action = table[state, event]
            name = "×" if action is None else action.__name__.strip("_").replace("_", " ")
            cells.append("–" if name == "ignore" else name)
        lines.append(f"| {event.__name__} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def transitions() -> str:
    """Give the protocol's states as a diagram, without those that stay as they are."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> NEW"]
    for (old, event), new in session.TRANSITIONS.items():
        if new is not None and new is not old:
            lines.append(f"    {old.name} --> {new.name}: {event.value}")
    return "\n".join([*lines, "```"])


def test_the_tables_are_those_of_the_code() -> None:
    text = "\n".join(
        [
            HEAD,
            "## An Instance\n",
            actions(instance.TABLE),
            "\n## The Router\n",
            actions(router.TABLE),
            "\n## A Session\n",
            transitions(),
            "",
        ]
    )
    if os.environ.get("WAMPY_WRITE_DOCS"):
        DOCUMENT.write_text(text)
    if DOCUMENT.parent.exists():
        assert DOCUMENT.read_text() == text, "run the test with WAMPY_WRITE_DOCS=1"
