"""The principals of one run."""

from __future__ import annotations

from orchestrator.manifest.model import Join
from orchestrator.router.principals import ANONYMOUS, joined_as, new_principals


def test_each_run_has_tickets_of_its_own() -> None:
    first, second = new_principals(), new_principals()
    tickets = {
        credential.secret
        for run in (first, second)
        for credential in (run.orchestrator, run.peer, run.operator)
    }
    assert len(tickets) == 6
    assert all(ticket is not None and len(ticket) >= 32 for ticket in tickets)


def test_the_authids_are_the_roles() -> None:
    principals = new_principals()
    assert principals.orchestrator.authid == "orchestrator"
    assert principals.peer.authid == "peer"
    assert principals.operator.authid == "operator"


def test_no_repr_shows_a_ticket() -> None:
    principals = new_principals()
    assert principals.peer.secret is not None
    assert principals.peer.secret not in repr(principals)


def test_a_foreign_router_is_joined_in_one_way_by_all() -> None:
    joined = joined_as(Join("alice", "secret"))
    assert joined.orchestrator == joined.peer == joined.operator
    assert (joined.peer.authid, joined.peer.secret) == ("alice", "secret")


def test_without_a_join_everybody_is_anonymous() -> None:
    assert joined_as(None).peer == ANONYMOUS
