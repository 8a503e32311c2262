from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.dependencies import find_cycles, start_order


@pytest.mark.parametrize(
    ("graph", "order"),
    [
        ({}, []),
        ({"b": [], "a": []}, ["b", "a"]),
        ({"a": ["b"], "b": []}, ["b", "a"]),
        ({"a": ["c", "b"], "b": [], "c": []}, ["c", "b", "a"]),
        ({"a": ["b"], "b": ["c"], "c": []}, ["c", "b", "a"]),
        ({"a": ["unknown"]}, ["a"]),
    ],
)
def test_dependencies_come_first_else_the_order_given(graph, order):
    assert start_order(graph) == order


@pytest.mark.parametrize(
    ("graph", "cycles"),
    [
        ({"a": ["b"], "b": []}, []),
        ({"a": ["a"]}, [["a", "a"]]),
        ({"a": ["b"], "b": ["a"]}, [["a", "b", "a"]]),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, [["a", "b", "c", "a"]]),
        ({"a": ["a"], "b": ["c"], "c": ["b"]}, [["a", "a"], ["b", "c", "b"]]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
    ],
)
def test_each_cycle_is_found_once(graph, cycles):
    assert find_cycles(graph) == cycles


NAMES = [f"n{i}" for i in range(8)]


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), unique=True, max_size=4)
    )
)
def test_an_order_exists_exactly_where_there_is_no_cycle(graph):
    order = start_order(graph)
    assert sorted(order) == sorted(graph)
    place = {name: at for at, name in enumerate(order)}
    is_ordered = all(
        place[needed] < place[name] for name in graph for needed in graph[name] if needed in graph
    )
    assert is_ordered == (not find_cycles(graph))
    for cycle in find_cycles(graph):
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in itertools.pairwise(cycle))


def test_a_chain_longer_than_the_recursion_limit():
    graph = {f"n{i}": [f"n{i + 1}"] for i in range(5000)} | {"n5000": []}
    assert start_order(graph)[0] == "n5000"
    assert find_cycles(graph) == []
