"""Runs one Peer over one Session: start, drain, health, description."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wampy.entrypoints import (
    Procedure,
    Timer,
    Topic,
    entrypoints_of,
    procedures_of,
    topics_of,
)
from wampy.errors import WampyError
from wampy.host.clock import Clock
from wampy.host.health import Health
from wampy.session.establishing import GHOST_S
from wampy.session.handles import Handle, Registration, Subscription

if TYPE_CHECKING:
    from wampy.peer import Peer
    from wampy.session import Session

logger = logging.getLogger(__name__)


class PeerHost:
    """Runs a Peer over a Session: for ``register_peer``, ``wampy run`` and every Instance.

    Args:
        peer: made, not started.
        session: connected; ``start`` begins it if it has not begun.
        concurrency: handlers that run at once, >= 1.
        queue: invocations that wait for one; beyond, callers get ``wamp.error.unavailable``.
        debug: whether tracebacks travel to callers.
        control_procedures: URIs and functions, registered last, with ``invoke=single``; answered in
            the Session's own thread even when every handler is busy, so they must not wait.
    """

    def __init__(
        self,
        peer: Peer,
        session: Session,
        *,
        concurrency: int = 8,
        queue: int = 1000,
        debug: bool = False,
        control_procedures: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self.peer = peer
        self.session = session
        self._debug = debug
        session.dispatcher.configure(concurrency, queue)
        self._procedures: list[Registration] = []
        self._topics: list[Subscription] = []
        checks: list[tuple[str, Callable[[], Any]]] = []
        timers: list[tuple[float, str, Callable[[], Any]]] = []
        for name, entry in entrypoints_of(type(peer)):
            method = getattr(peer, name)
            if isinstance(entry, Procedure):
                self._procedures.append(self._procedure(name, method, entry))
            elif isinstance(entry, Topic):
                self._topics.append(Subscription(session, entry.uri, method, entry.options()))
            elif isinstance(entry, Timer):
                timers.append((entry.interval_s, name, method))
            else:
                checks.append((name, method))
        self._controls = [
            Registration(session, uri, function, {"invoke": "single"}, is_control=True)
            for uri, function in (control_procedures or {}).items()
        ]
        self._health = Health(checks)
        self._clock = Clock(session, timers)
        self._lock = threading.Lock()  # guards the three below; a leaf
        self._is_started = False
        self._is_draining = False
        self._was_clean = True
        self._drained = threading.Event()

    def _procedure(self, name: str, method: Callable[..., Any], entry: Procedure) -> Registration:
        return Registration(
            self.session,
            entry.uri if entry.uri is not None else self.peer.prefix + name,
            method,
            # Shared, whatever the number: one that replaces another registers beside it.
            {"invoke": "roundrobin", **entry.options()},
            limit=entry.concurrency,
            expected=entry.expected,
            is_debug=self._debug,
            is_progressive=entry.progressive,
        )

    # ------------------------------------------------------------------ start

    def start(self, timeout_s: float = 30.0) -> None:
        """Join, ``on_start``, subscribe, register, health checks, timers. Blocks until all is done.

        A procedure that is still held by a former Session is asked for again for 2 s.

        Raises:
            whatever went wrong: an error of the Session, or what ``on_start`` raised.
        """
        deadline = time.monotonic() + timeout_s
        if not self.session.is_joined:
            self.session.begin(timeout_s)
        self.peer.session = self.session
        self.peer.on_start()
        handles: list[Handle] = [*self._topics, *self._procedures]
        self._set_up(handles, deadline)
        self._health.start()
        self._set_up(self._controls, deadline)
        self._clock.start()
        with self._lock:
            self._is_started = True

    def _set_up(self, handles: list[Any], deadline: float) -> None:
        if not handles:
            return
        self.session.set_up(handles, max(0.1, deadline - time.monotonic()), ghost_s=GHOST_S)

    def hand_over(self) -> None:
        """Give the control procedures up: a replacement takes their URIs."""
        self.session.tear_down(self._controls, self.session.timeout_s)

    def take_back(self) -> None:
        """Take the control procedures again; asks for 2 s where the replacement still has them."""
        self._set_up(
            [control for control in self._controls if not control.is_active],
            time.monotonic() + self.session.timeout_s,
        )

    # ------------------------------------------------------------------ drain

    def drain(self, timeout_s: float = 10.0) -> bool:
        """Stop without losing a call: unregister, finish what is in flight, ``on_stop``, GOODBYE.

        Blocks, ``timeout_s`` and a few seconds at most. Idempotent: later calls wait for the first.

        Returns:
            whether nothing was cut off.
        """
        with self._lock:
            is_first = not self._is_draining
            self._is_draining = True
        if not is_first:
            self._drained.wait(timeout_s)
            return self._was_clean and self._drained.is_set()
        try:
            self._was_clean = self._drain(time.monotonic() + timeout_s)
        finally:
            self._drained.set()
        return self._was_clean

    def _drain(self, deadline: float) -> bool:
        session = self.session
        is_clean = True
        self._clock.stop()
        for handles in (self._controls, self._procedures, self._topics):
            try:
                session.tear_down(handles, max(0.1, deadline - time.monotonic()))
            except WampyError as error:
                logger.warning("draining: %s", error)
                is_clean = False
        if not session.wait_idle(max(0.0, deadline - time.monotonic())):
            logger.warning("%d calls did not end in time", session.dispatcher.in_flight)
            is_clean = False
        if self._is_started:
            try:
                self.peer.on_stop()
            except Exception:  # user code; the rest of the end must come all the same
                logger.exception("on_stop of %s raised", self.peer.name)
                is_clean = False
        self._health.stop()
        session.end()
        return is_clean

    # ------------------------------------------------------------------ what it tells

    def status(self) -> dict[str, Any]:
        """Say how the Peer is. Never blocks for long; thread-safe.

        Returns:
            ``ready`` and ``reason`` (None when ready), ``saturated``, ``in_flight``,
            ``oldest_call_s``, ``calls``, ``errors``.
        """
        dispatcher = self.session.dispatcher
        reason = self._reason()
        return {
            "ready": reason is None,
            "reason": reason,
            "saturated": dispatcher.is_saturated,
            "in_flight": dispatcher.in_flight,
            "oldest_call_s": round(dispatcher.oldest_call_s, 3),
            "calls": dispatcher.calls,
            "errors": dispatcher.errors,
        }

    def _reason(self) -> str | None:
        """Say why it is not ready, or None."""
        if self._is_draining:
            return "draining"
        if not self.session.is_joined:
            return "the session is lost"
        for handle in (*self._procedures, *self._topics):
            if not handle.is_active:
                what = "registered" if isinstance(handle, Registration) else "subscribed"
                why = f": {handle.error}" if handle.error else ""
                return f"{handle.uri} is not {what}{why}"
        return self._health.reason()

    def describe(self) -> dict[str, Any]:
        """Give procedures and topics with signatures and docstrings, in plain types."""
        import inspect

        return {
            "peer": f"{type(self.peer).__module__}:{type(self.peer).__qualname__}",
            "doc": inspect.getdoc(type(self.peer)) or "",
            "procedures": [
                {
                    "uri": uri,
                    "match": entry.match,
                    "invoke": entry.invoke or "roundrobin",
                    **_describe(getattr(self.peer, name)),
                }
                for uri, name, entry in procedures_of(type(self.peer))
            ],
            "topics": [
                {"uri": uri, "match": entry.match, **_describe(getattr(self.peer, name))}
                for uri, name, entry in topics_of(type(self.peer))
            ],
        }


def _describe(method: Callable[..., Any]) -> dict[str, str]:
    import inspect

    try:
        signature = str(inspect.signature(method))
    except (TypeError, ValueError):
        signature = "(...)"
    return {"signature": signature, "doc": inspect.getdoc(method) or ""}
