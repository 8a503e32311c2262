"""What tests of the protocol's state begin with."""

from __future__ import annotations

import pytest

from wampy.errors import (
    LocalProtocolError,
    RemoteProtocolError,
)
from wampy.messages import (
    Error,
    Result,
    Welcome,
)
from wampy.protocol.session import (
    ClientProtocol,
    SessionState,
)

WELCOME = Welcome(session_id=4711, details={"authrole": "anonymous"})
RESULT = Result(request_id=1, args=("done",))


def joined(**options) -> ClientProtocol:
    protocol = ClientProtocol("realm1", **options)
    protocol.hello()
    protocol.receive(WELCOME)
    return protocol


def closing() -> ClientProtocol:
    protocol = joined()
    protocol.goodbye()
    return protocol


def error(request_type: int, request_id: int, uri: str = "a.b") -> Error:
    return Error(request_type=request_type, request_id=request_id, error=uri)


def assert_broken(protocol: ClientProtocol, message, what: str) -> None:
    """The Router broke a rule: that is said, and there is no way on."""
    with pytest.raises(RemoteProtocolError, match=what):
        protocol.receive(message)
    assert protocol.state is SessionState.CLOSED
    with pytest.raises(LocalProtocolError):
        protocol.call("a.b")
