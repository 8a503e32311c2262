"""What the supervisor tells: lines of the stack's own log, transitions for whoever listens.

A transition goes to the log, to the listeners (the control socket's ``/v1/events``) and onto the
bus, for role ``operator`` only, as ``wampy.<stack>.transition``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from orchestrator.core import commands as do
from orchestrator.core.child import Exit
from orchestrator.core.states import State
from orchestrator.logs.sink import LogSink

Transition = dict[str, Any]
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Telling:
    """In the loop's thread; nothing blocks.

    ``publish`` is set when there is a Session; until then nobody hears on the bus.
    """

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self.listeners: list[Callable[[Transition], None]] = []
        #: Lines of a lower level are not written: DEBUG, INFO, WARNING or ERROR.
        self.level = "INFO"
        self.publish: Callable[[Transition], None] = lambda transition: None

    def say(self, text: str, *, level: str = "INFO", **fields: Any) -> None:
        """Write one line of the stack's own log."""
        if _LEVELS.index(level) < _LEVELS.index(self.level):
            return
        self._sink.log({"level": level, "message": text, **fields})

    def report(self, report: do.Report, last_exit: Exit | None = None) -> None:
        """Tell a transition of an Instance, and how its process ended if that is what it is."""
        reason = f" ({report.reason})" if report.reason else ""
        ready = ", ready" if report.ready else ""
        delay = f", next start in {report.delay_s:.1f} s" if report.delay_s else ""
        if report.old is not report.new or report.reason or report.ready:
            bad = report.new in (State.BACKOFF, State.FATAL)
            level = "ERROR" if report.new is State.FATAL else "WARNING" if bad else "INFO"
            text = f"{report.instance}: {report.new.value}{ready}{reason}{delay}"
            self.say(text, level=level, pid=report.pid, incarnation=report.incarnation)
        ended = None
        if last_exit is not None and report.new in (State.EXITED, State.BACKOFF, State.FATAL):
            ended = {"code": last_exit.code, "signal": last_exit.signal, "cause": last_exit.cause}
        self._tell(str(report.instance), report, report.incarnation, report.pid, exit=ended)

    def report_router(
        self, report: do.ReportRouter, *, url: str, incarnation: int, pid: int | None
    ) -> None:
        """Tell a transition of the Router."""
        reason = f" ({report.reason})" if report.reason else ""
        ready = f", ready at {url}" if report.ready else ""
        bad = report.new in (State.BACKOFF, State.FATAL) or (
            report.new is State.RUNNING and not report.ready
        )
        level = "ERROR" if report.new is State.FATAL else "WARNING" if bad else "INFO"
        self.say(f"router: {report.new.value}{ready}{reason}", level=level)
        self._tell("router", report, incarnation, pid)

    def stopped(self, finish: do.Finish) -> None:
        """Tell that all is over."""
        self.say("stopped" + (f": {finish.reason}" if finish.reason else ""))
        end = {
            "instance": None,
            "stack": "stopped",
            "exit_code": finish.exit_code,
            "reason": finish.reason,
            "at": time.time(),
        }
        for listener in list(self.listeners):
            listener(end)

    def _tell(
        self,
        name: str,
        report: do.Report | do.ReportRouter,
        incarnation: int,
        pid: int | None,
        **more: Any,
    ) -> None:
        transition = {
            "instance": name,
            "old": report.old.value,
            "new": report.new.value,
            "ready": report.ready,
            "incarnation": incarnation,
            "pid": pid,
            "reason": report.reason,
            **more,
            "at": time.time(),
        }
        for listener in list(self.listeners):
            listener(transition)
        self.publish(transition)
