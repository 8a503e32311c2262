"""Exit codes, and which error has which."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    #: Wrong arguments, or a faulty manifest; nothing was started.
    USAGE = 2
    #: An Instance is FATAL or not ready in time, or the Router cannot run.
    GAVE_UP = 3
    NO_STACK = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """What ends a command: a text for the user, and an exit code."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def outcome_of(error: BaseException) -> tuple[int, str] | None:
    """Give exit code and text of an error that is expected; None for one that is a bug."""
    from orchestrator.errors import (
        ManifestError,
        NoSuchStack,
        OrchestratorError,
        RestartLimitReached,
        RouterUnavailable,
        UnknownTarget,
    )

    if isinstance(error, CommandError):
        return error.code, str(error)
    if isinstance(error, NoSuchStack):
        mend = "" if "wampy up" in str(error) else "; wampy up starts it"
        return ExitCode.NO_STACK, f"{error}{mend}"
    if not isinstance(error, OrchestratorError):
        return _outcome_of_library(error)
    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own, str(error)
    codes: list[tuple[tuple[type[OrchestratorError], ...], ExitCode]] = [
        ((ManifestError, UnknownTarget), ExitCode.USAGE),
        ((RouterUnavailable, RestartLimitReached), ExitCode.GAVE_UP),
    ]
    for kinds, code in codes:
        if isinstance(error, kinds):
            return code, str(error)
    return ExitCode.FAILED, str(error)


def _outcome_of_library(error: BaseException) -> tuple[int, str] | None:
    """The library's errors; it is not imported for this, since only then can it have raised."""
    import sys

    tree = sys.modules.get("wampy.errors")
    if tree is not None and isinstance(error, tree.NotAuthorized):
        mend = "in the Router's manifest, [[router.roles.ROLE]] uri and allow would permit it"
        return ExitCode.FAILED, f"{error}\n{mend}"
    if tree is not None and isinstance(error, tree.LocalProtocolError):
        # What was asked for cannot be said in WAMP: an argument is wrong.
        return ExitCode.USAGE, str(error)
    if tree is not None and isinstance(error, tree.WampyError):
        return ExitCode.FAILED, str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return ExitCode.GAVE_UP, f"not done in time: {error or 'the stack does not answer'}"
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return ExitCode.FAILED, f"{place}{error.strerror}"
    return None
