"""Whether a program has registered what it provides: asked of the Router's meta API. Pure.

An inquiry is a generator: it yields what is to be asked at once, and is sent the answers in that
order (None: none in time). The Router tells who holds a registration by session, and whose session
that is by its authid.

Where each incarnation joins as somebody of its own, it must hold the registrations itself: what a
replica or its own forerunner holds says nothing of it. Else anybody will do.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wampy.protocol.received import Reply

_LOOKUP = "wamp.registration.lookup"
_CALLEES = "wamp.registration.list_callees"
_SESSION = "wamp.session.get"
#: Sessions whose authids are remembered; beyond that all are asked for again.
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """One call: a procedure and its arguments."""

    procedure: str
    args: tuple[Any, ...] = ()


Answers = Sequence[Reply | None]
#: Yields questions, is sent answers, and returns what it has found.
Inquiry = Generator[list[Question], Answers, str | None]


@dataclass(slots=True)
class Registry:
    """What is known of one Router's sessions; a new session with it needs a new one."""

    _authids: dict[int, str] = field(default_factory=dict)

    def missing(self, procedures: Sequence[str], authid: str | None) -> Inquiry:
        """Ask whether these are registered, by ``authid`` if that is given.

        Returns:
            What is missing, in words; None when nothing is.

        Raises:
            Unanswered: the Router did not answer in time, so nothing is known.
        """
        found = yield [Question(_LOOKUP, (uri,)) for uri in procedures]
        held: dict[str, int] = {}
        for uri, reply in zip(procedures, found, strict=True):
            answer = _answer(reply)
            if isinstance(answer, Refused):
                return f"cannot look up {uri}: the router answers {answer.uri}"
            if type(answer) is not int:
                return f"{uri} is not registered"
            held[uri] = answer
        if authid is None:
            return None
        if len(self._authids) > _MOST_KNOWN:
            self._authids.clear()
        lists = yield [Question(_CALLEES, (registration,)) for registration in held.values()]
        callees = {uri: _numbers(_answer(reply)) for uri, reply in zip(held, lists, strict=True)}
        strangers = {one for those in callees.values() for one in those} - self._authids.keys()
        if strangers:
            yield from self._get_to_know(sorted(strangers))
        for uri, sessions in callees.items():
            if not any(self._authids.get(one) == authid for one in sessions):
                return f"{uri} is not registered by this instance"
        return None

    def _get_to_know(self, sessions: list[int]) -> Inquiry:
        details = yield [Question(_SESSION, (one,)) for one in sessions]
        for one, reply in zip(sessions, details, strict=True):
            answer = _answer(reply)
            if isinstance(answer, dict):
                self._authids[one] = str(answer.get("authid"))
        return None


class Unanswered(Exception):
    """The Router did not answer in time."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The Router answered with an error."""

    uri: str


def _answer(reply: Reply | None) -> Any:
    if reply is None:
        raise Unanswered
    if reply.error is not None:
        return Refused(reply.error.uri)
    return reply.args[0] if reply.args else None


def _numbers(answer: Any) -> list[int]:
    return [one for one in answer if type(one) is int] if isinstance(answer, list) else []


# ------------------------------------------------------------------ one look at a program

#: A heartbeat procedure that is not there, or whose session went while it was asked.
_GONE = ("wamp.error.no_such_procedure", "wamp.error.canceled", "wamp.error.cancelled")
#: What a report may say beside ``ready`` and ``reason`` (contract, section 5), and what it has to
#: be: a program's own word is not to be trusted with a type.
_NUMBERS = ("in_flight", "oldest_call_s", "calls", "errors", "pss_bytes")
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has shown.

    Attributes:
        missing: what is not registered, in words; None: nothing.
        is_silent: it was asked by its heartbeat procedure, and did not answer.
        report: what it said of itself, as a heartbeat's report; empty without such a procedure.
    """

    missing: str | None
    is_silent: bool
    report: dict[str, Any]


def look_at(
    registry: Registry,
    echo: str,
    procedures: Sequence[str],
    authid: str | None,
    heartbeat: str | None,
) -> Generator[list[Question], Answers, Finding]:
    """Ask the canary, the program's heartbeat, and whether its procedures are registered.

    Args:
        registry: of the Router's sessions.
        echo: the canary's procedure: without its answer nobody can be blamed for silence.
        procedures: what must be registered.
        authid: by whom; None: by anybody.
        heartbeat: the procedure that the program is asked by, or None.

    Raises:
        Unanswered: the Router did not answer in time, so nothing is known.
    """
    inquiry = registry.missing(procedures, authid)
    own = [Question(echo)] + ([] if heartbeat is None else [Question(heartbeat)])
    answers = yield [*own, *next(inquiry)]
    if answers[0] is None or answers[0].error is not None:
        raise Unanswered
    missing: str | None = None
    try:
        questions = inquiry.send(answers[len(own) :])
        while True:
            questions = inquiry.send((yield questions))
    except StopIteration as end:
        missing = end.value
    if heartbeat is None:
        return Finding(missing, False, {})
    beat = answers[1]
    if beat is None:
        return Finding(missing, True, {})
    if beat.error is not None and beat.error.uri in _GONE:
        return Finding(missing or f"{heartbeat} cannot be called", False, {})
    return Finding(missing, False, _report(beat))


def _report(beat: Reply) -> dict[str, Any]:
    """Take what a program answers; anything but a table means that it is alive, and no more."""
    if beat.error is not None:
        return {"ready": False, "reason": f"its heartbeat fails: {beat.error}"[:_LONGEST_REASON]}
    content = beat.args[0] if beat.args else None
    if not isinstance(content, dict):
        return {"ready": True}
    report: dict[str, Any] = {
        name: content[name] for name in _NUMBERS if type(content.get(name)) in (int, float)
    }
    report["ready"] = content.get("ready") is not False
    if content.get("reason"):
        report["reason"] = str(content["reason"])[:_LONGEST_REASON]
    report["saturated"] = content.get("saturated") is True
    return report
