"""A whole manifest, users and TLS and all, changes from one Router to the other by one word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.wampy.relay import CERTIFICATE, KEY
from tests.system.conftest import ECHO, StackMaker
from wampy import Session
from wampy.errors import NotAuthorized, WampyError

ROUTER = f"""
port = 0
tls = {{ certificate = "{CERTIFICATE}", key = "{KEY}" }}
[router.auth]
anonymous = "off"
ticket = {{ alice = {{ role = "front", secret = "a ticket" }} }}
wampcra = {{ bob = {{ role = "front", secret = "b" }} }}
scram = {{ carol = {{ role = "front", secret = "c" }} }}
cryptosign = {{ dave = {{ role = "front", authorized_keys = ["{"0f" * 32}"] }} }}
[[router.roles.front]]
uri = "com.test."
match = "prefix"
allow = ["call"]
[router.limits]
message_size = "64KiB"
"""


@pytest.mark.parametrize("kind", ["builtin", "crossbar"])
def test_a_stack_with_users_limits_and_tls(
    make_stack: StackMaker, kind: str, crossbar_executable: Path
) -> None:
    command = f'command = ["{crossbar_executable}"]\n' if kind == "crossbar" else ""
    stack = make_stack(ECHO, router=f'type = "{kind}"\n{command}{ROUTER}').up()
    status = stack.ps()["router"]
    assert (status["type"], status["state"]) == (kind, "RUNNING")
    assert status["url"].startswith("wss://127.0.0.1:")
    url = status["url"].replace("127.0.0.1", "localhost")
    ca = str(CERTIFICATE)
    with pytest.raises(WampyError, match=r"auth_method|anonymous"):
        Session(url, reconnect=False, ca=ca).begin()
    with pytest.raises(WampyError):
        Session(url, authid="alice", ticket="another", reconnect=False, ca=ca).begin()
    echo = f"com.test.{stack.name}.echo"
    with Session(url, authid="alice", ticket="a ticket", reconnect=False, ca=ca) as alice:
        assert alice.call(echo, 1) == 1
        with pytest.raises(NotAuthorized):
            alice.publish("com.test.topic", 1, acknowledge=True)
        with pytest.raises(WampyError):
            alice.call(echo, "x" * 100_000)
    assert stack.wampy("call", echo, "2").stdout.strip() == "2"
    secrets = stack.wampy("logs", "router").stdout
    assert "a ticket" not in secrets
