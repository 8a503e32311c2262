from __future__ import annotations

import pytest

from wampy.auth import Anonymous, Ticket
from wampy.errors import LocalProtocolError
from wampy.messages import Authenticate, Challenge


def test_anonymous_says_nothing():
    assert Anonymous().hello_details() == {}


def test_anonymous_has_no_answer():
    with pytest.raises(LocalProtocolError, match="'ticket'; give authid and ticket"):
        Anonymous().authenticate(Challenge(authmethod="ticket"))


def test_a_ticket_is_offered_with_its_authid():
    details = Ticket("joe", "secret").hello_details()
    assert details == {"authmethods": ["ticket"], "authid": "joe"}


def test_a_ticket_answers_its_challenge():
    answer = Ticket("joe", "secret").authenticate(Challenge(authmethod="ticket"))
    assert answer == Authenticate(signature="secret", extra={})


def test_a_ticket_answers_no_other_challenge():
    """A Router that asks for another method would get the ticket in a form that it leaks."""
    with pytest.raises(LocalProtocolError, match="'wampcra', but only ticket") as failure:
        Ticket("joe", "secret").authenticate(Challenge(authmethod="wampcra"))
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("wrong", [b"secret", 5, None, "", ["secret"]])
def test_a_ticket_and_its_authid_are_texts(wrong):
    """A Router ends the connection for anything else, and does not say why."""
    for what, arguments in (("authid", (wrong, "x")), ("ticket", ("joe", wrong))):
        with pytest.raises(LocalProtocolError, match=f"^{what} is ") as failure:
            Ticket(*arguments)
        assert "secret" not in str(failure.value)


def test_a_ticket_is_never_shown():
    ticket = Ticket("joe", "secret")
    for shown in (repr(ticket), str(ticket), f"{[ticket]}"):
        assert "secret" not in shown
        assert "joe" in shown
