"""Keeping the evidence of a failure: its last heartbeat, its last lines, what its threads did."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.core import commands as do
from orchestrator.failures import Failures, bounded
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from orchestrator.rundir import RunDir

#: Seconds until the last words of a process are in its log, and its tracebacks in their file.
SETTLE_S = 0.2
#: Lines before the end that are looked at; those of whoever came after it are left out.
_LOOKED_AT = 40
#: What of a heartbeat's content is kept.
_HEARTBEAT = ("in_flight", "oldest_call_s", "calls", "errors", "saturated", "reason", "pss_bytes")


class Recorder:
    """Writes failures down; in the loop's thread. Nothing waits, but for small files."""

    def __init__(self, loop: Loop, run_dir: RunDir, say: Callable[..., None]) -> None:
        self._loop = loop
        self._run_dir = run_dir
        self._say = say
        self._logs = LogReader(run_dir.logs)
        self.failures = Failures(run_dir.failures)
        self._has_complained = False

    def record(self, failure: do.ReportFailure, heartbeat: dict[str, Any]) -> None:
        """Keep the failure of an Instance; ``heartbeat``: the content of its last one, if any."""
        is_its_own = heartbeat.get("incarnation") == failure.incarnation
        record = {
            "name": str(failure.instance),
            "incarnation": failure.incarnation,
            "pid": failure.pid,
            "cause": failure.cause,
            "code": failure.code,
            "signal": failure.signal,
            "at": time.time(),
            "lived_s": round(failure.lived_s, 3),
            "was_ready": failure.was_ready,
            "then": failure.then,
            "heartbeat": {k: heartbeat.get(k) for k in _HEARTBEAT} if is_its_own else None,
        }
        name = f"{failure.instance.name}-{failure.instance.index}.{failure.incarnation}.txt"
        dump = self._run_dir.tracebacks / name
        self._loop.call_later(SETTLE_S, lambda: self._keep(record, dump))

    def record_router(
        self, cause: str, code: int | None, signal: int | None, *, lived_s: float, then: str
    ) -> None:
        """Keep the failure of the Router."""
        record = {
            "name": "router",
            "incarnation": None,
            "pid": None,
            "cause": cause,
            "code": code,
            "signal": signal,
            "at": time.time(),
            "lived_s": round(lived_s, 3),
            "was_ready": None,
            "then": then,
            "heartbeat": None,
        }
        self._loop.call_later(SETTLE_S, lambda: self._keep(record, None))

    def _keep(self, record: dict[str, Any], dump: Path | None) -> None:
        lines = [
            (line.at, line.stream, line.text)
            for line in self._logs.read([record["name"]], tail=_LOOKED_AT)
            if line.at <= record["at"] + 0.01
        ]
        tracebacks = None
        if dump is not None:
            with contextlib.suppress(OSError):
                tracebacks = dump.read_text(errors="replace")
                dump.unlink()
        try:
            self.failures.add({**record, **bounded(lines, tracebacks)})
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                self._say(f"cannot keep failures: {error.strerror}", level="WARNING")
        else:
            self._has_complained = False
