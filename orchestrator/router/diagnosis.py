"""Why a Crossbar ended, or never got ready: from its exit status and its last lines."""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.router.ports import busy_message

#: What Crossbar puts before each record: time, process, pid.
PREFIX = re.compile(r"^\S+ \[\w+ +\d+\] ?")
#: Lines that say that something ends, not why.
NOISE = re.compile(
    r"Traceback |  |[\]}]?$|/\S+:\d+:"
    r"|Native worker received SIGTERM|Controller received SIG|Shutting down"
)
CANNOT_LISTEN = re.compile(r"Couldn't listen on (?P<where>.+?): (?P<why>.+)$")
ALREADY_RUNNING = re.compile(
    r"already running from node directory (?P<where>.+) \(PID (?P<pid>\d+)\)"
)
INVALID = "Invalid node configuration"


@dataclass(frozen=True, slots=True)
class CrossbarDiagnosis:
    """What is known of one Crossbar before it is asked why it ended.

    Attributes:
        command: what was executed.
        host: of the public listener.
        port: likewise.
        config: the user's own node configuration; None: it was generated.
    """

    command: tuple[str, ...]
    host: str
    port: int
    config: Path | None

    def __call__(self, exit_code: int | None, signal: int | None, last_lines: Sequence[str]) -> str:
        """Say it in one line, with the mend; see ``RouterLaunch.explain``."""
        lines = [PREFIX.sub("", line.rstrip()) for text in last_lines for line in text.split("\n")]
        return self._named_fault(lines) or self._plain(exit_code, signal, lines)

    def _named_fault(self, lines: Sequence[str]) -> str | None:
        for number, line in enumerate(lines):
            if found := CANNOT_LISTEN.search(line):
                return self._cannot_listen(found["where"], found["why"].rstrip("."))
            if found := ALREADY_RUNNING.search(line):
                return (
                    f"another Crossbar (pid {found['pid']}) already runs from {found['where']};"
                    " stop that, or remove the file node.pid there if it is no Crossbar"
                )
            if line == INVALID:
                return self._invalid(next((rest for rest in lines[number + 1 :] if rest), ""))
            if "ModuleNotFoundError" in line or line.startswith("ImportError"):
                return (
                    f"Crossbar's installation is broken ({line.strip()});"
                    f" install it again for {self.command[0]}, best in a venv of its own"
                )
        return None

    def _cannot_listen(self, where: str, why: str) -> str:
        host, _, port = where.rpartition(":")
        if "in use" in why and port.isdigit():
            return busy_message(host, int(port))
        key = "[router] host" if self.config is None else f"[router] config: {self.config}"
        return f"{key}: Crossbar cannot listen on {where}: {why}"

    def _invalid(self, fault: str) -> str:
        if self.config is not None:
            return f"[router] config: {self.config} is refused by Crossbar: {fault}"
        return (
            f"Crossbar refuses the configuration generated for it: {fault};"
            f" is {self.command[0]} a Crossbar of the supported versions (26.10)?"
        )

    def _plain(self, exit_code: int | None, signal: int | None, lines: Sequence[str]) -> str:
        told = next((line for line in reversed(lines) if not NOISE.match(line)), "")
        told = f": {told.strip()}" if told else ""
        if signal is not None:
            return f"Crossbar was killed by {_signal_name(signal)}{told}"
        if exit_code is None:
            return (
                f"Crossbar was not ready in time{told}; give it longer by [router] start_timeout,"
                " or see `wampy logs router`"
            )
        if exit_code in (126, 127):
            return f"[router] command: {self.command[0]} cannot be executed{told}"
        return f"Crossbar ended with exit code {exit_code}{told or '; see `wampy logs router`'}"


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
