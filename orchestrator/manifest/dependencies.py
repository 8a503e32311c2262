"""Who needs whom: the order of start, and cycles. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def start_order(graph: Graph) -> list[str]:
    """Give all names, dependencies first, else in the order given.

    Args:
        graph: for each name, what it needs; without cycles. Unknown names are left out.
    """
    order: list[str] = []
    seen: set[str] = set()
    for name in graph:
        _visit(graph, name, seen, order)
    return order


def _visit(graph: Graph, name: str, seen: set[str], order: list[str]) -> None:
    """Append ``name`` after what it needs; a stack of its own, since chains may be long."""
    pending: list[tuple[str, bool]] = [(name, False)]
    while pending:
        current, done = pending.pop()
        if done:
            order.append(current)
        elif current in graph and current not in seen:
            seen.add(current)
            pending.append((current, True))
            pending.extend((needed, False) for needed in reversed(graph[current]))


def find_cycles(graph: Graph) -> list[list[str]]:
    """Give each cycle once, as ``["a", "b", "a"]``, from where the order given meets it first."""
    cycles: list[list[str]] = []
    done: set[str] = set()
    for start in graph:
        trail: list[str] = []
        pending: list[tuple[str, int]] = [(start, 0)]
        while pending:
            name, depth = pending.pop()
            del trail[depth:]
            if name in trail:
                cycles.append([*trail[trail.index(name) :], name])
            elif name in graph and name not in done:
                trail.append(name)
                pending.extend((needed, len(trail)) for needed in reversed(graph[name]))
                # Whatever leads back here is found on this trail; a later trail would repeat it.
                done.add(name)
    return cycles
