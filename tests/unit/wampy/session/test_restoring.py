"""What follows when something is not restored after a reconnect."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from wampy import ConnectionLost
from wampy.auth import Anonymous
from wampy.errors import WampyError, request_error
from wampy.session.configuring import session_options
from wampy.session.handles import Registration
from wampy.session.restoring import Complaints, is_ghost, may_be_ghost, replace_ghost

EXISTS = "wamp.error.procedure_already_exists"


def refused(uri: str = EXISTS) -> WampyError:
    return request_error(uri, ["it is registered"], {}, {})


def registration(uri: str) -> Registration:
    session: Any = None
    return Registration(session, uri, print, {})


@pytest.mark.parametrize(
    ("callees", "former_ids", "is_ours"),
    [
        ([], [], False),
        ([], [1], False),
        ([1], [1, 2], True),
        ([1, 2], [1], False),
        ([3], [], False),
    ],
)
def test_a_ghost_is_held_by_nobody_but_former_sessions_of_ours(
    callees: list[int], former_ids: list[int], is_ours: bool
) -> None:
    assert is_ghost(callees, former_ids) is is_ours


def test_only_what_exists_already_may_be_held_by_a_ghost() -> None:
    assert may_be_ghost(refused())
    assert not may_be_ghost(refused("wamp.error.not_authorized"))
    assert not may_be_ghost(ConnectionLost("gone"))


def test_a_ghost_is_replaced_by_the_next_request_only() -> None:
    from wampy.messages import Welcome
    from wampy.protocol.session import ClientProtocol

    protocol = ClientProtocol("realm1")
    protocol.hello()
    protocol.receive(Welcome(session_id=1, details={}))
    one = registration("com.example.a")
    replace_ghost(one)
    assert one.request(protocol).options == {"force_reregister": True}
    assert not one.request(protocol).options


def test_what_is_not_restored_is_told_once_for_each_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wampy.wamp.session")
    one, other = registration("com.example.a"), registration("com.example.b")
    complaints = Complaints()
    for _ in range(3):
        complaints.tell({one: refused(), other: refused()})
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", f"cannot restore com.example.{name}: {EXISTS}: it is registered") for name in "ab"
    ]
    caplog.clear()
    other.is_active = True
    for _ in range(3):
        complaints.tell({one: refused("wamp.error.not_authorized")})
    assert [r.getMessage() for r in caplog.records] == [
        "cannot restore com.example.a: wamp.error.not_authorized: it is registered",
        "com.example.b is restored",
    ]
    caplog.clear()
    complaints.tell({})  # taken back meanwhile: nothing to tell
    assert not caplog.records
    complaints.tell({one: refused()})
    assert len(caplog.records) == 1


def test_a_lost_connection_is_told_once_for_all(caplog: pytest.LogCaptureFixture) -> None:
    handles = [registration(f"com.example.{name}") for name in "abc"]
    complaints = Complaints()
    for _ in range(2):
        complaints.tell(dict.fromkeys(handles, ConnectionLost("gone")))
    assert [r.getMessage() for r in caplog.records] == ["registering again failed: gone"]


def secret_of(reconnect: bool = True) -> Any:
    _, options = session_options(
        "ws://localhost/ws",
        None,
        Anonymous(),
        serializer=None,
        reconnect=reconnect,
        timeout=1.0,
        ping_interval=1.0,
        files=(None, None, None, None),
        hooks=(None, None, None),
    )
    return lambda: options["protocol"]().hello().details.get("_wampy_client")


def test_a_session_tells_the_same_secret_each_time_it_joins() -> None:
    one, other = secret_of(), secret_of()
    assert one() == one()
    assert one() != other()
    assert len(one()) >= 32
    assert secret_of(reconnect=False)() is None


def test_in_the_child_of_a_fork_the_secret_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secret_of()
    before = secret()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert secret() != before
