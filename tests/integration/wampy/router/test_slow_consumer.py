"""Who does not take what it is sent costs bounded memory, and nobody else notices."""

from __future__ import annotations

import threading

import pytest

from tests.support import TIME_SCALE, wait_until

QUEUE_BYTES = 2**18
PAYLOAD = "x" * 4096
#: A queue may be exceeded by one message, and by what a frame adds.
MOST_BYTES = QUEUE_BYTES + 2 * len(PAYLOAD)


@pytest.fixture(params=["unix", "tcp", "websocket"])
def stuck(request, client):
    """Connect, with a small buffer in the kernel."""

    def make(router):
        address = router.path if request.param == "unix" else router.port
        one = client(address, websocket=request.param == "websocket", receive_bytes=4096)
        return one.join()

    return make


def test_events_to_a_slow_subscriber_are_dropped_and_counted(make_router, client, stuck):
    router = make_router(queue_bytes=QUEUE_BYTES)
    slow, quick, publisher = stuck(router), client(router.path).join(), client(router.path).join()
    for one in (slow, quick):
        assert one.request(32, {}, "com.topic")[0] == 33
    connection = router.connection(slow.id)
    queued: list[int] = []
    count = 0
    while connection.dropped < 50:
        for _ in range(50):
            publisher.send(16, count + 1, {"acknowledge": True}, "com.topic", [count, PAYLOAD])
            count += 1
        for _ in range(50):
            assert publisher.recv()[0] == 17
            assert quick.recv()[0] == 36
        queued.append(connection.queued_bytes)
        assert count < 100_000
    assert max(queued) <= MOST_BYTES
    assert router.server.health()["dropped_events"] == connection.dropped

    # What was queued arrives, in order; and what is published when there is room again.
    slow.widen()
    got = [slow.recv()[4][0] for _ in range(count - connection.dropped)]
    assert got == sorted(got)
    wait_until(lambda: connection.queued_bytes == 0)
    publisher.send(16, count + 1, {"acknowledge": True}, "com.topic", ["last"])
    assert slow.recv()[4] == ["last"]
    assert slow.request(48, {}, "wamp.session.count")[3] == [3]


def test_a_slow_subscriber_is_closed_where_the_limits_say_so(make_router, client, stuck):
    router = make_router(queue_bytes=QUEUE_BYTES, closes_slow=True)
    slow, publisher = stuck(router), client(router.path).join()
    slow.request(32, {}, "com.topic")
    publisher.request(32, {}, "wamp.session.on_leave")
    for number in range(100_000):
        publisher.send(16, number + 1, {"acknowledge": True}, "com.topic", [PAYLOAD])
        message = publisher.recv()
        if message[0] == 36:
            break
        assert message[0] == 17
    else:
        raise AssertionError("it was never closed")
    assert message[4][0] == slow.id
    assert router.server.health()["sessions"] == 1


def test_calls_to_a_slow_callee_answer_unavailable(make_router, client, stuck):
    router = make_router(queue_bytes=QUEUE_BYTES)
    slow, caller = stuck(router), client(router.path).join()
    assert slow.request(64, {}, "com.slow")[0] == 65
    connection = router.connection(slow.id)
    for number in range(900):
        caller.send(48, number + 1, {}, "com.slow", [PAYLOAD])
    # Those that were handed over have no answer; the others have theirs at once.
    answer = caller.recv()
    assert answer[:5:4] == [8, "wamp.error.unavailable"]
    assert connection.queued_bytes <= MOST_BYTES
    assert slow.recv()[0] == 68


def test_a_caller_that_takes_no_results_is_not_read_from(make_router, client, stuck):
    router = make_router(queue_bytes=QUEUE_BYTES)
    slow, other = stuck(router), client(router.path).join()
    connection = router.connection(slow.id)
    slow.sock.settimeout(0.2)
    sent = 0
    # It sends as much as it likes; at some time its own socket takes no more.
    try:
        while True:
            sent += 1
            slow.sock.sendall(slow.encode(48, sent, {}, "wamp.session.get", [slow.id]))
            assert sent < 1_000_000
    except TimeoutError:
        pass
    assert connection.queued_bytes <= QUEUE_BYTES + 2**21
    assert not connection.is_closing
    # It reads again, and gets everything.
    slow.widen()
    slow.sock.settimeout(10 * TIME_SCALE)
    for number in range(1, sent):
        assert slow.recv()[:2] == [50, number]
    assert other.request(48, {}, "wamp.session.count")[3] == [2]


def test_who_takes_a_little_at_a_time_is_alive(make_router, client):
    """Its pong may be far behind what it has not read yet."""
    router = make_router(queue_bytes=2**20, ping_interval_s=0.1, ping_timeout_s=0.5)
    slow = client(router.path, websocket=True).join()
    slow.request(32, {}, "com.topic")
    publisher = client(router.path).join()
    connection = router.connection(slow.id)
    number = 0
    while not connection.queued_bytes > 2**19:
        number += 1
        publisher.send(16, number, {"acknowledge": True}, "com.topic", [PAYLOAD])
        assert publisher.recv()[0] == 17
    now = router.server.poller.now
    began = now()
    for taken in range(number):
        # As slow as a bad line, and for longer than it may be silent.
        due_at = began + 0.006 * taken
        while now() < due_at:
            threading.Event().wait(due_at - now())
        assert slow.recv()[0] == 36
    assert now() - began > 0.6
    assert not connection.is_closed
