"""A stack from the side of who started it: progress, logs, signals, and the orderly end.

Rules:

- The main thread waits on one queue, into which everything that happens is put, and decides; each
  request to the stack is made in a thread of its own; only the printer writes to the terminal.
  So no signal waits for a request, and no request for a terminal that takes nothing.
- What this process started it stops, whatever ends it; a stack that it joined it leaves alone.
- It may be killed without harm: the stack lives on, and the next ``up`` joins it.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.ending import StackEnd, watched_end
from orchestrator.cli.exits import CommandError, ExitCode
from orchestrator.cli.first_process import reap_orphans
from orchestrator.cli.following import LineStyle, LogLines
from orchestrator.cli.notify import ServiceManager
from orchestrator.cli.output import is_coloured
from orchestrator.cli.printing import Printer

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient
    from orchestrator.manifest import Manifest

#: Seconds until somebody who waits for the stack is told on what it waits; then again and again.
PATIENCE_S = 2.0
IMPATIENT_S = 5.0
#: Instances that such a line names.
MOST_NAMED = 5
#: Seconds that what is left of the stack's own processes gets in the end.
_LAST_PROCESSES_S = 10.0
#: Seconds that a terminal gets to take the last lines.
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
    """

    names: list[str]
    scale: dict[str, int]
    timeout_s: float | None
    is_detached: bool
    is_aborting_on_exit: bool
    is_watching: bool = False
    profiles: tuple[str, ...] = ()


class Foreground:
    """One ``wampy up``; ``run`` is called once, in the main thread."""

    def __init__(self, manifest: Manifest, wishes: Wishes) -> None:
        self._manifest = manifest
        self._wishes = wishes
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._started_at = time.monotonic()
        logs = LogLines(manifest, LineStyle(manifest, colours=is_coloured()))
        self._printer = Printer(
            2 if wishes.is_detached else 1,
            (lambda _: ()) if wishes.is_detached else logs.poll,
        )
        self._client: ControlClient | None = None
        self._snapshot: dict[str, Any] = {}
        #: Why the stack is being stopped by us: None while it is not.
        self._stopping: int | None = None
        self._is_killing = False
        self._has_fatal = False
        self._code: int = ExitCode.DONE
        self._manager = ServiceManager(os.environ)
        #: When somebody who waits is told next on what.
        self._patient_until = time.monotonic() + PATIENCE_S

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
        reap_orphans()
        try:
            client = self._launch()
            if client is None:
                return ExitCode.INTERRUPTED
            self._client = client
            if self._stopping is not None and self._is_joined:
                self._printer.say("wampy: the stack runs on; wampy down stops it")
                return self._stopping
            self._snapshot = client.ps()
            with watched_end(self._snapshot) as end:
                self._ask("events", self._read_events)
                self._manager.watch(lambda: _answers(client))
                if self._stopping is not None:
                    self._stop()
                else:
                    self._ask("up", self._bring_up)
                if self._follow(end):
                    if not end.wait(_LAST_PROCESSES_S):
                        pid = self._snapshot["pid"]
                        raise CommandError(f"the supervisor (pid {pid}) has not ended")
                    self._over()
        finally:
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
            try:
                kind, content = self._inbox.get(timeout=self._patience_s())
            except queue.Empty:
                self._patient_until = time.monotonic() + IMPATIENT_S
                self._printer.say("wampy: starting; the Peers' modules are being imported")
                continue
            if kind == "signal":
                if self._stopping is not None:
                    launch.give_up()
                    return None
                self._stopping = self._code_of(content)
                self._printer.say("wampy: stopping as soon as it has started")
            elif isinstance(content, BaseException):
                raise content
            else:
                client: ControlClient = content
                return client

    def _follow(self, end: StackEnd) -> bool:
        """Handle what happens until the end; gives whether the stack has ended."""
        while True:
            try:
                kind, content = self._inbox.get(timeout=self._patience_s())
            except queue.Empty:
                self._tell_progress()
                continue
            if kind == "signal":
                if self._is_joined and not self._stopping:
                    self._printer.say("wampy: the stack runs on; wampy down stops it")
                    self._code = self._code_of(content)
                    return False
                self._interrupt(content)
            elif kind == "event":
                self._heard(content)
            elif kind == "progress":
                if not isinstance(content, BaseException) and self._stopping is None:
                    text = progress_of(content)
                    self._printer.say(f"wampy: {text}")
                    self._manager.status(text)
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
            self._stopping = self._code_of(number)
            self._printer.say("wampy: stopping; once more to kill")
            self._stop()
        elif not self._is_killing:
            self._is_killing = True
            self._printer.say("wampy: killing")
            assert self._client is not None
            self._ask("kill", self._client.kill)

    def _stop(self) -> None:
        assert self._client is not None
        client = self._client
        self._manager.stopping()
        self._ask("down", lambda: client.down(timeout_s=None))

    def _stop_with(self, code: int) -> None:
        if self._stopping is None:
            self._stopping = code
            self._stop()

    def _is_up(self, outcome: Any) -> bool:
        """Take the answer to ``up``; gives whether this process is done with that."""
        self._patient_until = float("inf")
        if self._stopping is not None or _is_end(outcome):
            return False
        failed: list[str] = []
        if isinstance(outcome, TimeoutError):
            failed = [f"not ready within {self._wishes.timeout_s:g} s"]
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
            summary = self._summary(len(outcome))
            self._printer.say(f"wampy: {summary}")
            stays = self._snapshot["pid"] if self._wishes.is_detached else None
            self._manager.ready(summary, main_pid=stays)
        if self._wishes.is_detached:
            if failed:
                self._printer.say(f"wampy: {self._fate()}")
            self._code = ExitCode.GAVE_UP if failed else ExitCode.DONE
            return True
        if isinstance(outcome, TimeoutError) and not self._is_joined:
            self._printer.say("wampy: stopping")
            self._stop_with(ExitCode.GAVE_UP)
        return False

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
        state = event.get("new")
        if state == "FATAL":
            self._has_fatal = True
        if self._wishes.is_detached and state is not None:
            # Where there are no logs to be seen, somebody who waits sees this at least.
            how = "ready" if event.get("ready") else state
            self._printer.say(f"wampy: {event.get('instance')} {how}")
        is_exit = state in ("EXITED", "FATAL", "BACKOFF") and event.get("instance") != "router"
        if not (is_exit and self._wishes.is_aborting_on_exit) or self._stopping is not None:
            return
        name = event["instance"]
        self._printer.say(f"wampy: {name} ended ({event.get('reason') or state}): stopping")
        self._stop_with(self._exit_code_of(name))

    def _exit_code_of(self, instance: str) -> int:
        """Give the exit code of an Instance as a shell would; 1 where there is none."""
        assert self._client is not None
        try:
            rows = self._client.ps()["instances"]
        except Exception:
            # It ends anyway; then it counts as unclean.
            return ExitCode.FAILED
        last = next((row["exit"] for row in rows if row["instance"] == instance), None) or {}
        if last.get("signal") is not None:
            return 128 + int(last["signal"])
        code = last.get("code")
        return code if isinstance(code, int) else ExitCode.FAILED

    def _patience_s(self) -> float | None:
        if self._patient_until == float("inf"):
            return None
        return max(0.0, self._patient_until - time.monotonic())

    def _tell_progress(self) -> None:
        """Find out what is still waited for, in a thread, since that may take a while, too."""
        assert self._client is not None
        self._patient_until = time.monotonic() + IMPATIENT_S
        self._ask("progress", self._client.ps)

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


def _answers(client: ControlClient) -> bool:
    try:
        client.ps()
    except Exception:
        # Broad: whatever it is, it is no answer.
        return False
    return True


def progress_of(snapshot: dict[str, Any]) -> str:
    """Say how far a stack is that starts: how many are ready, and what the others wait for."""
    router = snapshot["router"]
    if not router["ready"]:
        reason = f" ({router['reason']})" if router.get("reason") else ""
        return f"waiting for the router, which is {router['state']}{reason}"
    rows = [row for row in snapshot["instances"] if row["state"] != "STOPPED" or row["reason"]]
    waiting = [row for row in rows if not row["ready"] and not row["completed"]]
    texts = [
        f"{row['instance']} {row['state']}" + (f" ({row['reason']})" if row["reason"] else "")
        for row in waiting[:MOST_NAMED]
    ]
    more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
    return f"{len(rows) - len(waiting)} of {len(rows)} ready; waiting for {', '.join(texts)}{more}"


def _is_end(content: Any) -> bool:
    """Tell whether a request only failed because the stack ended meanwhile."""
    from orchestrator.errors import NoSuchStack

    return isinstance(content, NoSuchStack | ConnectionError)
