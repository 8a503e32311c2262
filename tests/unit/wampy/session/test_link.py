"""Over which connections one may join."""

from __future__ import annotations

from typing import Any

import pytest

from wampy.auth import Authentication, Cryptosign, Ticket
from wampy.errors import ConnectFailed
from wampy.protocol.session import ClientProtocol
from wampy.session.link import Link, link_over

BOUND = Cryptosign("joe", "11" * 32, channel_binding="tls-unique")


class Connected:
    """What is asked of a transport before anything is sent."""

    url = "ws://router/ws"
    serializer_name = "json"
    is_closed = False
    sent_bytes = 0

    def __init__(self, *, is_tls: bool, channel_id: bytes | None = None) -> None:
        self.is_tls = self.is_private = is_tls
        self._channel_id = channel_id

    def channel_id(self) -> bytes | None:
        return self._channel_id

    def close(self) -> None:
        self.is_closed = True


def over(transport: Any, authentication: Authentication) -> Link:
    return link_over(
        transport,
        ClientProtocol("realm1", authentication),
        has_secret=authentication.sends_secret,
        ping=(10.0, 5.0),
    )


def test_a_binding_is_to_the_connection_that_is_there() -> None:
    transport = Connected(is_tls=True, channel_id=bytes(32))
    details = over(transport, BOUND).protocol.hello().details or {}
    assert details["authextra"]["channel_binding"] == "tls-unique"
    assert not transport.is_closed


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (Connected(is_tls=False), "there is no TLS here; use wss:// or tcps://, or channel"),
        (Connected(is_tls=True), "this TLS connection has nothing to tell it by; use channel"),
    ],
)
def test_without_something_to_bind_to_there_is_no_session(
    transport: Connected, reason: str
) -> None:
    with pytest.raises(ConnectFailed, match=f"{transport.url}: channel binding .* {reason}"):
        over(transport, BOUND)
    assert transport.is_closed


def test_a_ticket_does_not_go_where_others_listen() -> None:
    transport = Connected(is_tls=False)
    with pytest.raises(ConnectFailed, match="never sent in the clear"):
        over(transport, Ticket("joe", "secret"))
    assert transport.is_closed
    assert over(Connected(is_tls=True), Ticket("joe", "secret")).is_alive
