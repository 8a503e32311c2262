from __future__ import annotations

import pytest

from wampy.ids import MAX_ID, IdSequence, is_id


@pytest.mark.parametrize("value", [1, 2, MAX_ID])
def test_ids_are_from_1_to_2_to_the_53(value):
    assert is_id(value)


@pytest.mark.parametrize("value", [0, -1, MAX_ID + 1, True, 1.0, "1", None, [1]])
def test_nothing_else_is_an_id(value):
    assert not is_id(value)


def test_request_ids_begin_at_1_and_rise_by_1():
    ids = IdSequence()
    assert [ids.next() for _ in range(3)] == [1, 2, 3]


def test_after_the_largest_comes_1_again():
    ids = IdSequence(MAX_ID - 1)
    assert [ids.next(), ids.next()] == [MAX_ID, 1]


def test_the_last_one_can_be_taken_back():
    ids = IdSequence()
    ids.next()
    ids.take_back(ids.next())
    assert ids.next() == 2


def test_only_the_last_one_can_be_taken_back():
    ids = IdSequence()
    first = ids.next()
    ids.next()
    ids.take_back(first)
    assert ids.next() == 3
