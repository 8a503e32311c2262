"""Who is up, and what is waited for: one line of a stack that starts, runs or stops. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.manifest import Manifest

#: Instances that are named; of the others the line has the number.
_NAMED = 5
_DOWN = ("STOPPED", "EXITED", "FATAL")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an Instance.

    Attributes:
        is_up: ``up`` waits for it no more.
        is_done: it is a job, and has come to a good end.
    """

    state: str
    is_up: bool
    reason: str | None
    is_done: bool = False


class Waiting:
    """What is known from snapshots and the transitions after them; not thread-safe.

    Args:
        manifest: of the stack.
        names: the Peers that were asked for; none: all.
        profiles: whose Peers are among all.
    """

    def __init__(
        self, manifest: Manifest, names: Iterable[str], profiles: Iterable[str] = ()
    ) -> None:
        self._peers = manifest.peers
        asked = {name.partition(":")[0] for name in names} - {"all"}
        known = [n for n in asked if n in manifest.peers]
        dormant = manifest.dormant(frozenset(profiles))
        awake = [name for name in manifest.peers if name not in dormant]
        self._expected = set(manifest.with_dependencies(known or awake))
        self._router = _Known("STOPPED", False, None)
        self._instances: dict[str, _Known] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take a snapshot of ``ps``, or one event of the stream."""
        if "snapshot" in event:
            event = event["snapshot"]
        if "instances" in event:
            router = event["router"]
            self._router = _Known(router["state"], bool(router["ready"]), router.get("reason"))
            self._instances = {}
            for row in event["instances"]:
                is_up, is_done = bool(row["ready"]), bool(row.get("completed"))
                self._note(row["instance"], row["state"], is_up, row.get("reason"), is_done)
        elif event.get("instance") and "new" in event:
            is_up, reason = bool(event["ready"]), event.get("reason")
            if event["instance"] == "router":
                self._router = _Known(event["new"], is_up, reason)
            else:
                is_done = self._is_done(event)
                self._note(event["instance"], event["new"], is_up, reason, is_done)

    def explain(self, snapshot: dict[str, Any]) -> None:
        """Take the reasons of a snapshot that may be older than the last transition."""
        for row in snapshot["instances"]:
            known = self._instances.get(row["instance"])
            if known is not None and known.state == row["state"]:
                self._instances[row["instance"]] = replace(known, reason=row["reason"])

    def _note(
        self, instance: str, state: str, is_up: bool, reason: str | None, is_done: bool
    ) -> None:
        name = _peer_of(instance)
        # A job at work is all that ``up`` waits for.
        is_up = is_up or is_done or (self._is_job(name) and state == "RUNNING")
        self._instances[instance] = _Known(state, is_up, reason, is_done)
        if state not in _DOWN:
            self._expected.add(name)

    def _is_job(self, name: str) -> bool:
        return name in self._peers and self._peers[name].spec.kind.value == "job"

    def _is_done(self, event: dict[str, Any]) -> bool:
        """Whether the event is the good end of a job."""
        name = _peer_of(event["instance"])
        if not self._is_job(name) or event["new"] != "EXITED":
            return False
        return (event.get("exit") or {}).get("code") in self._peers[name].spec.success_exit_codes

    @property
    def is_over(self) -> bool:
        """Whether everything that was asked for is up."""
        return self._router.is_up and all(known.is_up for _, known in self._counted())

    def line(self) -> str:
        """Give ``3 of 5 ready; waiting for search:0 STARTING, web:0 STOPPED (needs search)``."""
        counted = self._counted()
        head = f"{sum(known.is_up for _, known in counted)} of {len(counted)} ready"
        if not self._router.is_up:
            return f"{head}; waiting for {_text('router', self._router, self._router.reason)}"
        missing = [
            _text(instance, known, self._reason(instance, known))
            for instance, known in counted
            if not known.is_up
        ]
        return f"{head}; waiting for {_some(missing)}" if missing else head

    def stopping_line(self) -> str:
        """Give ``stopping; waiting for search:0 STOPPING``: what is not gone yet."""
        left = [f"{i} {k.state}" for i, k in self._instances.items() if k.state not in _DOWN]
        if not left and self._router.state not in _DOWN:
            left = [f"router {self._router.state}"]
        return f"stopping; waiting for {_some(left)}" if left else "stopping"

    def _counted(self) -> list[tuple[str, _Known]]:
        return [(i, k) for i, k in self._instances.items() if _peer_of(i) in self._expected]

    def _reason(self, instance: str, known: _Known) -> str | None:
        """Say why an Instance is not up: what it was told, or what it depends on."""
        if known.state == "STOPPED" and _peer_of(instance) in self._peers:
            needs = self._peers[_peer_of(instance)].spec.depends_on
            unmet = [name for name, how in needs.items() if not self._is_met(name, how.value)]
            if unmet:
                return f"needs {', '.join(unmet)}"
        return known.reason or ("not ready" if known.state == "RUNNING" else None)

    def _is_met(self, name: str, condition: str) -> bool:
        found = [known for i, known in self._instances.items() if _peer_of(i) == name]
        return all(known.is_done if condition == "completed" else known.is_up for known in found)


def _peer_of(instance: str) -> str:
    return instance.partition(":")[0]


def _text(name: str, known: _Known, reason: str | None) -> str:
    return f"{name} {known.state}" + (f" ({reason})" if reason else "")


def _some(texts: list[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
