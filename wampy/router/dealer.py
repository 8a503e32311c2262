"""The Dealer: registrations, and calls from Callers to Callees.

Rules:

- each call is answered once: by its Callee, or by the Router when the Callee goes, the call is
  canceled, its time is over, or nobody can take it;
- an invocation keeps its place among those that run at once until the Callee has answered it, also
  when its caller has its answer already: the Callee is still at it;
- what comes late for a call that is over is ignored;
- payloads are passed on as they are, see ``wampy.router.wire``.

Spec: Basic Profile, "Remote Procedure Calls"; Advanced Profile, "Advanced RPC".
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wampy.ids import MAX_ID
from wampy.messages import Error, Interrupt, Invocation, Registered, Result, Unregistered
from wampy.router.calls import (
    Call,
    Callee,
    InternalCall,
    Outbox,
    Refusal,
    Registration,
    registration_fault,
)
from wampy.router.patterns import PatternTable, match_in
from wampy.uris import uri_fault

if TYPE_CHECKING:
    from random import Random

    from wampy.router.sessions import RouterSession

_CALL, _REGISTER, _UNREGISTER = 48, 64, 66
#: Keys of Options and Details that are passed on as they are.
_PASSED_ON = "ppt_"
#: Deadlines of calls that are over which may be kept.
_MOST_STALE = 100


class Dealer:
    """Registrations and calls of one Realm.

    Args:
        outbox: where messages go.
        random: for the policy ``random``.
        most_calls: that one session may have pending.
        most_registrations: that one session may have.
        changed: told ``(kind, registration, session)`` for kind create, register, unregister,
            delete.
    """

    def __init__(
        self,
        outbox: Outbox,
        random: Random,
        *,
        most_calls: int,
        most_registrations: int,
        changed: Callable[[str, Registration, RouterSession], None],
    ) -> None:
        self.table: PatternTable[Registration] = PatternTable()
        self.registrations: dict[int, Registration] = {}
        self.pending = 0
        self.calls = 0
        self.is_draining = False
        self._send = outbox.send
        self._random = random
        self._most_calls = most_calls
        self._most_registrations = most_registrations
        self._changed = changed
        self._ids = itertools.count(1)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Call, float]] = []  # due at, order, which, timeout_s
        #: Entries there of calls that are over.
        self._stale = 0

    # ------------------------------------------------------------------ registrations

    def register(self, session: RouterSession, message: Any, now: float) -> None:
        """Take a REGISTER that is authorized."""
        options = message.options or {}
        uri = message.procedure
        match = match_in(options)
        policy = options.get("invoke", "single")
        concurrency = options.get("concurrency")
        fault = registration_fault(uri, match, policy, concurrency)
        if fault is not None:
            self._refuse(session, _REGISTER, message.request_id, *fault)
            return
        if len(session.registrations) >= self._most_registrations:
            text = f"{self._most_registrations} registrations are the most that a session may have"
            self._refuse(session, _REGISTER, message.request_id, "wamp.error.unavailable", text)
            return
        registration = self.table.get(uri, match)
        if registration is not None and not self._is_shared(registration, policy, session):
            wants = options.get("force_reregister") is True or options.get("replace") is True
            if not wants or not self._may_replace(registration, session):
                why = "it is registered" if not wants else "it is somebody else's"
                error = "wamp.error.procedure_already_exists" if not wants else _NOT_AUTHORIZED
                self._refuse(session, _REGISTER, message.request_id, error, f"{uri}: {why}")
                return
            self.evict(registration, [one.session for one in registration.callees])
            registration = None
        is_new = registration is None
        if registration is None:
            registration = Registration(next(self._ids), uri, match, policy, now)
            self.table.add(uri, match, registration)
            self.registrations[registration.id] = registration
        registration.discloses |= options.get("disclose_caller") is True
        registration.callees.append(Callee(session, concurrency))
        session.registrations[registration.id] = registration
        self._send(
            session, Registered(request_id=message.request_id, registration_id=registration.id)
        )
        if is_new:
            self._changed("create", registration, session)
        self._changed("register", registration, session)

    @staticmethod
    def _is_shared(registration: Registration, policy: str, session: RouterSession) -> bool:
        is_shared = registration.policy == policy != "single"
        return is_shared and registration.id not in session.registrations

    @staticmethod
    def _may_replace(registration: Registration, session: RouterSession) -> bool:
        return session.role.may_replace or all(
            one.session.authid == session.authid for one in registration.callees
        )

    def unregister(self, session: RouterSession, message: Any) -> None:
        """Take an UNREGISTER; calls that are with this Callee already are still answered."""
        registration = session.registrations.get(message.registration_id)
        if registration is None:
            text = f"no registration {message.registration_id} of this session"
            error = "wamp.error.no_such_registration"
            self._refuse(session, _UNREGISTER, message.request_id, error, text)
            return
        self._send(session, Unregistered(request_id=message.request_id))
        self._remove(registration, session)

    def evict(
        self, registration: Registration, sessions: Iterable[RouterSession], reason: str = ""
    ) -> None:
        """Take a registration away from Callees, and tell them.

        Spec: Advanced Profile, "Registration Revocation".
        """
        for session in sessions:
            details = {"registration": registration.id, "reason": reason or "wamp.error.replaced"}
            self._send(session, Unregistered(request_id=0, details=details))
            self._remove(registration, session)

    def _remove(self, registration: Registration, session: RouterSession) -> None:
        del session.registrations[registration.id]
        callees = registration.callees
        index = next(i for i, one in enumerate(callees) if one.session is session)
        del callees[index]
        if index < registration.next:
            registration.next -= 1
        self._changed("unregister", registration, session)
        if not callees:
            self.table.remove(registration.uri, registration.match)
            del self.registrations[registration.id]
            self._changed("delete", registration, session)

    # ------------------------------------------------------------------ calls

    def call(self, session: RouterSession, message: Any, now: float) -> None:
        """Take a CALL that is authorized."""
        request_id = message.request_id
        options = message.options
        registration = self.table.best(message.procedure)
        if registration is None or registration.match != "exact":
            # What somebody has registered by name is a URI.
            fault = uri_fault(message.procedure)
            if fault is not None:
                self._refuse(session, _CALL, request_id, "wamp.error.invalid_uri", fault)
                return
        if registration is None:
            text = f"no callee has registered {message.procedure}"
            self._refuse(session, _CALL, request_id, _NO_SUCH_PROCEDURE, text)
            return
        if self.is_draining:
            self._refuse(session, _CALL, request_id, _UNAVAILABLE, "the Router is stopping")
            return
        if len(session.calls) >= self._most_calls and session.role.is_limited:
            text = f"{self._most_calls} calls are the most that a session may have pending"
            self._refuse(session, _CALL, request_id, _UNAVAILABLE, text)
            return
        call = Call(session, request_id, message.procedure, registration)
        if options:
            call.receives_progress = options.get("receive_progress") is True
            call.is_progressive = options.get("progress") is True
        refusal = self._invoke(call, message)
        if refusal is None:
            session.calls[request_id] = call
            self.calls += 1
            timeout_ms = options.get("timeout") if options else None
            if type(timeout_ms) is int and 0 < timeout_ms <= MAX_ID:
                self._end_at(call, now, timeout_ms / 1000)
        else:
            text = f"no callee of {message.procedure} takes this call: {refusal.text}"
            self._refuse(session, _CALL, request_id, refusal.error, text)

    def call_more(self, session: RouterSession, message: Any) -> bool:
        """Take a further CALL of a progressive call; whether it was one.

        Spec: Advanced Profile, "Progressive Call Invocations".
        """
        call = session.calls[message.request_id]
        if not call.is_progressive or call.callee is None or message.procedure != call.procedure:
            return False
        call.is_progressive = (message.options or {}).get("progress") is True
        details = self._details(call, message)
        invocation = Invocation(
            request_id=call.invocation_id,
            registration_id=call.registration.id,
            details=details,
            args=message.args,
            kwargs=message.kwargs,
        )
        refusal = self._send(call.callee.session, invocation)
        if refusal is not None:
            self._interrupt(call, "killnowait", refusal.error)
            self._answer_error(call, refusal.error, f"the callee takes no more: {refusal.text}")
        return True

    @staticmethod
    def is_too_late(session: RouterSession, message: Any) -> bool:
        """Whether this is more of a progressive call that was over before the caller knew."""
        if message.request_id not in session.cut_off:
            return False
        if (message.options or {}).get("progress") is not True:
            del session.cut_off[message.request_id]
        return True

    def call_internally(
        self,
        procedure: str,
        args: list[Any],
        answered: Callable[[Any], None],
        now: float,
        timeout_s: float,
    ) -> bool:
        """Call for the Router itself; ``answered`` gets the YIELD or ERROR. False: nobody there."""
        registration = self.table.best(procedure)
        if registration is None:
            return False
        call = Call(None, 0, procedure, registration)
        call.answered = answered
        if self._invoke(call, InternalCall(procedure, args)) is not None:
            return False
        self._end_at(call, now, timeout_s)
        return True

    def _invoke(self, call: Call, message: Any) -> Refusal | None:
        """Hand a call to one of the Callees, or say why none takes it.

        A pattern whose Callees may not register this procedure by name does not count: the next one
        that matches decides.
        """
        refusal = self._invoke_one_of(call, message)
        if refusal is _NOT_THEIRS:
            for registration in self.table.all(message.procedure)[1:]:
                call.registration = registration
                refusal = self._invoke_one_of(call, message)
                if refusal is not _NOT_THEIRS:
                    break
        return refusal

    def _invoke_one_of(self, call: Call, message: Any) -> Refusal | None:
        """Hand a call to a Callee of its registration, or say why the first of them refuses."""
        registration = call.registration
        callees = registration.callees
        details = self._details(call, message)
        if len(callees) == 1:
            return self._hand_to(callees[0], call, message, details)
        policy = registration.policy
        if policy == "roundrobin":
            first = registration.next % len(callees)
            order: Iterable[Callee] = (*callees[first:], *callees[:first])
        elif policy == "random":
            order = self._random.sample(callees, len(callees))
        elif policy == "last":
            order = tuple(reversed(callees))
        else:
            order = tuple(callees)
        found: Refusal | None = _NOT_THEIRS
        for callee in order:
            refusal = self._hand_to(callee, call, message, details)
            if refusal is None:
                if policy == "roundrobin":
                    registration.next = callees.index(callee) + 1
                return None
            if found is _NOT_THEIRS:
                found = refusal
        return found

    def _hand_to(
        self, callee: Callee, call: Call, message: Any, details: dict[str, Any]
    ) -> Refusal | None:
        session = callee.session
        registration = call.registration
        if registration.match != "exact" and not session.role.may(message.procedure, "register"):
            return _NOT_THEIRS
        if callee.concurrency is not None and callee.active >= callee.concurrency:
            return _BUSY
        invocation_id = session.last_invocation + 1 if session.last_invocation < MAX_ID else 1
        invocation = Invocation(
            request_id=invocation_id,
            registration_id=registration.id,
            details=details,
            args=message.args,
            kwargs=message.kwargs,
        )
        refusal = self._send(session, invocation)
        if refusal is not None:
            return refusal
        session.last_invocation = invocation_id
        call.invocation_id = invocation_id
        call.callee = callee
        callee.active += 1
        session.invocations[invocation_id] = call
        self.pending += 1
        return None

    def _details(self, call: Call, message: Any) -> dict[str, Any]:
        details: dict[str, Any] = {}
        registration, options, caller = call.registration, message.options, call.caller
        if registration.match != "exact":
            details["procedure"] = message.procedure
        if options:
            if call.receives_progress:
                details["receive_progress"] = True
            if call.is_progressive or "progress" in options:
                details["progress"] = options.get("progress") is True
            for key, value in options.items():
                if key.startswith(_PASSED_ON):
                    details[key] = value
        if (
            caller is not None
            and (registration.discloses or (options and options.get("disclose_me") is True))
            and caller.role.discloses(message.procedure)
        ):
            details["caller"] = caller.id
            details["caller_authid"] = caller.authid
            details["caller_authrole"] = caller.authrole
        return details

    # ------------------------------------------------------------------ answers

    def answer(self, session: RouterSession, message: Any) -> None:
        """Take a YIELD."""
        call = session.invocations.get(message.request_id)
        if call is None:
            return
        options = message.options
        is_progress = bool(options) and options.get("progress") is True
        details = {key: options[key] for key in options if key.startswith(_PASSED_ON)}
        caller = call.caller
        if is_progress:
            if caller is None or not call.receives_progress:
                return
            details["progress"] = True
        else:
            self._finish(call)
            if call.answered is not None:
                call.answered(message)
        if caller is None:
            return
        self._send(
            caller,
            Result(
                request_id=call.request_id,
                details=details,
                args=message.args,
                kwargs=message.kwargs,
            ),
        )

    def answer_error(self, session: RouterSession, message: Any) -> None:
        """Take the ERROR of an INVOCATION."""
        call = session.invocations.get(message.request_id)
        if call is None:
            return
        caller = call.caller
        self._finish(call)
        if call.answered is not None:
            call.answered(message)
        elif caller is not None:
            details = message.details or {}
            self._send(
                caller,
                Error(
                    request_type=_CALL,
                    request_id=call.request_id,
                    details={key: details[key] for key in details if key.startswith(_PASSED_ON)},
                    error=message.error,
                    args=message.args,
                    kwargs=message.kwargs,
                ),
            )

    def _finish(self, call: Call) -> None:
        """The Callee is done with it."""
        callee = call.callee
        assert callee is not None
        del callee.session.invocations[call.invocation_id]
        callee.active -= 1
        self.pending -= 1
        call.callee = None
        if call.due_at is not None:
            self._forget_deadline(call)
        if call.caller is not None:
            self._part(call, call.caller)

    @staticmethod
    def _part(call: Call, caller: RouterSession) -> None:
        """The caller gets its answer; what it sent more of the call before that is too late."""
        call.caller = None
        del caller.calls[call.request_id]
        if call.is_progressive:
            caller.cut_off_call(call.request_id)

    def _answer_error(self, call: Call, error: str, text: str) -> None:
        """Answer a caller in the Callee's place; the Callee may still be at it."""
        self._forget_deadline(call)
        answered, call.answered = call.answered, None
        caller = call.caller
        if caller is not None:
            self._part(call, caller)
            self._refuse(caller, _CALL, call.request_id, error, text)
        elif answered is not None:
            answered(Error(request_type=_CALL, request_id=1, error=error, args=[text]))

    def _interrupt(self, call: Call, mode: str, reason: str) -> bool:
        """Tell the Callee that nobody waits any more; False when it does not know INTERRUPT."""
        callee = call.callee
        if callee is None or "call_canceling" not in callee.session.features:
            return False
        options = {"mode": mode, "reason": reason}
        interrupt = Interrupt(request_id=call.invocation_id, options=options)
        return self._send(callee.session, interrupt) is None

    # ------------------------------------------------------------------ the end of calls

    def cancel(self, session: RouterSession, message: Any) -> None:
        """Take a CANCEL: ``skip``, ``kill`` (waits for the Callee) or ``killnowait``.

        A Callee that does not know INTERRUPT cannot be waited for: its ``kill`` is a ``skip``.
        Spec: Advanced Profile, "Call Canceling".
        """
        call = session.calls.get(message.request_id)
        if call is None:
            return
        mode = (message.options or {}).get("mode")
        if mode not in ("skip", "kill"):
            mode = "killnowait"
        is_told = mode != "skip" and self._interrupt(call, mode, _CANCELED)
        if mode != "kill" or not is_told:
            self._answer_error(call, _CANCELED, "the caller canceled it")

    def _end_at(self, call: Call, now: float, timeout_s: float) -> None:
        call.due_at = now + timeout_s
        heapq.heappush(self._due, (call.due_at, next(self._order), call, timeout_s))

    def _forget_deadline(self, call: Call) -> None:
        if call.due_at is None:
            return
        call.due_at = None
        self._stale += 1
        # Calls with long timeouts that end soon must not pile up.
        if self._stale > _MOST_STALE and self._stale * 2 > len(self._due):
            self._due = [entry for entry in self._due if entry[2].due_at is not None]
            heapq.heapify(self._due)
            self._stale = 0

    def next_deadline(self) -> float | None:
        """When a call's time is over next."""
        while self._due and self._due[0][2].due_at is None:
            heapq.heappop(self._due)
            self._stale -= 1
        return self._due[0][0] if self._due else None

    def deadline_passed(self, now: float) -> None:
        """Answer the calls whose time is over. Spec: Advanced Profile, "Call Timeouts"."""
        while (due_at := self.next_deadline()) is not None and due_at <= now:
            _, _, call, timeout_s = heapq.heappop(self._due)
            call.due_at = None
            self._interrupt(call, "killnowait", _TIMEOUT)
            text = f"no answer from {call.procedure} within {timeout_s:g} s"
            self._answer_error(call, _TIMEOUT, text)

    def leave(self, session: RouterSession) -> None:
        """Forget a session: its registrations, its calls, what it was to answer."""
        for registration in list(session.registrations.values()):
            self._remove(registration, session)
        invocations = list(session.invocations.values())
        session.invocations.clear()
        # All of it before anybody is told: who is told may call again at once.
        for call in invocations:
            assert call.callee is not None
            call.callee.active -= 1
            call.callee = None
            self.pending -= 1
        for call in list(session.calls.values()):
            call.caller = None
            self._forget_deadline(call)
            self._interrupt(call, "killnowait", _CANCELED)
        session.calls.clear()
        for call in invocations:
            self._answer_error(call, _CANCELED, "the callee has gone")

    def _refuse(
        self, session: RouterSession, request_type: int, request_id: int, error: str, text: str
    ) -> None:
        self._send(
            session,
            Error(request_type=request_type, request_id=request_id, error=error, args=[text]),
        )


_UNAVAILABLE = "wamp.error.unavailable"
_NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"
_NOT_AUTHORIZED = "wamp.error.not_authorized"
#: With one "l", as the spec spells it among its URIs.
_CANCELED = "wamp.error.canceled"
_TIMEOUT = "wamp.error.timeout"
_BUSY = Refusal(_UNAVAILABLE, "it is at as many calls as it takes")
#: Its pattern covers what its role may not register by name.
_NOT_THEIRS = Refusal(_NO_SUCH_PROCEDURE, "its role may not register that name")
