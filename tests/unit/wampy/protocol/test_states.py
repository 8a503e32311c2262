from __future__ import annotations

import itertools

import pytest

from wampy.protocol.states import SENT, TRANSITIONS, SessionEvent, SessionState

S, E = SessionState, SessionEvent
#: Every edge that there is; what is not here is impossible.
EDGES = {
    (S.NEW, E.SEND_HELLO): S.ESTABLISHING,
    (S.NEW, E.ABORT): S.CLOSED,
    (S.ESTABLISHING, E.WELCOME): S.ESTABLISHED,
    (S.ESTABLISHING, E.CHALLENGE): S.AUTHENTICATING,
    (S.ESTABLISHING, E.ABORT): S.CLOSED,
    (S.AUTHENTICATING, E.WELCOME): S.ESTABLISHED,
    (S.AUTHENTICATING, E.ABORT): S.CLOSED,
    (S.ESTABLISHED, E.SEND_REQUEST): S.ESTABLISHED,
    (S.ESTABLISHED, E.SEND_GOODBYE): S.CLOSING,
    (S.ESTABLISHED, E.TRAFFIC): S.ESTABLISHED,
    (S.ESTABLISHED, E.ABORT): S.CLOSED,
    (S.ESTABLISHED, E.GOODBYE): S.CLOSED,
    (S.CLOSING, E.TRAFFIC): S.CLOSING,
    (S.CLOSING, E.ABORT): S.CLOSED,
    (S.CLOSING, E.GOODBYE): S.CLOSED,
}


def test_the_table_is_total():
    assert set(TRANSITIONS) == set(itertools.product(SessionState, SessionEvent))


@pytest.mark.parametrize(("state", "event"), list(TRANSITIONS), ids=lambda value: value.name)
def test_each_edge(state, event):
    assert TRANSITIONS[state, event] is EDGES.get((state, event))


def test_closed_is_for_good():
    assert {TRANSITIONS[S.CLOSED, event] for event in SessionEvent} == {None}


def test_what_is_ours_to_do():
    assert {event for event in SessionEvent if event.name.startswith("SEND_")} == SENT
