"""Every error of the library, one tree.

::

    WampyError
    ├── ProtocolError                 a rule of WAMP was broken
    │   ├── LocalProtocolError        by this side: a bug, or a wrong argument
    │   │   ├── SerializationError    a value that cannot be put on the wire
    │   │   └── MessageTooLong        the other side would refuse it
    │   └── RemoteProtocolError       by the other side
    ├── TransportError
    │   ├── ConnectFailed             which URL, and why
    │   └── ConnectionLost
    ├── SessionError
    │   ├── JoinRejected              the Router's ABORT
    │   │   ├── NoSuchRealm
    │   │   └── NotAuthenticated
    │   └── SessionClosed             there is no Session (any more)
    ├── RequestTimeout                also a TimeoutError
    └── RequestError                  the ERROR that answers a request: uri, args, kwargs, details
        ├── NoSuchProcedure, ProcedureAlreadyExists, NoSuchRegistration, NoSuchSubscription
        ├── InvalidUri, InvalidArgument, NotAuthorized, Unavailable
        ├── Canceled
        │   └── Interrupted           the call that this handler serves, seen from within it
        └── ApplicationError          any URI that WAMP does not define

An application's own exceptions join in with ``@error``: raised by a handler here, they are raised
by the call there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

_Error = TypeVar("_Error", bound=type[Exception])


def kind_of(value: object) -> str:
    """Give what a value is, for an error that says so: ``a dict``, ``an int``, ``None``."""
    if value is None:
        return "None"
    name = type(value).__qualname__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


class WampyError(Exception):
    """The root of the tree."""


class ProtocolError(WampyError):
    """A rule of WAMP was broken."""


class LocalProtocolError(ProtocolError):
    """This side would have broken a rule; nothing was sent."""


class SerializationError(LocalProtocolError):
    """A value cannot be put on the wire; the text names its type and place."""


class MessageTooLong(LocalProtocolError):
    """A message is longer than the other side takes, and was not sent; or than this side takes.

    Names the size and the limit. The Session lives.
    """


class RemoteProtocolError(ProtocolError):
    """The other side broke a rule; the text says which."""


class TransportError(WampyError):
    """The connection failed."""


class ConnectFailed(TransportError):
    """No connection came about.

    Attributes:
        url: what was tried.
        reason: why it failed.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"cannot connect to {url}: {reason}")
        self.url = url
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: the constructor wants more than ``args``."""
        return type(self), (self.url, self.reason)


class ConnectionLost(TransportError):
    """A connection that had come about ended; whether the request was carried out is unknown."""


class SessionError(WampyError):
    """A Session does not come about, or is no more."""


class JoinRejected(SessionError):
    """The Router answered HELLO with ABORT.

    Attributes:
        uri: the reason, such as ``wamp.error.no_such_realm``.
        message: the Router's own words, or an empty string.
        details: the whole Details of the ABORT.
    """

    def __init__(
        self, uri: str, message: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{uri}: {message}" if message else uri)
        self.uri = uri
        self.message = message
        self.details = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: the constructor wants more than ``args``."""
        return type(self), (self.uri, self.message, self.details)


class NoSuchRealm(JoinRejected):
    """The Router has no such Realm."""


class NotAuthenticated(JoinRejected):
    """The Router does not accept who we say we are."""


class SessionClosed(SessionError):
    """There is no Session: not begun, ended, or ended by the Router."""


class RequestTimeout(WampyError, TimeoutError):
    """No answer within the time given; whether the request was carried out is unknown."""


class RequestError(WampyError):
    """The ERROR message that answered a request.

    Attributes:
        uri: the error's URI.
        args: positional arguments that the other side gave, any values.
        kwargs: keyword arguments that it gave.
        details: of the ERROR message.
    """

    def __init__(
        self,
        uri: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(*args)
        self.uri = uri
        self.kwargs = dict(kwargs or {})
        self.details = dict(details or {})

    def __str__(self) -> str:
        parts = [str(value) for value in self.args]
        parts += [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.uri}: {', '.join(parts)}" if parts else self.uri

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: the constructor wants more than ``args``."""
        return type(self), (self.uri, self.args, self.kwargs, self.details)


class NoSuchProcedure(RequestError):
    """Nobody has registered the procedure."""


class ProcedureAlreadyExists(RequestError):
    """Somebody else has registered the procedure."""


class NoSuchRegistration(RequestError):
    """There is no registration with this id."""


class NoSuchSubscription(RequestError):
    """There is no subscription with this id."""


class InvalidUri(RequestError):
    """The Router refuses the URI."""


class InvalidArgument(RequestError):
    """The callee cannot be called with these arguments."""


class NotAuthorized(RequestError):
    """This Session's role may not do that."""


class Canceled(RequestError):
    """The call was canceled, or its callee has gone."""


class Interrupted(Canceled):
    """The Caller of the procedure that runs here wants no result any more.

    Raised once, by the next wait of its handler: a call, a result, ``current_call().wait``.
    """

    def __init__(self) -> None:
        super().__init__("wamp.error.canceled", ["the caller canceled the call"])

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: the constructor takes nothing."""
        return type(self), ()


class Unavailable(RequestError):
    """Nobody can serve the call now: every handler and the queue are full."""


class ApplicationError(RequestError):
    """An error that the application defines; a handler may raise it, with any URI."""


#: What ``@error`` has declared.
_DECLARED: dict[str, type[Exception]] = {}
_URI_ATTRIBUTE = "_wampy_error_uri"


def error(uri: str) -> Callable[[_Error], _Error]:
    """Map an exception class and an error's URI to each other, both ways: ``@error("com.x.full")``.

    A handler that raises it, or a subclass, answers its caller with that URI and its ``args``, and
    with its ``kwargs`` where it has such a dictionary. A caller in whose process the class is
    declared, too, gets it raised: made from the ERROR's arguments, with the ApplicationError as its
    ``__cause__``; where it cannot be made from them, that one is raised itself.

    Such an error is part of the procedure's interface: it is logged as a WARNING, no traceback.

    Args:
        uri: the error's; not of ``wamp.``, whose errors have their classes.

    Raises:
        LocalProtocolError: it is no URI.
        TypeError: what it decorates is no class of exceptions, or has a URI by itself, as
            RequestErrors have.
        ValueError: the URI is the spec's, or another class has it.
    """
    from wampy.uris import check_uri

    if check_uri(uri).startswith("wamp."):
        raise ValueError(f"@error({uri!r}): the spec's own errors have their classes")

    def declare(cls: _Error) -> _Error:
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise TypeError(f"@error takes a class of exceptions, got {cls!r}")
        if issubclass(cls, RequestError):
            raise TypeError(f"{cls.__name__} has a URI by itself; derive it from WampyError")
        known = _DECLARED.get(uri)
        # Defined anew, in a notebook or after a reload, it takes its own place.
        names = ("__module__", "__qualname__")
        if known and [getattr(known, name) for name in names] != [
            getattr(cls, name) for name in names
        ]:
            raise ValueError(f"@error({uri!r}): {known.__qualname__} has this URI already")
        setattr(cls, _URI_ATTRIBUTE, uri)
        _DECLARED[uri] = cls
        return cls

    return declare


def declared_uri(error: BaseException) -> str | None:
    """Give the URI that ``@error`` has declared for an exception's class, or None."""
    return getattr(type(error), _URI_ATTRIBUTE, None)


def as_declared(error: BaseException) -> BaseException:
    """Give what the caller gets raised for an error: the class declared for its URI, if any."""
    if type(error) is not ApplicationError:
        return error
    if error.uri == "wamp.error.timeout":
        # The Router keeps the time as the Session does: whoever is first, it is the same error.
        return RequestTimeout(str(error))
    if error.uri not in _DECLARED:
        return error
    kwargs = {key: value for key, value in error.kwargs.items() if key != "traceback"}
    try:
        made = _DECLARED[error.uri](*error.args, **kwargs)
        made.__cause__ = error
    except Exception:  # the class is a program's, and wants other arguments, or no cause
        return error
    return made


_BY_URI: dict[str, type[RequestError]] = {
    "wamp.error.no_such_procedure": NoSuchProcedure,
    "wamp.error.procedure_already_exists": ProcedureAlreadyExists,
    "wamp.error.no_such_registration": NoSuchRegistration,
    "wamp.error.no_such_subscription": NoSuchSubscription,
    "wamp.error.invalid_uri": InvalidUri,
    "wamp.error.invalid_argument": InvalidArgument,
    "wamp.error.not_authorized": NotAuthorized,
    "wamp.error.authorization_failed": NotAuthorized,
    # The spec spells it with one "l" under URIs and with two under RPC; both are accepted.
    "wamp.error.canceled": Canceled,
    "wamp.error.cancelled": Canceled,
    "wamp.error.unavailable": Unavailable,
}

_REJECTED: dict[str, type[JoinRejected]] = {
    "wamp.error.no_such_realm": NoSuchRealm,
    "wamp.error.authentication_failed": NotAuthenticated,
    "wamp.error.authentication_denied": NotAuthenticated,
    "wamp.error.authentication_required": NotAuthenticated,
    "wamp.error.not_authorized": NotAuthenticated,
    "wamp.error.no_auth_method": NotAuthenticated,
    "wamp.error.no_matching_auth_method": NotAuthenticated,
    "wamp.error.no_such_principal": NotAuthenticated,
    "wamp.error.no_such_role": NotAuthenticated,
}


def request_error(
    uri: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
) -> RequestError:
    """Give the error of the class that stands for ``uri``; ApplicationError for all others."""
    return _BY_URI.get(uri, ApplicationError)(uri, args, kwargs, details)


def join_rejected(uri: str, details: Mapping[str, Any]) -> JoinRejected:
    """Give the error of the class that stands for the reason of an ABORT."""
    message = details.get("message", "")
    text = message if isinstance(message, str) else repr(message)
    return _REJECTED.get(uri, JoinRejected)(uri, text, details)
