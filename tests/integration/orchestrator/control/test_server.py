"""Raw HTTP on the control socket: bad requests are answered, bad clients harm nobody."""

from __future__ import annotations

import json
import os
import socket
import stat
import time

import pytest

from orchestrator.control import http as control_http
from orchestrator.control import server as control_server
from orchestrator.logs.reader import LogReader
from tests.support import TIME_SCALE, wait_until


@pytest.fixture
def connect(served):
    clients: list[socket.socket] = []

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5 * TIME_SCALE)
        client.connect(str(served.path))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def ask(connect):
    """Send bytes on a new connection; give the status and the whole answer."""

    def ask(request: bytes) -> tuple[int, bytes]:
        client = connect()
        client.sendall(request)
        answer = read_answer(client)
        return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]

    return ask


def read_answer(client: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = client.recv(65536)
        if not received:
            return answer
        answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length and (received := client.recv(65536)):
        body += received
    return head + b"\r\n\r\n" + body


def post(what: str, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST /v1/{what} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


GET_PS = b"GET /v1/ps HTTP/1.1\r\nHost: x\r\n\r\n"


def test_the_socket_is_private(served):
    assert stat.S_IMODE(os.stat(served.path).st_mode) == 0o600


def test_ps(ask):
    status, body = ask(GET_PS)
    assert status == 200
    assert json.loads(body)["instances"][0]["instance"] == "clock:0"


def test_byte_by_byte_and_one_after_the_other(connect):
    client = connect()
    for byte in GET_PS:
        client.sendall(bytes([byte]))
    assert read_answer(client).startswith(b"HTTP/1.1 200 OK")
    client.sendall(GET_PS + GET_PS)
    answers = b""
    while answers.count(b"HTTP/1.1 200 OK") < 2:
        answers += client.recv(65536)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x00\xff\x16\x03\r\n\r\n", 400),
        (b"GET /v1/ps HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/nosuch HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/start HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /mainlogtail HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET /logtail/nosuch:0/stdout HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /logtail/clock:0/nosuch HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /logtail/..%2F..%2Fetc/stdout HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<nothing>", 400),
        (b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET /v1/logs?tail=x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/logs?tail=-1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (post("start", b"{"), 400),
        (post("start", b"\xff"), 400),
        (post("start", []), 400),
        (post("start", {}), 400),
        (post("start", {"names": "clock"}), 400),
        (post("start", {"names": [1]}), 400),
        (post("start", {"names": ["nosuch"]}), 404),
        (post("up", {"scale": {"clock": -1}}), 400),
        (post("signal", {"names": ["search"], "signal": 0}), 400),
        (post("signal", {"names": ["search"], "signal": "HUP"}), 400),
        (post("signal", {"names": ["search"], "signal": 9}), 500),
        (post("signal", {"names": ["search"], "signal": 1}), 200),
        (post("wait", {"timeout_s": "soon"}), 400),
        (post("wait", {"timeout_s": -1}), 400),
        (post("wait", {"timeout_s": True}), 400),
        (post("wait", b'{"timeout_s": NaN}'), 400),
        (post("wait", {"timeout_s": 0}), 408),
    ],
)
def test_every_request_is_answered(ask, request_, status):
    found, body = ask(request_)
    assert (found, body) == (status, body)
    assert ask(GET_PS)[0] == 200


@pytest.mark.parametrize("timeout", [b"1e999", b"1e10", b"2147483647"])
def test_a_timeout_for_ever_is_none(connect, served, ask, timeout):
    client = connect()
    client.sendall(post("wait", b'{"timeout_s": %s}' % timeout))
    wait_until(lambda: served.stack.waiting)
    assert ask(GET_PS)[0] == 200
    served.release()
    assert read_answer(client).startswith(b"HTTP/1.1 200 OK")


def test_head_has_no_body(connect):
    client = connect()
    client.sendall(b"HEAD /v1/ps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n")


def test_http_1_0_and_expect(connect):
    client = connect()
    client.sendall(b"GET /v1/ps HTTP/1.0\r\n\r\n")
    assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"}")
    client = connect()
    client.sendall(
        b"POST /v1/wait HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n"
    )
    assert client.recv(4096).startswith(b"HTTP/1.1 100")
    client.sendall(b'{"timeout_s": 0}')
    assert read_answer(client).startswith(b"HTTP/1.1 408")


def test_too_long_a_body_is_refused(connect):
    client = connect()
    head = f"POST /v1/start HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
    client.sendall(head)
    answer = b""
    try:
        for _ in range(40):
            client.sendall(b" " * 65536)
    except (BrokenPipeError, ConnectionResetError):
        pass
    try:
        answer = client.recv(4096)
    except ConnectionResetError:
        return
    assert answer.startswith(b"HTTP/1.1 413")


def test_requests_sent_ahead_are_bounded(connect, served):
    client = connect()
    client.sendall(post("wait", {}))
    wait_until(lambda: served.stack.waiting)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sendall(b"x" * 6_553_600)
    served.release()


def test_a_bug_is_answered_and_told(ask, served):
    del served.stack.extra["manifest"]
    served.stack.rows[0].pop("state")
    request = b"<methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>"
    head = f"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request)}\r\n\r\n"
    assert ask(head.encode() + request)[0] == 500
    wait_until(lambda: served.errors)
    assert [type(error) for error in served.errors] == [KeyError]
    served.errors.clear()


def test_clients_that_leave_early(connect, served, ask):
    for request in (GET_PS[:20], GET_PS, post("wait", {"timeout_s": 60}), b"", post("wait", {})):
        client = connect()
        client.sendall(request)
        client.close()
    wait_until(lambda: len(served.stack.waiting) == 2)
    served.release()
    assert ask(GET_PS)[0] == 200


def test_a_follower_that_does_not_read_is_cut_off(connect, served, ask, monkeypatch):
    monkeypatch.setattr(control_http, "MAX_WAITING", 1 << 20)
    client = connect()
    client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: served.stack.listeners)
    event = {"reason": "x" * 100_000}
    served.do(lambda: [served.stack.tell(event) for _ in range(30)])
    wait_until(lambda: not served.stack.listeners)
    assert ask(GET_PS)[0] == 200


def test_a_tail_that_is_not_read_waits_in_the_file(connect, served):
    log = served.logs / "search-0.out.log"
    log.write_text("first\n")
    client = connect()
    client.sendall(b"GET /logtail/search:0/stdout HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"first" not in answer:
        answer += client.recv(4096)
    with log.open("a") as file:
        file.write(("y" * 99 + "\n") * 50_000)
    received = 0
    deadline = time.monotonic() + 40 * TIME_SCALE
    wait_until(lambda: any(c.waiting_bytes for c in served.server._connections))
    while received < 99 * 50_000 and time.monotonic() < deadline:
        assert all(c.waiting_bytes < 2_000_000 for c in served.server._connections)
        received += client.recv(1 << 20).count(b"y")
    assert received == 99 * 50_000


def test_more_clients_than_allowed(connect, served, ask, monkeypatch):
    monkeypatch.setattr(control_server, "MAX_CONNECTIONS", 5)
    busy = connect()
    busy.sendall(post("wait", {}))
    wait_until(lambda: served.stack.waiting)
    idle = [connect() for _ in range(10)]
    assert ask(GET_PS)[0] == 200
    assert idle[0].recv(1) == b""
    served.release()
    assert read_answer(busy).startswith(b"HTTP/1.1 200 OK")
    assert len(served.server._connections) <= 5


def test_no_descriptors_left_is_no_busy_loop(served, ask, monkeypatch):
    class Full:
        tries = 0

        def __init__(self, listener: socket.socket) -> None:
            self.fileno, self.close = listener.fileno, listener.close

        def accept(self):
            Full.tries += 1
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(control_server, "_RETRY_S", 0.3)
    listener = served.server._listener
    served.server._listener = Full(listener)
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(served.path))
    wait_until(lambda: Full.tries >= 2)
    assert Full.tries < 5
    served.server._listener = listener
    client.settimeout(5 * TIME_SCALE)
    client.sendall(GET_PS)
    assert client.recv(12) == b"HTTP/1.1 200"
    client.close()


def test_logs_over_http(ask, served):
    log = served.logs / "search-0.out.log"
    log.write_text("".join(f"2026-01-31T12:00:0{i}.000000Z line {i}\n" for i in range(5)))
    status, body = ask(b"GET /v1/logs?name=search&tail=2 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 200
    assert [json.loads(line)["text"] for line in body.splitlines()] == ["line 3", "line 4"]
    assert LogReader(served.logs).read(tail=1)[0].instance == "search:0"
