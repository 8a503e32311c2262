"""Security defaults (contract, section 7) of a stack with a Router of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import ECHO, RunningStack, StackMaker
from wampy import Session
from wampy.errors import JoinRejected, NotAuthorized


@pytest.fixture(params=["builtin", "crossbar"])
def stack(make_stack: StackMaker, request: pytest.FixtureRequest) -> RunningStack:
    return make_stack(ECHO, router=request.param).up()


@pytest.fixture
def anonymous(stack: RunningStack) -> Iterator[Session]:
    with Session(stack.ps()["router"]["url"], realm="realm1", reconnect=False) as session:
        yield session


def test_what_anonymous_may_and_may_not(stack: RunningStack, anonymous: Session) -> None:
    assert anonymous.call(f"com.test.{stack.name}.echo", 1) == 1
    anonymous.publish("com.test.topic", 1, acknowledge=True)
    anonymous.subscribe("com.test.topic", lambda *args: None)
    with pytest.raises(NotAuthorized):
        anonymous.register("com.test.mine", lambda: None)
    for uri in (
        "wamp.session.count",
        "wamp.session.kill_by_authrole",
        f"wampy.{stack.name}.peer.echo.0.heartbeat",
    ):
        with pytest.raises(NotAuthorized):
            anonymous.call(uri)
    with pytest.raises(NotAuthorized):
        anonymous.subscribe(f"wampy.{stack.name}.transition", lambda *args: None)
    with pytest.raises(NotAuthorized):
        anonymous.publish(f"wampy.{stack.name}.transition", 1, acknowledge=True)


def test_the_unix_socket_takes_tickets_only(stack: RunningStack) -> None:
    url = json.loads(stack.run_dir.tickets.read_text())["url"]
    with pytest.raises(JoinRejected), Session(url, realm="realm1", reconnect=False) as session:
        session.call("com.test.nothing")


def test_the_operator_hears_transitions(stack: RunningStack) -> None:
    heard: list[dict[str, object]] = []
    with stack.session() as operator:
        assert operator.call("wamp.session.count") >= 3
        operator.subscribe(f"wampy.{stack.name}.transition", heard.append)
        assert stack.wampy("restart", "echo").returncode == 0
        from tests.support import wait_until

        wait_until(lambda: [e for e in heard if e["new"] == "RUNNING" and e["ready"]])


def test_no_ticket_is_where_others_can_see_it(stack: RunningStack) -> None:
    """Not in argv, nor in the environment of a Peer, nor in logs, ps or state."""
    ticket = json.loads(stack.run_dir.tickets.read_text())["secret"]
    [config] = [path.read_text() for path in stack.run_dir.router.glob("*.json")]
    tickets = [word for word in json_strings(json.loads(config)) if len(word) > 30] + [ticket]
    assert len(set(tickets)) >= 3
    seen = json.dumps(stack.ps()) + stack.run_dir.state.read_text()
    for path in stack.run_dir.logs.iterdir():
        seen += path.read_text(errors="replace")
    stack.remember()
    for pid in stack.alive():
        for name in ("cmdline", "environ"):
            seen += Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    assert not [word for word in tickets if word in seen]


def json_strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [word for item in value.values() for word in json_strings(item)]
    if isinstance(value, list):
        return [word for item in value for word in json_strings(item)]
    return [value] if isinstance(value, str) and "/" not in value else []
