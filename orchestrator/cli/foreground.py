"""A stack from the side of who started it: progress, logs, signals, and the orderly end.

Rules:

- The main thread waits on one queue, into which everything that happens is put, and decides; each
  request to the stack is made in a thread of its own; only the printer writes to the terminal.
  So no signal waits for a request, and no request for a terminal that takes nothing.
- What this process started it stops, whatever ends it; a stack that it joined it leaves alone.
- It may be killed or stopped, and its terminal closed, without harm: the stack lives on, and the
  next ``up`` joins it.
- A SIGINT after the first kills, as people expect of Ctrl-C; SIGTERM is one orderly stop however
  often it comes, since service managers and ``timeout`` send it to a process and to its group.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.exits import CommandError, ExitCode
from orchestrator.cli.following import LineStyle, LogLines
from orchestrator.cli.output import is_coloured, redraws
from orchestrator.cli.printing import Printer
from orchestrator.cli.reaping import is_first_process, reap_orphans
from orchestrator.cli.service import Service
from orchestrator.cli.waiting import Waiting
from orchestrator.ending import StackEnd, guard_of, watched_end

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient
    from orchestrator.manifest import Manifest
    from orchestrator.notify import Notifier

#: Seconds without any news after which it is asked for, while something is waited for.
_REASONS_S = 1.0
#: Seconds that what is left of the stack's own processes gets in the end.
_LAST_PROCESSES_S = 10.0
#: Seconds that a terminal, or the service manager, gets to take the last lines.
_LAST_LINES_S = 2.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What ``up`` was asked for.

    Attributes:
        names: Peers to start, with what they need; none: all.
        scale: replicas by name.
        timeout_s: until all must be ready; None: as long as it takes.
        is_detached: return when all is ready, instead of following.
        is_aborting_on_exit: stop everything when one Instance ends.
        is_watching: reload whenever a file changes.
        profiles: whose Peers are among all.
        notifier: the service manager that wants to know how it goes; None: there is none.
    """

    names: list[str]
    scale: dict[str, int]
    timeout_s: float | None
    is_detached: bool
    is_aborting_on_exit: bool
    is_watching: bool = False
    profiles: tuple[str, ...] = ()
    notifier: Notifier | None = None


class Foreground:
    """One ``wampy up``; ``run`` is called once, in the main thread."""

    def __init__(self, manifest: Manifest, wishes: Wishes) -> None:
        self._manifest = manifest
        self._wishes = wishes
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._started_at = time.monotonic()
        logs = LogLines(manifest, LineStyle(manifest, colours=is_coloured()))
        fd = 2 if wishes.is_detached else 1
        self._printer = Printer(
            fd,
            (lambda _: ()) if wishes.is_detached else logs.poll,
            status=self._status,
            redraws=redraws(fd),
        )
        self._waiting = Waiting(manifest, wishes.names, wishes.profiles)
        #: What is waited for, for the terminal; empty: nothing is.
        self._waited_for = "importing the Peers' modules"
        #: Since when that has been so.
        self._waits_since = self._started_at
        self._is_starting = True
        self._service: Service | None = None
        self._has_terminal = True
        self._client: ControlClient | None = None
        self._snapshot: dict[str, Any] = {}
        self._supervisor_pid = 0
        #: Why the stack is being stopped by us: None while it is not.
        self._stopping: int | None = None
        self._is_killing = False
        #: Whether an Instance is FATAL, or the stack itself has said that it gives up.
        self._has_fatal = False
        self._code: int = ExitCode.DONE

    def run(self) -> int:
        """Start or join the stack and stay until it has ended, or need not be watched any more.

        Returns:
            The exit code.

        Raises:
            OrchestratorError: the stack could not be started.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._signalled)
        self._printer.start()
        try:
            client = self._launch()
            if client is None:
                return ExitCode.INTERRUPTED
            self._client = client
            if self._stopping is not None and self._is_joined:
                self._printer.say("wampy: the stack runs on; wampy down stops it")
                return self._stopping
            if is_first_process():
                # Not before: until it has come up, Launch itself may end what it has started.
                reap_orphans()
            self._snapshot = client.ps()
            self._take(self._snapshot)
            self._begin_service()
            self._supervisor_pid = client.supervisor_pid()
            with watched_end(self._supervisor_pid) as end:
                self._ask("events", self._read_events)
                if self._stopping is not None:
                    self._stop()
                else:
                    self._ask("up", self._bring_up)
                if self._follow(end):
                    if not end.wait(_LAST_PROCESSES_S):
                        raise CommandError(
                            f"the supervisor (pid {self._supervisor_pid}) has not ended"
                        )
                    self._over()
        finally:
            self._waited_for = ""
            if self._service is not None:
                self._service.finish(_LAST_LINES_S)
            self._printer.finish(_LAST_LINES_S)
        return self._code

    # ------------------------------------------------------------------ in threads of their own

    def _signalled(self, number: int, frame: Any) -> None:
        self._inbox.put(("signal", number))

    def _ask(self, kind: str, request: Callable[[], Any]) -> None:
        """Do something that blocks, in a thread; its result, or error, comes back as ``kind``."""

        def run() -> None:
            try:
                result = request()
            except BaseException as error:  # carried to the main thread, which raises it
                result = error
            self._inbox.put((kind, result))

        threading.Thread(target=run, name=kind, daemon=True).start()

    def _read_events(self) -> None:
        assert self._client is not None
        for event in self._client.events():
            self._inbox.put(("event", event))

    def _is_answering(self, timeout_s: float) -> bool:
        assert self._client is not None
        try:
            self._client.ps(timeout_s=timeout_s)
        except Exception:  # whatever is wrong: that is what the watchdog is for
            return False
        return True

    def _bring_up(self) -> Any:
        assert self._client is not None
        wishes = self._wishes
        if self._is_joined:
            from orchestrator.errors import Refused

            answer = self._client.reload(timeout_s=wishes.timeout_s)
            if answer["error"]:
                raise Refused(answer["error"])
        if wishes.is_watching:
            self._client.watch()
        return self._client.up(
            wishes.names, wishes.scale, wishes.profiles, timeout_s=wishes.timeout_s
        )

    # ------------------------------------------------------------------ the main thread

    def _launch(self) -> ControlClient | None:
        """Start or join the stack; None when a second signal did not wait for that."""
        from orchestrator.launch import Launch

        launch = Launch(self._manifest)
        self._ask("launched", launch.run)
        while True:
            kind, content = self._inbox.get()
            if kind == "signal" and content == signal.SIGHUP:
                self._has_terminal = False
            elif kind == "signal":
                if self._stopping is None:
                    self._stopping = self._code_of(content)
                    self._printer.say("wampy: stopping as soon as it has started")
                elif content == signal.SIGINT:
                    launch.give_up()
                    return None
            elif isinstance(content, BaseException):
                raise content
            else:
                client: ControlClient = content
                return client

    def _follow(self, end: StackEnd) -> bool:
        """Handle what happens until the end; gives whether the stack has ended."""
        assert self._client is not None
        while True:
            try:
                kind, content = self._inbox.get(timeout=_REASONS_S if self._is_starting else None)
            except queue.Empty:
                # Reasons come and go without a transition.
                self._ask("ps", self._client.ps)
                continue
            if kind == "signal":
                if content == signal.SIGHUP and not self._is_joined:
                    self._has_terminal = False  # the stack is this one's: it stays, unheard
                elif self._is_joined and self._stopping is None:
                    self._printer.say("wampy: the stack runs on; wampy down stops it")
                    self._code = self._code_of(content)
                    return False
                else:
                    self._interrupt(content)
            elif kind == "event":
                self._heard(content)
            elif kind == "ps":
                if not isinstance(content, BaseException):
                    self._waiting.explain(content)
                    self._show()
            elif kind == "up":
                if self._is_up(content):
                    return False
            elif kind == "events":
                # The stream ends with the stack, or broke with it.
                return True
            elif kind == "kill" and isinstance(content, TimeoutError):
                # A supervisor that does not do even that is ended from outside.
                end.kill()
            elif isinstance(content, BaseException) and not _is_end(content):
                raise content

    @property
    def _is_joined(self) -> bool:
        return self._client is not None and bool(self._client.joined)

    def _code_of(self, number: int) -> ExitCode:
        return ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.DONE

    def _interrupt(self, number: int) -> None:
        if self._stopping is None:
            how = "; once more to kill" if number == signal.SIGINT else ""
            self._printer.say(f"wampy: stopping{how}")
            self._stop_with(self._code_of(number))
        elif number == signal.SIGINT and not self._is_killing:
            self._is_killing = True
            self._printer.say("wampy: killing")
            assert self._client is not None
            self._ask("kill", self._client.kill)

    def _stop(self) -> None:
        assert self._client is not None
        client = self._client
        self._show()
        if self._service is not None:
            self._service.stopping()
        self._ask("down", lambda: client.down(timeout_s=None))

    def _stop_with(self, code: int) -> None:
        if self._stopping is None:
            self._stopping = code
            self._waits_since = time.monotonic()
            self._stop()

    def _is_up(self, outcome: Any) -> bool:
        """Take the answer to ``up``; gives whether this process is done with that."""
        if self._stopping is not None or _is_end(outcome):
            return False
        self._is_starting = False
        self._show()
        failed: list[str] = []
        if isinstance(outcome, TimeoutError):
            failed = [f"not ready within {self._wishes.timeout_s:g} s: {self._waiting.line()}"]
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            failed = [
                f"{o['instance']} is {o['state']}: {o.get('reason') or 'no reason known'}"
                for o in outcome
                if not o["ok"]
            ]
        for text in failed:
            self._printer.say(f"wampy: {text}")
        if not failed:
            self._printer.say(f"wampy: {self._summary(len(outcome))}")
            self._tell_ready()
        if self._wishes.is_detached:
            if failed:
                self._printer.say(f"wampy: {self._fate()}")
            self._code = ExitCode.GAVE_UP if failed else ExitCode.DONE
            return True
        if isinstance(outcome, TimeoutError) and not self._is_joined:
            self._printer.say("wampy: stopping")
            self._stop_with(ExitCode.GAVE_UP)
        # Whose terminal has gone has nobody to show a stack that is not his own.
        return self._is_joined and not self._has_terminal

    def _fate(self) -> str:
        """Say what became of a stack that did not come up whole."""
        assert self._client is not None
        try:
            is_ending = self._client.ps()["state"] == "stopping"
        except Exception as error:
            if not _is_end(error):
                raise
            is_ending = True
        if is_ending:
            return "the stack has ended"
        return "the stack runs on; wampy down stops it, wampy ps shows it"

    def _summary(self, count: int) -> str:
        elapsed_s = time.monotonic() - self._started_at
        url = self._snapshot["router"].get("url", "")
        noun = "Instance" if count == 1 else "Instances"
        how = "ready" if self._is_joined else f"ready after {elapsed_s:.2f} s"
        return f"{self._manifest.stack.name}: {count} {noun} {how}, Router {url}"

    def _heard(self, event: dict[str, Any]) -> None:
        self._take(event)
        state = event.get("new")
        if state == "FATAL" or event.get("exit_code"):
            self._has_fatal = True
        if self._wishes.is_detached and state is not None:
            # Where there are no logs to be seen, somebody who waits sees this at least.
            how = "ready" if event.get("ready") else state
            self._printer.say(f"wampy: {event.get('instance')} {how}")
        if not self._wishes.is_aborting_on_exit or self._stopping is not None:
            return
        if is_exit(event):
            self._printer.say(
                f"wampy: {event['instance']} ended ({event.get('reason') or 'done'}): stopping"
            )
            self._stop_with(exit_code_of(event))

    # ------------------------------------------------------------------ what is shown and told

    def _take(self, event: dict[str, Any]) -> None:
        self._waiting.take(event)
        self._show()

    def _show(self) -> None:
        """Have terminal and service manager know what goes on; from the main thread only."""
        if self._stopping is not None:
            text = self._waited_for = self._waiting.stopping_line()
        else:
            text = self._waiting.line()
            self._waited_for = text if self._is_starting else ""
        if self._service is not None:
            self._service.status(text)
            if not self._is_starting and not self._wishes.is_detached and self._waiting.is_over:
                self._service.ready()

    def _status(self) -> str:
        """Give the status line; in the printer's thread."""
        text = self._waited_for
        return f"wampy: {text} ({time.monotonic() - self._waits_since:.0f} s)" if text else ""

    def _begin_service(self) -> None:
        if self._wishes.notifier is not None:
            self._service = Service(self._wishes.notifier, self._is_answering)
            self._service.start()
            self._show()

    def _tell_ready(self) -> None:
        if self._service is None:
            return
        if self._wishes.is_detached:
            # Who is ready is then the guard: this process is about to end.
            guard = guard_of(self._supervisor_pid)
            if guard is not None:
                self._service.main_process(guard)
        self._service.ready()

    def _over(self) -> None:
        """The stack has ended; by us, by somebody else's ``down``, or because it gave up."""
        if self._stopping is not None:
            self._code = self._stopping
            self._printer.say(f"wampy: {self._manifest.stack.name} is down")
            return
        crashed = (self._manifest.stack.run_dir / "state.json").exists()
        if crashed or self._has_fatal:
            self._code = ExitCode.GAVE_UP
        why = "its supervisor was killed" if crashed else "stopped"
        self._printer.say(f"wampy: {self._manifest.stack.name} has ended: {why}")


def is_exit(event: dict[str, Any]) -> bool:
    """Tell whether an Instance has ended that nobody had asked to."""
    return (
        event.get("new") in ("EXITED", "FATAL", "BACKOFF")
        and event.get("old") in ("STARTING", "RUNNING")
        and event.get("instance") != "router"
    )


def exit_code_of(event: dict[str, Any]) -> int:
    """Give the exit code of an Instance that ended, as a shell has it: 128 + n for signal n."""
    last = event.get("exit") or {}
    if isinstance(last.get("code"), int):
        return int(last["code"])
    return 128 + int(last["signal"]) if last.get("signal") else ExitCode.FAILED


def _is_end(content: Any) -> bool:
    """Tell whether a request only failed because the stack ended meanwhile."""
    from orchestrator.errors import NoSuchStack

    return isinstance(content, NoSuchStack | ConnectionError)
