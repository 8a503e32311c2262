"""The upgrade to WebSocket: what is offered, and what an answer means."""

from __future__ import annotations

import pytest

from wampy.errors import ConnectFailed
from wampy.transports.address import parse_url
from wampy.transports.websocket import agreed, offered, refused

ADDRESS = parse_url("ws://h/ws")
JSON = {"sec-websocket-protocol": "wamp.2.json"}


def test_the_preferred_serializer_is_offered_first() -> None:
    assert offered(["cbor", "json"]) == "wamp.2.cbor, wamp.2.json"


@pytest.mark.parametrize("chosen", ["wamp.2.json", "WAMP.2.JSON", " wamp.2.json "])
def test_the_router_chooses(chosen: str) -> None:
    headers = {"sec-websocket-protocol": chosen}
    assert agreed(ADDRESS, headers, ["msgpack", "json"]) == "json"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no subprotocol; offered were wamp.2.json"),
        ({"sec-websocket-protocol": "mqtt"}, "the subprotocol 'mqtt'; offered"),
        ({"sec-websocket-protocol": "wamp.2.msgpack"}, "the subprotocol 'wamp.2.msgpack'"),
        ({**JSON, "sec-websocket-extensions": "permessage-deflate"}, "permessage-deflate"),
    ],
)
def test_what_was_not_offered_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(ConnectFailed, match=reason):
        agreed(ADDRESS, headers, ["json"])


@pytest.mark.parametrize(
    ("status", "text"), [(404, "is the path right"), (302, "leads elsewhere"), (503, "503$")]
)
def test_a_refusal_has_the_status(status: int, text: str) -> None:
    with pytest.raises(ConnectFailed, match=text):
        raise refused(ADDRESS, status)
