"""What the arguments of a Session mean; the same for the blocking one and the one for asyncio."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wampy.auth import Anonymous, Authentication, Ticket
from wampy.auth.basic import check_method
from wampy.durations import seconds_of
from wampy.errors import LocalProtocolError, kind_of
from wampy.protocol.session import ClientProtocol
from wampy.serializers import SERIALIZERS
from wampy.transports import ConnectOptions, parse_url
from wampy.uris import check_uri

#: Seconds after which a quiet connection is asked whether it lives, and how long it may be silent.
PING_INTERVAL_S = 10.0
PING_TIMEOUT_S = 5.0

#: Nobody guesses so many.
_TOKEN_BYTES = 16

Hook = Callable[[], Any] | None


def session_options(
    router: Any,
    realm: str | None,
    method: Authentication,
    *,
    serializer: str | None,
    reconnect: bool,
    timeout: float,
    ping_interval: float,
    files: tuple[str | None, str | None, str | None, str | None],
    hooks: tuple[Hook, Hook, Hook],
) -> tuple[str, dict[str, Any]]:
    """Give the Realm, and what ``Connecting`` is to be made with.

    Args:
        router: a URL, or an object with one.
        realm: its name; None: the router object's.
        method: how to join.
        serializer: its name; None: all, in order of preference.
        reconnect: whether a lost connection is made again.
        timeout: seconds that a request waits.
        ping_interval: seconds of silence that are too many.
        files: ``ca``, ``certificate``, ``key`` and ``proxy``.
        hooks: ``on_join``, ``on_leave`` and ``on_reconnect``.

    Raises:
        TypeError: the router has no URL; a timeout is no number.
        ValueError: there is no such serializer; a timeout is negative, or not a number.
        LocalProtocolError: the interval is no number of seconds, or a hook nothing to call.
        ConnectFailed: the URL is none.
    """
    url = router if isinstance(router, str) else getattr(router, "url", None)
    if not isinstance(url, str):
        raise TypeError(f"a router is a URL or has a `url`, got {router!r}")
    if serializer is not None and serializer not in SERIALIZERS:
        hint = ": pip install 'wampy-stack[cbor]'" if serializer == "cbor" else ""
        raise ValueError(f"no serializer {serializer!r}, but {', '.join(SERIALIZERS)}{hint}")
    name: str = realm or getattr(router, "realm", None) or "realm1"
    for hook, called in zip(("on_join", "on_leave", "on_reconnect"), hooks, strict=True):
        if called is not None and not callable(called):
            raise LocalProtocolError(f"{hook} is {kind_of(called)}; expected a function")
    check_ping_interval(ping_interval)
    ca, certificate, key, proxy = files
    on_join, on_leave, on_reconnect = hooks
    token = os.urandom(_TOKEN_BYTES).hex() if reconnect else None
    return name, {
        "url": parse_url(url).url,
        "protocol": lambda: ClientProtocol(name, method, client=client_of(token)),
        "serializers": tuple(SERIALIZERS) if serializer is None else (serializer,),
        "has_secret": method.sends_secret,
        "reconnects": reconnect,
        "timeout_s": seconds_of(timeout),
        "ping": (ping_interval, min(PING_TIMEOUT_S, ping_interval)),
        "options": ConnectOptions(ca=ca, certificate=certificate, key=key, proxy=proxy),
        "on_join": on_join,
        "on_leave": on_leave,
        "on_reconnect": on_reconnect,
    }


def check_ping_interval(seconds: object) -> None:
    """Check how long a connection may be quiet.

    Raises:
        LocalProtocolError: it is no number, negative, or endless.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < math.inf:  # type: ignore[operator]
        shown = repr(seconds) if is_number else kind_of(seconds)
        raise LocalProtocolError(
            f"ping_interval is {shown}; expected seconds, or 0 for no pings at all"
        )


def client_of(token: str | None) -> str | None:
    """Give what tells a Router that it is us again; never the same for two that are alive.

    A Session that was made before a fork may begin in both processes.
    """
    return None if token is None else f"{token}.{os.getpid()}"


def method_of(
    auth: Authentication | Sequence[Authentication] | None, authid: str | None, ticket: str | None
) -> Authentication:
    """Give how to join, for the three ways to say it.

    Raises:
        TypeError: more than one of them, or half of one.
        LocalProtocolError: something is wrong with it.
    """
    if (authid is None) != (ticket is None):
        raise TypeError("authid and ticket go together")
    if auth is None:
        return Anonymous() if authid is None or ticket is None else Ticket(authid, ticket)
    if authid is not None:
        raise TypeError("give auth, or authid and ticket")
    if isinstance(auth, Sequence):  # a text as well, whose characters are no methods
        from wampy.auth import AnyOf

        return AnyOf(auth)
    check_method(auth)
    return auth


def subscription_options(
    topic: str, match: str, options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Give SUBSCRIBE.Options.

    Raises:
        LocalProtocolError: the topic is no URI, or no pattern that matches so.
    """
    check_uri(topic, match)
    wanted = dict(options or {})
    if match != "exact":
        wanted["match"] = match
    return wanted


def registration_options(
    uri: str, match: str, invoke: str, options: Mapping[str, Any] | None, *, is_replacing: bool
) -> dict[str, Any]:
    """Give REGISTER.Options.

    Raises:
        LocalProtocolError: the procedure is no URI, or no pattern that matches so.
    """
    wanted = subscription_options(uri, match, options)
    if invoke != "single":
        wanted["invoke"] = invoke
    if is_replacing:
        wanted["force_reregister"] = True
    return wanted
