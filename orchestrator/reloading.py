"""Reloading: what has changed in the manifest and in the code is taken over, and nothing else.

One at a time; whoever asks meanwhile gets a reload of its own after it. Nothing is touched before
the new manifest has been read and the changed code imported, so a broken one changes nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.core.child import Child
from orchestrator.core.instance import Instance
from orchestrator.core.states import InstanceId, State
from orchestrator.errors import ManifestError
from orchestrator.foreign import find_faults
from orchestrator.manifest import Manifest, load_manifest
from orchestrator.reload_plan import Plan, plan_reload
from orchestrator.upbringing import describe_faults

if TYPE_CHECKING:
    from orchestrator.supervisor import Supervisor
    from orchestrator.surface import Surface

#: ``{"plan": [{"action", "target", "reason"}], "outcomes": [...], "error": text | None}``
Answer = dict[str, Any]
Done = Callable[[Answer], None]


class Reloading:
    """The reloads of one stack; in the loop's thread, nothing blocks but reading files."""

    def __init__(self, supervisor: Supervisor, surface: Surface) -> None:
        self._supervisor = supervisor
        self._surface = surface
        self._asked: deque[tuple[bool, Done]] = deque()
        self._is_busy = False

    def reload(self, is_dry: bool, done: Done) -> None:
        """Reload; ``done`` gets the plan, and what came of it when it has come about.

        ``is_dry``: only the plan, and whether the manifest and the code could be taken over.
        """
        self._asked.append((is_dry, done))
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        self._is_busy = bool(self._asked)
        if self._asked:
            is_dry, done = self._asked.popleft()
            try:
                self._begin(is_dry, done)
            except BaseException:
                self._is_busy = False
                raise

    def _begin(self, is_dry: bool, done: Done) -> None:
        supervisor = self._supervisor
        if supervisor.core.is_stopping:
            self._refuse(done, Plan(), "the stack is stopping")
            return
        try:
            manifest = load_manifest(supervisor.manifest.path, os.environ)
        except ManifestError as error:
            self._refuse(done, Plan(), str(error))
            return
        lacking = find_faults(manifest)
        if lacking:
            self._refuse(done, Plan(), str(ManifestError(lacking)))
            return
        plan = self._plan(manifest)
        if plan.faults:
            name = manifest.path.name
            self._refuse(done, plan, "\n".join(f"{name}: {fault}" for fault in plan.faults))
            return

        def imported(faults: dict[str, str]) -> None:
            if faults:
                self._refuse(done, plan, describe_faults(manifest, faults))
            elif is_dry:
                self._answer(done, plan)
            else:
                self._apply(manifest, plan, done)

        supervisor.import_peers(plan.imported, imported, manifest=manifest, is_trial=is_dry)

    def _plan(self, manifest: Manifest) -> Plan:
        supervisor = self._supervisor
        old = supervisor.manifest
        running = {name: [i.id for i in supervisor.core.of_peer(name)] for name in old.peers}
        changed = {name: supervisor.pool.changed_files(name) for name in old.peers}
        return plan_reload(old, manifest, running, changed)

    def _apply(self, manifest: Manifest, plan: Plan, done: Done) -> None:
        supervisor, core = self._supervisor, self._supervisor.core
        for change in plan.changes:
            supervisor.say(f"reload: {change.action} {change.target} ({change.reason})")
        before = dict(core.instances)
        supervisor.take_over(manifest)
        replaced = [
            one.id
            for name in plan.restarted
            for one in core.of_peer(name)
            if one.id in before and _is_to_be_replaced(one)
        ]
        children = self._surface.children_of(replaced)
        supervisor.decide(core.restart(replaced, supervisor.loop.now()))
        touched = _touched(plan, {**before, **core.instances}, children)
        look_at_replaced = self._surface.restarted_since(children)

        def look(instance: Instance) -> dict[str, Any] | None:
            if instance.id in children and core.instances.get(instance.id) is instance:
                return look_at_replaced(instance)
            return self._surface.settled_or_gone(instance)

        # The next one may begin: what is still under way does not stand in its way.
        self._surface.wait_for(touched, look, lambda outcomes: _tell(done, plan, outcomes))
        supervisor.loop.call_later(0, self._next)

    def _refuse(self, done: Done, plan: Plan, error: str) -> None:
        self._supervisor.say(f"reload: {error}; nothing has changed", level="WARNING")
        _tell(done, plan, [], error)
        self._supervisor.loop.call_later(0, self._next)

    def _answer(self, done: Done, plan: Plan) -> None:
        _tell(done, plan, [])
        self._supervisor.loop.call_later(0, self._next)


def _tell(done: Done, plan: Plan, outcomes: list[dict[str, Any]], error: str | None = None) -> None:
    changes = [asdict(change) for change in plan.changes]
    done({"plan": changes, "outcomes": outcomes, "error": error})


def _is_to_be_replaced(instance: Instance) -> bool:
    """Whether it runs, or would if it could: also what is FATAL has a new chance with new code."""
    if instance.completed:
        return False
    return instance.wanted or instance.state in (State.FATAL, State.RUNNING)


def _touched(
    plan: Plan, known: dict[InstanceId, Instance], replaced: dict[InstanceId, Child | None]
) -> list[Instance]:
    names = {*plan.added, *plan.removed, *plan.scaled}
    return [one for i, one in known.items() if i in replaced or i.name in names]
