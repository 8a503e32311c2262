from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.interpolation import InterpolationError, interpolate

VARIABLES = {"A": "1", "EMPTY": "", "B_2": "two"}


@pytest.mark.parametrize(
    ("text", "result", "is_whole"),
    [
        ("", "", False),
        ("plain", "plain", False),
        ("${A}", "1", True),
        ("x${A}", "x1", False),
        ("${A}${A}", "11", False),
        ("${A} ", "1 ", False),
        ("${EMPTY}", "", True),
        ("${NOT:-d}", "d", True),
        ("${EMPTY:-d}", "d", True),
        ("${A:-d}", "1", True),
        ("${NOT:-}", "", True),
        ("${NOT:-a:b-c}", "a:b-c", True),
        ("${NOT:-${B_2}}", "two", True),
        ("${A:-${NOT_USED_SO_NOT_MISSED}}", "1", True),
        ("$$", "$", False),
        ("$${A}", "${A}", False),
        ("$$${A}", "$1", False),
        ("^a$", "^a$", False),
        ("$A", "$A", False),
        ("a$ b", "a$ b", False),
    ],
)
def test_references_are_replaced(text, result, is_whole):
    assert interpolate(text, VARIABLES) == (result, is_whole)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("${NOT}", "NOT is not set, neither in the environment nor in env_file"),
        ("${A", "expected a closing brace"),
        ("a${NOT:-x", "expected a closing brace"),
        ("${}", "expected ${NAME} or ${NAME:-default}, got ${}"),
        ("${1A}", "got ${1A}"),
        ("${A B}", "got ${A B}"),
        ("${A-b}", "got ${A-b}"),
        ("${NOT:-${ALSO_NOT}}", "ALSO_NOT is not set"),
    ],
)
def test_wrong_references_say_what_is_wrong(text, part):
    with pytest.raises(InterpolationError) as caught:
        interpolate(text, VARIABLES)
    assert part in str(caught.value)


@given(st.text(alphabet="${}:-A $"))
def test_any_text_gives_text_or_an_interpolation_error(text):
    try:
        result, _ = interpolate(text, VARIABLES)
    except InterpolationError:
        return
    assert isinstance(result, str)


@given(st.text())
def test_doubled_dollar_signs_stand_for_themselves(text):
    assert interpolate(text.replace("$", "$$"), {})[0] == text
