from __future__ import annotations

import pytest

from wampy.errors import NoSuchProcedure
from wampy.messages import Authenticate, Registered, Result
from wampy.protocol.received import Challenged, Reply


@pytest.mark.parametrize(
    ("reply", "args"),
    [
        (Reply(1, Result(request_id=1, args=(1, 2))), (1, 2)),
        (Reply(1, Result(request_id=1, args=None)), ()),
        (Reply(1, Registered(request_id=1, registration_id=2)), ()),
        (Reply(1, None, NoSuchProcedure("a.b", ("words",))), ()),
    ],
)
def test_a_reply_has_the_arguments_of_its_result(reply, args):
    assert reply.args == args


def test_a_challenge_does_not_show_its_answer():
    assert "secret" not in repr(Challenged(Authenticate(signature="secret")))
