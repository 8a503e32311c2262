"""supervisor's face of the control socket: ``/RPC2``, ``/logtail/…`` and ``/mainlogtail``.

``supervisorctl -s unix://<run_dir>/control.sock`` and other programs for supervisord work with it.
What differs from supervisord, on purpose: a bare name means all Instances of that Peer; questions
are answered while the stack stops; ``restart`` (``supervisorctl reload``) restarts the Peers,
rolling, not the supervisor; what ``reread`` finds is taken over by the first ``add`` or ``remove``,
all at once, as by ``wampy reload``; logs cannot be cleared and processes have no stdin.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from orchestrator.control import processes
from orchestrator.control.faults import FaultCode, RpcFault
from orchestrator.control.http import Exchange
from orchestrator.control.interface import Outcomes, StackControl
from orchestrator.control.processes import Row, is_running, is_signallable, select, statuses
from orchestrator.control.tails import TailStream, read_bytes, tail_bytes
from orchestrator.control.xml import NotXmlRpc, parse_request, serialize_answer
from orchestrator.control.xmlrpc_methods import Later, Methods, Reply
from orchestrator.errors import OrchestratorError, UnknownTarget
from orchestrator.logs.names import STACK, STREAMS
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop
from orchestrator.reload_plan import GONE, NEW

#: What ``supervisorctl`` insists on.
API_VERSION = "3.0"


class SupervisordFace:
    """Answers supervisor's clients; in the loop's thread, nothing blocks."""

    def __init__(self, loop: Loop, stack: StackControl, logs: LogReader) -> None:
        self._loop = loop
        self._logs = logs
        self._methods = Methods("supervisor", SupervisorNamespace(stack, logs), loop)
        self._stack = stack

    def handle(self, exchange: Exchange, path: str) -> None:
        """Answer one request, now, later or on and on."""
        if path == "/RPC2":
            self._call(exchange)
        elif exchange.method != "GET":
            exchange.answer(405, "text/plain", b"only GET\n")
        else:
            log = self._log_of(unquote(path))
            if log is None:
                exchange.answer(404, "text/plain", b"there is no such process\n")
            else:
                TailStream(self._loop, exchange, log)

    def _call(self, exchange: Exchange) -> None:
        if exchange.method != "POST":
            exchange.answer(405, "text/plain", b"only POST\n")
            return
        try:
            method, parameters = parse_request(exchange.body)
        except NotXmlRpc as error:
            exchange.answer(400, "text/plain", f"{error}\n".encode("utf-8", "replace"))
            return

        def reply(value: Any) -> None:
            exchange.answer(200, "text/xml", serialize_answer(value))

        self._methods.call(method, parameters, reply)

    def _log_of(self, path: str) -> Path | None:
        if path == "/mainlogtail":
            return self._logs.path_of(STACK)
        name, _, stream = path.removeprefix("/logtail/").partition("/")
        try:
            instance = log_name(self._stack.snapshot()["instances"], name)
        except RpcFault:
            return None
        stream = stream or "stdout"
        return self._logs.path_of(instance, stream) if stream in STREAMS else None


def log_name(rows: list[Row], name: str) -> str:
    """Give whose log is meant: ``search:0``, ``search`` if it is one only, or ``router``.

    Raises:
        RpcFault: BAD_NAME.
    """
    if name in ("router", "router:router"):
        return "router"
    found = select(rows, name)
    if len(found) != 1:
        raise RpcFault(FaultCode.BAD_NAME, name)
    return str(found[0]["instance"])


@dataclass(frozen=True, slots=True)
class Reread:
    """What the last ``reloadConfig`` has found: names of groups."""

    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: list[dict[str, Any]]) -> Reread:
        """Give the groups of a reload's plan; what concerns the stack itself is none."""
        names: dict[str, set[str]] = {NEW: set(), GONE: set(), "": set()}
        for change in plan:
            if change["target"] != "stack":
                reason = change["reason"] if change["reason"] in names else ""
                names[reason].add(change["target"].partition(":")[0])
        changed = names[""] - names[NEW] - names[GONE]
        return cls(frozenset(names[NEW]), frozenset(changed), frozenset(names[GONE]))


class SupervisorNamespace:
    """The methods ``supervisor.*``; each public one can be called by name.

    A method returns its value, raises RpcFault, or returns a Later for an answer that takes time.
    """

    def __init__(self, stack: StackControl, logs: LogReader) -> None:
        self._stack = stack
        self._logs = logs
        self._reread = Reread()

    # ------------------------------------------------------------------ the stack

    def getAPIVersion(self) -> str:
        """Return the version of this interface."""
        return API_VERSION

    getVersion = getAPIVersion

    def getSupervisorVersion(self) -> str:
        """Return the version of supervisor that this face is made after."""
        import supervisor

        return (Path(supervisor.__file__).parent / "version.txt").read_text().strip()

    def getIdentification(self) -> str:
        """Return the name of the stack."""
        return str(self._stack.snapshot()["stack"])

    def getState(self) -> Row:
        """Return the state of the stack."""
        if self._stack.snapshot()["state"] == "stopping":
            return {"statecode": -1, "statename": "SHUTDOWN"}
        return {"statecode": 1, "statename": "RUNNING"}

    def getPID(self) -> int:
        """Return the pid of the supervising process."""
        return int(self._stack.snapshot()["pid"])

    def shutdown(self) -> bool:
        """Stop everything; returns at once."""
        self._must_run()
        self._stack.shutdown(_ignore)
        return True

    def restart(self) -> bool:
        """Restart every Peer, rolling, with the code that is on the disk now; returns at once."""
        self._must_run()
        self._stack.restart(["all"], False, _ignore)
        return True

    def reloadConfig(self) -> Later:
        """Return which groups a reload would add, change and remove; changes nothing yet."""
        self._must_run()

        def begin(reply: Reply) -> None:
            def planned(answer: dict[str, Any]) -> None:
                if answer["error"]:
                    reply(RpcFault(FaultCode.CANT_REREAD, answer["error"]))
                    return
                self._reread = reread = Reread.of(answer["plan"])
                reply([[sorted(reread.added), sorted(reread.changed), sorted(reread.removed)]])

            self._stack.reload(True, planned)

        return Later(begin)

    def addProcessGroup(self, name: str) -> Later:
        """Take over what a reread has found, and start this group's processes."""
        self._must_run()
        if name not in self._reread.added | self._reread.changed:
            self._rows(name)
            raise RpcFault(FaultCode.ALREADY_ADDED, name)
        return self._take_over(name)

    def removeProcessGroup(self, name: str) -> Any:
        """Take over what a reread has found, if this group has disappeared; it must not run."""
        self._must_run()
        if name not in self._reread.removed:
            self._rows(name)
        rows = [row for row in self._rows() if row["name"] == name]
        if any(is_running(row) or is_signallable(row) for row in rows):
            raise RpcFault(FaultCode.STILL_RUNNING, name)
        if name in self._reread.removed:
            return self._take_over(None)
        if name in self._reread.changed:
            return True  # it is there anew once it is added
        raise RpcFault(FaultCode.FAILED, f"{name}: take it out of the manifest")

    def _take_over(self, started: str | None) -> Later:
        """Reload, then start what is to be started and does not run yet."""

        def begin(reply: Reply) -> None:
            def answer(outcomes: Outcomes) -> None:
                try:
                    reply(_one(outcomes, started or ""))
                except RpcFault as fault:
                    reply(fault)

            def reloaded(told: dict[str, Any]) -> None:
                rows = [row for row in self._rows() if row["name"] == started]
                idle = [row["instance"] for row in rows if not is_running(row)]
                if told["error"]:
                    reply(RpcFault(FaultCode.FAILED, told["error"]))
                elif idle:
                    self._stack.start(idle, answer)
                else:
                    answer(told["outcomes"])

            self._stack.reload(False, reloaded)

        return Later(begin)

    # ------------------------------------------------------------------ what there is

    def getAllProcessInfo(self) -> list[Row]:
        """Return a struct for each process."""
        now = time.time()
        return [processes.process_info(row, self._logs, now) for row in self._rows()]

    def getProcessInfo(self, name: str) -> Row:
        """Return a struct for one process."""
        return processes.process_info(self._row(name), self._logs, time.time())

    def getAllConfigInfo(self) -> list[Row]:
        """Return what is configured for each process."""
        return [processes.config_info(row, self._logs) for row in self._rows()]

    # ------------------------------------------------------------------ start and stop

    def startProcess(self, name: str, wait: bool = True) -> Any:
        """Start a process; with ``wait``, return when it is ready."""
        self._must_run()
        rows = self._rows(name)
        idle = [row for row in rows if not is_running(row)]
        if not idle:
            raise RpcFault(FaultCode.ALREADY_STARTED, name)
        return self._act(self._stack.start, idle, wait, lambda outcomes: _one(outcomes, name))

    def startProcessGroup(self, name: str, wait: bool = True) -> Any:
        """Start all processes of a group that do not run."""
        self._must_run()
        rows = [row for row in self._group(name) if not is_running(row)]
        return self._act(self._stack.start, rows, wait, lambda done: _statuses(rows, done))

    def startAllProcesses(self, wait: bool = True) -> Any:
        """Start all processes that do not run."""
        self._must_run()
        rows = [row for row in self._rows() if not is_running(row)]
        return self._act(self._stack.start, rows, wait, lambda done: _statuses(rows, done))

    def stopProcess(self, name: str, wait: bool = True) -> Any:
        """Stop a process, drained; with ``wait``, return when it is gone."""
        rows = [row for row in self._rows(name) if is_running(row)]
        if not rows:
            raise RpcFault(FaultCode.NOT_RUNNING, name)
        return self._act(self._stack.stop, rows, wait, lambda outcomes: _one(outcomes, name))

    def stopProcessGroup(self, name: str, wait: bool = True) -> Any:
        """Stop all processes of a group that run."""
        if name in self._reread.removed and not any(r["name"] == name for r in self._rows()):
            return []  # gone with another one that was removed
        rows = [row for row in self._group(name) if is_running(row)]
        return self._act(self._stack.stop, rows, wait, lambda done: _statuses(rows, done))

    def stopAllProcesses(self, wait: bool = True) -> Any:
        """Stop all processes that run."""
        rows = [row for row in self._rows() if is_running(row)]
        return self._act(self._stack.stop, rows, wait, lambda done: _statuses(rows, done))

    def signalProcess(self, name: str, signal: Any) -> bool:
        """Send a signal, by name (HUP) or number, to a process."""
        rows = self._rows(name)
        number = _signal_number(signal)
        if not any(is_signallable(row) for row in rows):
            raise RpcFault(FaultCode.NOT_RUNNING, name)
        for row in rows:
            code, text = self._signal(row, number) if is_signallable(row) else _DONE
            if code != FaultCode.SUCCESS:
                raise RpcFault(FaultCode.FAILED, text)
        return True

    def signalProcessGroup(self, name: str, signal: Any) -> list[Any]:
        """Send a signal to all processes of a group."""
        number = _signal_number(signal)
        rows = [row for row in self._group(name) if is_signallable(row)]
        return statuses(rows, lambda row: self._signal(row, number))

    def signalAllProcesses(self, signal: Any) -> list[Any]:
        """Send a signal to all processes."""
        number = _signal_number(signal)
        rows = [row for row in self._rows() if is_signallable(row)]
        return statuses(rows, lambda row: self._signal(row, number))

    # ------------------------------------------------------------------ logs

    def readLog(self, offset: int, length: int) -> str:
        """Return a part of the stack's own log; with a negative offset its last bytes."""
        return _text(read_bytes(self._logs.path_of(STACK), offset, length))

    readMainLog = readLog

    def readProcessStdoutLog(self, name: str, offset: int, length: int) -> str:
        """Return a part of a process' log."""
        return _text(read_bytes(self._log(name, "stdout"), offset, length))

    readProcessLog = readProcessStdoutLog

    def readProcessStderrLog(self, name: str, offset: int, length: int) -> str:
        """Return a part of a process' log of its stderr."""
        return _text(read_bytes(self._log(name, "stderr"), offset, length))

    def tailProcessStdoutLog(self, name: str, offset: int, length: int) -> list[Any]:
        """Return the last bytes of a log, the next offset, and whether some are left out."""
        return self._tail(name, "stdout", offset, length)

    tailProcessLog = tailProcessStdoutLog

    def tailProcessStderrLog(self, name: str, offset: int, length: int) -> list[Any]:
        """Return the same of its stderr."""
        return self._tail(name, "stderr", offset, length)

    def clearLog(self) -> bool:
        """Refuse: logs are rotated, never cut."""
        raise RpcFault(FaultCode.FAILED, _NO_CLEARING)

    def clearProcessLogs(self, name: str) -> bool:
        """Refuse: logs are rotated, never cut."""
        self._rows(name)
        raise RpcFault(FaultCode.FAILED, _NO_CLEARING)

    clearProcessLog = clearProcessLogs

    def clearAllProcessLogs(self) -> list[Any]:
        """Refuse, for each process."""
        return statuses(self._rows(), lambda row: (FaultCode.FAILED, _NO_CLEARING))

    def sendProcessStdin(self, name: str, chars: str) -> bool:
        """Refuse: processes have no stdin."""
        self._rows(name)
        raise RpcFault(FaultCode.NO_FILE, f"{name} has no stdin")

    # ------------------------------------------------------------------ how

    def _must_run(self) -> None:
        if self._stack.snapshot()["state"] == "stopping":
            raise RpcFault(FaultCode.SHUTDOWN_STATE)

    def _rows(self, name: str | None = None) -> list[Row]:
        rows: list[Row] = self._stack.snapshot()["instances"]
        if name is None:
            return rows
        found = select(rows, name)
        if not found:
            raise RpcFault(FaultCode.BAD_NAME, name)
        return found

    def _row(self, name: str) -> Row:
        rows = self._rows(name)
        if len(rows) > 1:
            raise RpcFault(FaultCode.BAD_NAME, name)
        return rows[0]

    def _group(self, name: str) -> list[Row]:
        if ":" in name:
            raise RpcFault(FaultCode.BAD_NAME, name)
        return self._rows(name)

    def _log(self, name: str, stream: str) -> Path:
        return self._logs.path_of(log_name(self._rows(), name), stream)

    def _tail(self, name: str, stream: str, offset: int, length: int) -> list[Any]:
        tail, size, is_cut = tail_bytes(self._log(name, stream), offset, length)
        return [_text(tail), size, is_cut]

    def _signal(self, row: Row, number: int) -> tuple[int, str]:
        try:
            self._stack.signal(row["instance"], number)
        except OSError as error:
            return FaultCode.FAILED, f"{row['instance']}: {error.strerror}"
        return _DONE

    def _act(
        self,
        action: Callable[[list[str], Callable[[Outcomes], None]], None],
        rows: list[Row],
        wait: bool,
        answer: Callable[[Outcomes], Any],
    ) -> Any:
        targets = [row["instance"] for row in rows]
        if not targets:
            return answer([])
        if not wait:
            action(targets, _ignore)
            return answer([{"instance": target, "ok": True, "reason": None} for target in targets])

        def begin(reply: Reply) -> None:
            def done(outcomes: Outcomes) -> None:
                try:
                    reply(answer(outcomes))
                except RpcFault as fault:
                    reply(fault)

            try:
                action(targets, done)
            except UnknownTarget as error:
                reply(RpcFault(FaultCode.BAD_NAME, error.target))
            except OrchestratorError as error:
                reply(RpcFault(FaultCode.FAILED, str(error)))

        return Later(begin)


_DONE: tuple[int, str] = (FaultCode.SUCCESS, "OK")
_NO_CLEARING = "logs are rotated, never cleared"


def _ignore(outcomes: Outcomes) -> None:
    """For requests that are answered before they have come about."""


def _one(outcomes: Outcomes, name: str) -> bool:
    for outcome in outcomes:
        if not outcome["ok"]:
            text = f"{outcome['instance']}: {outcome['reason'] or outcome.get('state', 'failed')}"
            raise RpcFault(FaultCode.ABNORMAL_TERMINATION, text)
    return True


def _statuses(rows: list[Row], outcomes: Outcomes) -> list[Any]:
    by_instance = {outcome["instance"]: outcome for outcome in outcomes}

    def result(row: Row) -> tuple[int, str]:
        outcome = by_instance.get(row["instance"])
        if outcome is None or outcome["ok"]:
            return _DONE
        return FaultCode.ABNORMAL_TERMINATION, outcome["reason"] or "failed"

    return statuses(rows, result)


def _signal_number(name: Any) -> int:
    text = str(name).strip().upper()
    try:
        number = int(text) if text.lstrip("-").isdigit() else signal.Signals[_long(text)].value
    except KeyError:
        raise RpcFault(FaultCode.BAD_SIGNAL, str(name)) from None
    if number not in signal.valid_signals():
        raise RpcFault(FaultCode.BAD_SIGNAL, str(name))
    return number


def _long(name: str) -> str:
    return name if name.startswith("SIG") else f"SIG{name}"


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
