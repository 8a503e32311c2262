"""What tests of the Dealer begin with."""

from __future__ import annotations

from typing import Any

from tests.unit.wampy.router.routing import Client, Routing
from wampy.router.authorization import Role

UNAVAILABLE = "wamp.error.unavailable"
CANCELED = "wamp.error.canceled"
TIMEOUT = "wamp.error.timeout"


def routing_of(*roles: Role, **limits: Any) -> tuple[Routing, Client, Client]:
    """Give a Realm, a callee of ``a`` and a caller."""
    routing = Routing(*roles, **limits)
    callee, caller = routing.clients(2)
    callee.register("a")
    return routing, callee, caller


def error_of(client: Client) -> str:
    message = client.one()
    assert message.name == "ERROR", message
    return str(message.error)


def shared(policy: str, **options: Any) -> tuple[Routing, list[Client], Client]:
    routing = Routing()
    callees = routing.clients(3)
    for callee in callees:
        callee.register("a", invoke=policy, **options)
    return routing, callees, routing.join()
