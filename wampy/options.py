"""Options of the requests: what each means, and that it is of the right type.

A Router ends the whole Session for one option of a wrong type, or ignores it without a word: so
they are looked at before anything is sent. Options that are not named here, such as a Router's own,
are sent as they are.

Spec: Advanced Profile, "Advanced RPC" and "Advanced PubSub". Not of the spec are ``retain`` and
``get_retained``, which Crossbar and the built-in Router know, and ``force_reregister``, of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypedDict, get_args, get_type_hints

import msgspec

from wampy.errors import LocalProtocolError, SerializationError, kind_of
from wampy.ids import MAX_ID

SessionId = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
Match = Literal["exact", "prefix", "wildcard"]
Invoke = Literal["single", "roundrobin", "random", "first", "last"]
#: How a call is cancelled: the Router's answer at once without telling the Callee; after the Callee
#: has answered the INTERRUPT; at once, and the Callee is told.
CancelMode = Literal["skip", "kill", "killnowait"]


class PayloadOptions(TypedDict, total=False):
    """Payload passthru: the payload is packed by the sender, see ``protocol.passthru``."""

    ppt_scheme: str
    ppt_serializer: str
    ppt_cipher: str
    ppt_keyid: str


class CallOptions(PayloadOptions, total=False):
    """CALL.Options.

    Attributes:
        timeout: what the Router is to wait, >= 0; milliseconds by the spec, seconds for Crossbar.
            ``Session.call(…, timeout=…)`` says it in the Router's unit.
        receive_progress: whether progressive results are wanted.
        progress: whether more of the call's arguments follow.
        disclose_me: whether the Callee learns who calls, where the Router leaves that to callers.
    """

    timeout: Annotated[int, msgspec.Meta(ge=0)]
    receive_progress: bool
    progress: bool
    disclose_me: bool


class PublishOptions(PayloadOptions, total=False):
    """PUBLISH.Options.

    Attributes:
        acknowledge: whether the Router confirms it.
        exclude_me: False: a Session hears its own event, too.
        exclude, exclude_authid, exclude_authrole: who does not hear it.
        eligible, eligible_authid, eligible_authrole: who alone may hear it.
        disclose_me: whether Subscribers learn who published it.
        retain: whether who subscribes later gets it, too (``get_retained``).
    """

    acknowledge: bool
    exclude_me: bool
    exclude: list[SessionId]
    exclude_authid: list[str]
    exclude_authrole: list[str]
    eligible: list[SessionId]
    eligible_authid: list[str]
    eligible_authrole: list[str]
    disclose_me: bool
    retain: bool


class SubscribeOptions(TypedDict, total=False):
    """SUBSCRIBE.Options.

    Attributes:
        match: how the topic matches.
        get_retained: whether the event retained last comes at once.
    """

    match: Match
    get_retained: bool


class RegisterOptions(TypedDict, total=False):
    """REGISTER.Options.

    Attributes:
        match: how the procedure matches.
        invoke: how the Router chooses among several Callees.
        force_reregister: whether who has it now loses it.
    """

    match: Match
    invoke: Invoke
    force_reregister: bool


def check_cancel_mode(mode: object) -> None:
    """Take one of the three.

    Raises:
        LocalProtocolError: it is none of them.
    """
    if mode not in get_args(CancelMode):
        known = ", ".join(get_args(CancelMode))
        raise LocalProtocolError(f"cancel mode {mode!r}; expected one of {known}")


def check_options(what: str, schema: Any, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give options that may be sent; an empty dictionary for None.

    Args:
        what: for the error, such as ``PUBLISH.Options``.
        schema: one of the classes above.
        options: as a program gives them.

    Raises:
        SerializationError: no mapping, or an option of a wrong type; names it, not its value.
    """
    if not options:
        if options is None or isinstance(options, Mapping):
            return {}
    elif isinstance(options, Mapping):
        try:
            msgspec.convert(dict(options), schema)
        except msgspec.ValidationError as error:
            raise SerializationError(f"{what}{_placed(str(error), schema)}") from None
        return options
    raise SerializationError(f"{what} is {kind_of(options)}; expected a dictionary")


def _placed(text: str, schema: Any) -> str:
    """Put the place first: msgspec says ``Expected `int`, got `str` - at `$.exclude[0]```."""
    reason, _, place = text.partition(" - at `$")
    if not place:
        return " has a key that is no text"
    place = place.rstrip("`")
    if reason.startswith("Invalid enum value"):
        known = get_args(get_type_hints(schema)[place[1:]])
        return f"{place}: {reason[18:].strip()}; expected one of {', '.join(known)}"
    return f"{place}: {reason[:1].lower()}{reason[1:]}"


# What is said of a handler, by a decorator or at ``register``; nothing of it goes to the Router.


def check_handler(what: str, handler: Callable[..., Any]) -> None:
    """Check that a handler can be called.

    Raises:
        TypeError: it cannot; names ``what`` it is the handler of.
    """
    if not callable(handler):
        raise TypeError(f"the handler of {what} is no function, but {handler!r}")


def check_concurrency(what: str, concurrency: int | None) -> None:
    """Check how many calls may run at once.

    Raises:
        ValueError: it is no number from 1; names ``what`` was given it.
    """
    if concurrency is None or (type(concurrency) is int and concurrency >= 1):
        return
    raise ValueError(f"{what}: concurrency is a number from 1, got {concurrency!r}")


def checked_expected(
    what: str, expected: type[BaseException] | tuple[type[BaseException], ...]
) -> tuple[type[BaseException], ...]:
    """Give the exceptions that are the caller's fault, as a tuple.

    Raises:
        TypeError: one is no class of exceptions; names ``what`` was given it.
    """
    classes = expected if isinstance(expected, tuple) else (expected,)
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            raise TypeError(
                f"{what}: expected is a class of exceptions, or a tuple of them, got {cls!r}"
            )
    return classes
