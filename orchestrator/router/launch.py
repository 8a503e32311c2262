"""The plan of a Router: what the supervisor must know to start, join and stop it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.router.principals import Principals

#: Gives one line from (exit code, signal, last lines of output); one of them may know nothing.
Explain = Callable[[int | None, int | None, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class RouterLaunch:
    """How one Router is started, joined and stopped.

    Attributes:
        type: ``builtin``, ``crossbar`` or ``external``.
        argv: what to execute; None: the Router is not ours to start.
        env: added to the environment of the Router's process.
        cwd: its folder, made (0700) before the start.
        files: written with mode 0600 before the start; they may hold tickets, so not in the repr.
        public_url: where everybody else joins.
        stack_url: where the orchestrator, the Instances and the commands join.
        realm: the one Realm of the stack.
        host: of the public listener.
        port: likewise.
        stop_steps: (signal number, seconds to wait before the next); SIGKILL comes after the last.
        principals: how orchestrator, Instances and commands join this Router: those of this run, or
            what the manifest's ``join`` says.
        explanation: what ``explain`` asks.
        is_telling: whether it tells of the Instances by itself, see ``orchestrator.notices``.
        has_members: whether a program joins with a credential of its Instance's own, see
            ``principals.member_of``; else all of them join as ``principals.peer``.
    """

    type: str
    argv: tuple[str, ...] | None
    env: dict[str, str]
    cwd: Path | None
    files: dict[Path, str] = field(repr=False)
    public_url: str
    stack_url: str
    realm: str
    host: str
    port: int
    stop_steps: tuple[tuple[int, float], ...]
    principals: Principals
    explanation: Explain = field(repr=False)
    is_telling: bool = False
    has_members: bool = False

    def explain(self, exit_code: int | None, signal: int | None, last_lines: Sequence[str]) -> str:
        """Say in one line why the Router is not there, and the mend.

        Args:
            exit_code: None if it was killed, never started or still runs.
            signal: what killed it, if something did.
            last_lines: of its output, oldest first; any number.
        """
        return self.explanation(exit_code, signal, last_lines)
