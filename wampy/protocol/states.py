"""Where a Session stands, and what leads where: one literal, total table."""

from __future__ import annotations

from enum import Enum


class SessionState(Enum):
    """Where a Session stands."""

    NEW = "new"
    ESTABLISHING = "establishing"
    AUTHENTICATING = "authenticating"
    ESTABLISHED = "established"
    CLOSING = "closing"
    CLOSED = "closed"


class SessionEvent(Enum):
    """What happens to a Session: SEND_… is ours, the rest comes from the Router."""

    SEND_HELLO = "send HELLO"
    SEND_GOODBYE = "send GOODBYE"
    SEND_REQUEST = "send a request"
    WELCOME = "WELCOME"
    CHALLENGE = "CHALLENGE"
    ABORT = "ABORT"
    GOODBYE = "GOODBYE"
    TRAFFIC = "a message of an established session"


_S, _E = SessionState, SessionEvent
#: None: impossible. For what we send that is a LocalProtocolError, else a RemoteProtocolError.
TRANSITIONS: dict[tuple[SessionState, SessionEvent], SessionState | None] = {
    (_S.NEW, _E.SEND_HELLO): _S.ESTABLISHING,
    (_S.NEW, _E.SEND_GOODBYE): None,
    (_S.NEW, _E.SEND_REQUEST): None,
    (_S.NEW, _E.WELCOME): None,
    (_S.NEW, _E.CHALLENGE): None,
    (_S.NEW, _E.ABORT): _S.CLOSED,
    (_S.NEW, _E.GOODBYE): None,
    (_S.NEW, _E.TRAFFIC): None,
    (_S.ESTABLISHING, _E.SEND_HELLO): None,
    (_S.ESTABLISHING, _E.SEND_GOODBYE): None,
    (_S.ESTABLISHING, _E.SEND_REQUEST): None,
    (_S.ESTABLISHING, _E.WELCOME): _S.ESTABLISHED,
    (_S.ESTABLISHING, _E.CHALLENGE): _S.AUTHENTICATING,
    (_S.ESTABLISHING, _E.ABORT): _S.CLOSED,
    (_S.ESTABLISHING, _E.GOODBYE): None,
    (_S.ESTABLISHING, _E.TRAFFIC): None,
    (_S.AUTHENTICATING, _E.SEND_HELLO): None,
    (_S.AUTHENTICATING, _E.SEND_GOODBYE): None,
    (_S.AUTHENTICATING, _E.SEND_REQUEST): None,
    (_S.AUTHENTICATING, _E.WELCOME): _S.ESTABLISHED,
    (_S.AUTHENTICATING, _E.CHALLENGE): None,
    (_S.AUTHENTICATING, _E.ABORT): _S.CLOSED,
    (_S.AUTHENTICATING, _E.GOODBYE): None,
    (_S.AUTHENTICATING, _E.TRAFFIC): None,
    (_S.ESTABLISHED, _E.SEND_HELLO): None,
    (_S.ESTABLISHED, _E.SEND_GOODBYE): _S.CLOSING,
    (_S.ESTABLISHED, _E.SEND_REQUEST): _S.ESTABLISHED,
    (_S.ESTABLISHED, _E.WELCOME): None,
    (_S.ESTABLISHED, _E.CHALLENGE): None,
    (_S.ESTABLISHED, _E.ABORT): _S.CLOSED,
    (_S.ESTABLISHED, _E.GOODBYE): _S.CLOSED,
    (_S.ESTABLISHED, _E.TRAFFIC): _S.ESTABLISHED,
    (_S.CLOSING, _E.SEND_HELLO): None,
    (_S.CLOSING, _E.SEND_GOODBYE): None,
    (_S.CLOSING, _E.SEND_REQUEST): None,
    (_S.CLOSING, _E.WELCOME): None,
    (_S.CLOSING, _E.CHALLENGE): None,
    (_S.CLOSING, _E.ABORT): _S.CLOSED,
    (_S.CLOSING, _E.GOODBYE): _S.CLOSED,
    # The Router may have sent it before it saw our GOODBYE.
    (_S.CLOSING, _E.TRAFFIC): _S.CLOSING,
    (_S.CLOSED, _E.SEND_HELLO): None,
    (_S.CLOSED, _E.SEND_GOODBYE): None,
    (_S.CLOSED, _E.SEND_REQUEST): None,
    (_S.CLOSED, _E.WELCOME): None,
    (_S.CLOSED, _E.CHALLENGE): None,
    (_S.CLOSED, _E.ABORT): None,
    (_S.CLOSED, _E.GOODBYE): None,
    (_S.CLOSED, _E.TRAFFIC): None,
}
#: What is ours to do; a fault there is ours as well.
SENT = {_E.SEND_HELLO, _E.SEND_GOODBYE, _E.SEND_REQUEST}
