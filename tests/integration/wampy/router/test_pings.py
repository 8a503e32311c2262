"""Half-open links are found out: by pings where the transport has some."""

from __future__ import annotations

import socket

import pytest

from tests.support import TIME_SCALE, wait_until

INTERVAL_S, TIMEOUT_S = 0.2, 0.2


@pytest.fixture
def pinging(make_router):
    return make_router(ping_interval_s=INTERVAL_S, ping_timeout_s=TIMEOUT_S)


def test_who_is_silent_and_answers_no_ping_is_cut_off(pinging, client):
    dead = client(pinging.port, websocket=True).join()
    assert dead.request(64, {}, "com.dead")[0] == 65
    caller = client(pinging.path).join()
    connection = pinging.connection(dead.id)
    began = pinging.server.poller.now()
    caller.send(48, 1, {}, "com.dead")
    assert caller.recv()[:5:4] == [8, "wamp.error.canceled"]
    # And what it takes until it is looked at.
    assert pinging.server.poller.now() - began <= (INTERVAL_S + TIMEOUT_S + 0.3) * TIME_SCALE
    assert connection.is_closed
    assert caller.request(48, {}, "wamp.session.count")[3] == [1]


def test_who_answers_pings_may_be_silent(pinging, session):
    one = session(pinging.ws_url, ping_interval=0)
    connection = pinging.connection(one.id)
    pings: list[bytes] = []
    ping = connection.ping

    def noted() -> bool:
        pings.append(b"")
        return ping()

    connection.ping = noted
    wait_until(lambda: len(pings) >= 4)
    assert one.call("wamp.session.count") == 1


def test_a_rawsocket_is_sent_no_pings(pinging, client):
    """Some clients take them for messages, and hang up."""
    one, pinged = client(pinging.path).join(), client(pinging.port, websocket=True).join()
    while pinged.recv() is not None:
        pass
    assert pinged.pings
    assert one.request(48, {}, "wamp.session.count")[3] == [1]


def test_the_kernel_looks_at_a_silent_link_instead(make_router, client):
    """Within the time that a ping would take; for WebSocket it is a second line."""
    router = make_router(ping_interval_s=4.0, ping_timeout_s=6.0)
    connection = router.connection(client(router.port).join().id)
    asked = {
        name: connection._sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}"))
        for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")
    }
    assert asked == {"KEEPIDLE": 4, "KEEPINTVL": 2, "KEEPCNT": 3, "USER_TIMEOUT": 10_000}
    assert connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@pytest.mark.parametrize("websocket", [False, True])
def test_pings_of_a_client_are_answered(router, client, websocket):
    one = client(router.port, websocket=websocket).join()
    if websocket:
        one.sock.sendall(b"\x89\x82\0\0\0\0hi")
        assert one.sock.recv(100) == b"\x8a\x02hi"
    else:
        one.sock.sendall(b"\x01\0\0\x02hi")
        assert one.sock.recv(100) == b"\x02\0\0\x02hi"
    assert one.request(48, {}, "wamp.session.count")[3] == [1]
