"""WAMP for people who write plain Python: Peers, Sessions, Routers.

What stands here is imported when it is first used: a program that needs the errors alone, or a
command that answers in milliseconds, does not pay for the rest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wampy.aio import AsyncSession
    from wampy.entrypoints import every, healthcheck, rpc, subscribe
    from wampy.errors import (
        ApplicationError,
        Canceled,
        ConnectFailed,
        ConnectionLost,
        Interrupted,
        InvalidArgument,
        InvalidUri,
        JoinRejected,
        LocalProtocolError,
        MessageTooLong,
        NoSuchProcedure,
        NoSuchRealm,
        NoSuchRegistration,
        NoSuchSubscription,
        NotAuthenticated,
        NotAuthorized,
        ProcedureAlreadyExists,
        ProtocolError,
        RemoteProtocolError,
        RequestError,
        RequestTimeout,
        SerializationError,
        SessionClosed,
        SessionError,
        TransportError,
        Unavailable,
        WampyError,
        error,
    )
    from wampy.peer import ConfigError, Peer
    from wampy.registry import register_peer
    from wampy.session import CallFuture, CallResult, Session
    from wampy.session.current import CallContext, EventContext, current_call, current_event

_HOMES = {
    "wampy.aio": ("AsyncSession",),
    "wampy.entrypoints": ("every", "healthcheck", "rpc", "subscribe"),
    "wampy.errors": (
        "ApplicationError",
        "Canceled",
        "ConnectFailed",
        "ConnectionLost",
        "InvalidArgument",
        "InvalidUri",
        "Interrupted",
        "JoinRejected",
        "LocalProtocolError",
        "MessageTooLong",
        "NoSuchProcedure",
        "NoSuchRealm",
        "NoSuchRegistration",
        "NoSuchSubscription",
        "NotAuthenticated",
        "NotAuthorized",
        "ProcedureAlreadyExists",
        "ProtocolError",
        "RemoteProtocolError",
        "RequestError",
        "RequestTimeout",
        "SerializationError",
        "SessionClosed",
        "SessionError",
        "TransportError",
        "Unavailable",
        "WampyError",
        "error",
    ),
    "wampy.peer": ("ConfigError", "Peer"),
    "wampy.registry": ("register_peer",),
    "wampy.session": ("CallFuture", "CallResult", "Session"),
    "wampy.session.current": ("CallContext", "EventContext", "current_call", "current_event"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped as in _HOMES
    "every", "healthcheck", "rpc", "subscribe",
    "ApplicationError", "Canceled", "ConnectFailed", "ConnectionLost", "InvalidArgument",
    "InvalidUri", "Interrupted", "JoinRejected", "LocalProtocolError", "MessageTooLong",
    "NoSuchProcedure", "NoSuchRealm",
    "NoSuchRegistration", "NoSuchSubscription", "NotAuthenticated", "NotAuthorized",
    "ProcedureAlreadyExists", "ProtocolError", "RemoteProtocolError", "RequestError",
    "RequestTimeout", "SerializationError", "SessionClosed", "SessionError", "TransportError",
    "Unavailable", "WampyError", "error",
    "ConfigError", "Peer", "register_peer", "CallFuture", "CallResult", "Session", "AsyncSession",
    "current_call", "current_event", "CallContext", "EventContext",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if hasattr(sys, "ps1"):
    # Somebody types at a prompt, and wants to see what happens.
    from wampy.logging import show_in_shell

    show_in_shell()
