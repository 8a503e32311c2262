"""Faults of supervisor's XML-RPC face, with supervisor's own numbers.

Written down here, and compared with ``supervisor.xmlrpc.Faults`` by a test: importing that would
bring a whole HTTP server (5 MiB) into the supervising process.
"""

from __future__ import annotations

from enum import IntEnum


class FaultCode(IntEnum):
    """What can be wrong, as programs that know supervisor expect it."""

    UNKNOWN_METHOD = 1
    INCORRECT_PARAMETERS = 2
    BAD_ARGUMENTS = 3
    SIGNATURE_UNSUPPORTED = 4
    SHUTDOWN_STATE = 6
    BAD_NAME = 10
    BAD_SIGNAL = 11
    NO_FILE = 20
    NOT_EXECUTABLE = 21
    FAILED = 30
    ABNORMAL_TERMINATION = 40
    SPAWN_ERROR = 50
    ALREADY_STARTED = 60
    NOT_RUNNING = 70
    SUCCESS = 80
    ALREADY_ADDED = 90
    STILL_RUNNING = 91
    CANT_REREAD = 92


class RpcFault(Exception):
    """A request that is answered with a fault.

    Attributes:
        code: which.
        text: ``BAD_NAME: nosuch``, as supervisor writes it.
    """

    def __init__(self, code: FaultCode, about: str = "") -> None:
        self.code = code
        self.text = f"{code.name}: {about}" if about else code.name
        super().__init__(self.text)
