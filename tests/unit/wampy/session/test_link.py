"""Over which connections one may join; which of them live."""

from __future__ import annotations

from typing import Any

import pytest

from wampy.auth import Authentication, Cryptosign, Ticket
from wampy.errors import ConnectFailed, ConnectionLost
from wampy.protocol.session import ClientProtocol
from wampy.session.link import Link, link_over
from wampy.transports.frames import WebSocketCodec

BOUND = Cryptosign("joe", "11" * 32, channel_binding="tls-unique")


class Connected:
    """What is asked of a transport before anything is sent."""

    url = "ws://router/ws"
    serializer_name = "json"
    is_closed = False
    sent_bytes = 0
    max_send_bytes = 2**24

    def __init__(self, *, is_tls: bool, channel_id: bytes | None = None) -> None:
        self.is_tls = self.is_private = is_tls
        self._channel_id = channel_id

    def channel_id(self) -> bytes | None:
        return self._channel_id

    def close(self) -> None:
        self.is_closed = True


class Slow(Connected):
    """Takes bytes when it is told to, and gives none."""

    def __init__(self) -> None:
        super().__init__(is_tls=False)
        self.codec = WebSocketCodec(is_binary=True, max_receive_bytes=1000)
        self.under_way = 0

    def under_way_bytes(self) -> int:
        return self.under_way


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


# ---------------------------------------------------------------------- is it alive


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def link(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> Link:
    """Asks after 10 s of silence, and waits 5 s for an answer; it is 1000."""
    monkeypatch.setattr("wampy.session.link.time.monotonic", lambda: 1000.0)
    made = Link(
        slow,  # type: ignore[arg-type]
        ClientProtocol("realm1"),
        ping_interval_s=10.0,
        ping_timeout_s=5.0,
    )
    made.is_joined = True
    return made


def test_silence_is_asked_about_and_then_the_end(link: Link) -> None:
    link.tick_locked(1009.9)
    assert (len(link.outbox), link.tick_at) == (0, 1010.0)
    link.tick_locked(1010.0)
    assert (len(link.outbox), link.tick_at) == (1, 1015.0)
    link.tick_locked(1014.9)
    assert len(link.outbox) == 1
    with pytest.raises(ConnectionLost, match=r"no sign of life for 15\.0 s"):
        link.tick_locked(1015.0)


def test_what_is_taken_ahead_of_the_ping_is_a_sign_of_life(link: Link, slow: Slow) -> None:
    """From the outbox, and then from what the kernel has; not the ping itself."""
    link.post_frame_locked(b"x" * 1000)
    link.tick_locked(1010.0)
    assert link.tick_at == 1010.5
    slow.sent_bytes = slow.under_way = 500
    link.tick_locked(1010.5)  # nobody has taken anything but the kernel
    assert link.tick_at == 1011.0
    slow.under_way = 400
    link.tick_locked(1014.0)
    slow.sent_bytes = 600
    link.tick_locked(1018.0)
    slow.sent_bytes = slow.under_way = 1000 + len(link.outbox[-1])
    slow.under_way -= 300
    link.tick_locked(1022.0)
    slow.under_way = 5  # some of the ping
    link.tick_locked(1026.0)
    assert link.tick_at == 1031.0
    slow.under_way = 0
    link.tick_locked(1030.9)
    with pytest.raises(ConnectionLost, match="no sign of life"):
        link.tick_locked(1031.0)


def test_who_takes_no_more_is_found(link: Link, slow: Slow) -> None:
    link.post_frame_locked(b"x" * 1000)
    slow.sent_bytes, slow.under_way = 500, 500
    link.tick_locked(1010.0)
    link.tick_locked(1014.9)
    with pytest.raises(ConnectionLost, match=r"no sign of life for 15\.0 s"):
        link.tick_locked(1015.0)


def test_what_is_posted_behind_the_ping_is_none(link: Link, slow: Slow) -> None:
    link.tick_locked(1010.0)
    slow.sent_bytes = len(link.outbox[0])
    for _ in range(3):
        link.post_frame_locked(b"x" * 1000)
    slow.sent_bytes += 2000
    with pytest.raises(ConnectionLost, match="no sign of life"):
        link.tick_locked(1015.0)


def test_the_router_says_how_much_it_takes(link: Link, slow: Slow) -> None:
    link.protocol.details = {"_max_message_bytes": 50}
    link.joined_locked()
    assert slow.max_send_bytes == 50
    link.protocol.details = {"_max_message_bytes": 2**30}
    link.joined_locked()
    assert slow.max_send_bytes == 50
