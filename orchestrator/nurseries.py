"""The supervisor's side of the nurseries: which there are, what they imported, their orders.

One nursery for each distinct environment and working folder of the Peers. A Peer whose module
starts threads when imported, or that asks for it (``start_method = "exec"``), gets an interpreter
of its own at each start instead: a nursery that becomes its Instance.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator import channel
from orchestrator.code import Code, changed_files, files_of
from orchestrator.loop import Loop
from orchestrator.processes import ExitStatus, Reaper

#: What each Peer declares: ``{"procedures": [...], "topics": [...], "single": [...]}``.
Reports = dict[str, dict[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: names declared, faults by Peer, whose modules start threads."""

    reports: Reports
    faults: dict[str, str]
    threaded: list[str]
    code: Code


@dataclass(slots=True)
class Spawn:
    """An Instance being forked; the outcome is told once."""

    on_forked: Callable[[int], None]
    on_failed: Callable[[str], None]


class Nursery:
    """One nursery process; all methods in the loop's thread, none blocks.

    ``on_imported`` is called once after the start. When the process dies, ``on_died(reason)`` is
    called, after every spawn under way has failed.
    """

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        *,
        wanted: dict[str, Any],
        env: Mapping[str, str],
        cwd: Path,
        stdio: tuple[int, int],
        on_imported: Callable[[Imported], None],
        on_died: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._on_imported = on_imported
        self._on_died = on_died
        self._spawns: dict[str, Spawn] = {}
        self.has_imported = False
        #: The Peer whose module is being imported, or was last.
        self.importing: str | None = None
        self._link, theirs = channel.channel_pair()
        self._process = start_nursery_process(theirs, env, cwd, stdio)
        theirs.close()
        self.pid = self._process.pid
        reaper.watch(self.pid, self._exited)
        self._link.setblocking(False)
        loop.add_reader(self._link.fileno(), self._readable)
        channel.send(self._link, wanted)

    @property
    def is_idle(self) -> bool:
        """Whether no fork is under way."""
        return not self._spawns

    def fork(
        self, key: str, order: dict[str, Any], fds: tuple[int, int, int], spawn: Spawn
    ) -> None:
        """Order an Instance; ``fds`` (stdout, stderr, channel) may be closed afterwards."""
        self._spawns[key] = spawn
        if self._link.fileno() < 0 or not channel.send(
            self._link, {"fork": {**order, "key": key}}, fds
        ):
            del self._spawns[key]
            # Later, not from within the order: whoever gave it is still deciding.
            self._loop.call_later(0, lambda: spawn.on_failed("the nursery takes no orders"))

    def close(self) -> None:
        """Let the nursery end: no more forks. Its Instances live on."""
        if self._link.fileno() >= 0:
            self._loop.remove_reader(self._link.fileno())
            self._link.close()

    def _readable(self) -> None:
        try:
            received = channel.receive(self._link)
        except BlockingIOError:
            return
        if received is None:
            self.close()
            return
        message = received[0]
        if "imported" in message:
            self.has_imported = True
            files = {module: (path, digest) for module, (path, digest) in message["files"].items()}
            code = Code(files, message["imported_at"])
            self._on_imported(
                Imported(message["imported"], message["faults"], message["threaded"], code)
            )
        elif "importing" in message:
            self.importing = message["importing"]
        elif "forked" in message:
            self._spawns.pop(message["forked"]).on_forked(message["pid"])
        elif "failed" in message:
            self._spawns.pop(message["failed"]).on_failed(message["reason"])

    def _exited(self, status: ExitStatus) -> None:
        self._process.returncode = -status.signal if status.signal else status.code
        while self._link.fileno() >= 0:
            # What it still said before it ended comes first.
            self._readable()
        reason = f"the nursery ended ({_how(status)})"
        spawns, self._spawns = self._spawns, {}
        for spawn in spawns.values():
            spawn.on_failed(reason)
        self._on_died(reason)


def start_nursery_process(
    theirs: socket.socket, env: Mapping[str, str], cwd: Path, stdio: tuple[int, int]
) -> subprocess.Popen[bytes]:
    """Exec a nursery on its end of a channel, in a session of its own.

    ``-P``: the folder it runs in must not shadow modules of the standard library.

    Raises:
        OSError: there is no such working folder, or no process can be started.
    """
    fd = theirs.fileno()
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "orchestrator.nursery", str(fd)],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdio[0],
        stderr=stdio[1],
        pass_fds=(fd,),
        start_new_session=True,
    )


def _how(status: ExitStatus) -> str:
    return f"signal {status.signal}" if status.signal else f"exit code {status.code}"


@dataclass(frozen=True, slots=True)
class Upbringing:
    """How a Peer's Instances come to be: what is imported, in which environment and folder."""

    app: str
    config: dict[str, Any]
    env: dict[str, str]
    cwd: Path
    kind: str = "service"
    is_exec: bool = False

    @property
    def order(self) -> dict[str, Any]:
        """What the nursery is told of the Peer."""
        return {"app": self.app, "config": self.config, "kind": self.kind}


class NurseryPool:
    """All nurseries of a stack, and which Peer comes from which.

    ``say(text)`` gets one line for the log whenever something is worth one.
    """

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        *,
        root: Path,
        preload: tuple[str, ...],
        warm: tuple[str, ...],
        classes: str | None,
        stdio: tuple[int, int],
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._reaper = reaper
        self.root = root
        #: Modules that every nursery imports first.
        self.preload = preload
        self._warm = warm
        self._classes = classes
        self._stdio = stdio
        self._say = say
        self._peers: dict[str, Upbringing] = {}
        self._nursery_of: dict[str, Nursery] = {}
        self._is_closed = False
        self.reports: Reports = {}
        #: The code that each Peer's Instances are forked with.
        self.code: dict[str, Code] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no fork is under way: every child that nobody knows is a stray now."""
        return all(nursery.is_idle for nursery in self._nursery_of.values())

    def bring_up(
        self,
        peers: Mapping[str, Upbringing],
        done: Callable[[dict[str, str]], None],
        *,
        preload: tuple[str, ...] | None = None,
        check: Callable[[Reports], dict[str, str]] = lambda reports: {},
        is_trial: bool = False,
    ) -> None:
        """Import the code of these Peers as it is on the disk now, in new nurseries.

        ``done(faults)`` is called once, with a text for each Peer (or ``[stack] preload``) whose
        import failed, or with whom ``check`` finds fault, which gets what they declare. Without
        faults the new nurseries have replaced the old ones by then; with faults, and in a trial,
        nothing has changed. Old nurseries end, their Instances live on. ``preload``: other modules
        to import first, from now on.
        """
        _BringUp(self, peers, done, self.preload if preload is None else preload, check, is_trial)

    def forget(self, name: str) -> None:
        """No more Instances of this Peer: its nursery ends if it has no other."""
        self._peers.pop(name, None)
        self.reports.pop(name, None)
        self.code.pop(name, None)
        former = self._nursery_of.pop(name, None)
        if former is not None and former not in self._nursery_of.values():
            former.close()

    def spawn(
        self, name: str, key: str, order: dict[str, Any], fds: tuple[int, int, int], spawn: Spawn
    ) -> None:
        """Start one Instance of a Peer; ``fds`` (stdout, stderr, channel) may be closed after."""
        peer = self._peers[name]
        if peer.is_exec:
            self._spawn_exec(name, peer, order, fds, spawn)
            return
        self._nursery_of[name].fork(key, order, fds, spawn)

    def close(self) -> None:
        """Let all nurseries end."""
        self._is_closed = True
        for nursery in set(self._nursery_of.values()):
            nursery.close()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back in the loop's next turn."""
        self._loop.call_later(0, callback)

    def start_nursery(
        self,
        group: Mapping[str, Upbringing],
        preload: tuple[str, ...],
        on_imported: Callable[[Imported], None],
        on_died: Callable[[str], None],
    ) -> Nursery:
        """Start a nursery for Peers that share environment and folder."""
        any_peer = next(iter(group.values()))
        apps = {name: peer.order for name, peer in group.items()}
        return Nursery(
            self._loop,
            self._reaper,
            wanted={**self._base(preload), "apps": apps},
            env=any_peer.env,
            cwd=any_peer.cwd,
            stdio=self._stdio,
            on_imported=on_imported,
            on_died=on_died,
        )

    def _base(self, preload: tuple[str, ...]) -> dict[str, Any]:
        return {
            "root": str(self.root),
            "preload": list(preload),
            "warm": list(self._warm),
            "classes": self._classes,
        }

    def changed_files(self, name: str) -> list[str]:
        """Give the files that have changed since a Peer's code was imported."""
        code, peer = self.code.get(name), self._peers.get(name)
        if code is None or peer is None:
            return []
        module = peer.app.partition(":")[0]
        return changed_files(code, self.root, [module, *self.preload])

    def local_files(self) -> set[str]:
        """Give every local file that any Peer's code is in."""
        found: set[str] = set()
        for name, code in self.code.items():
            module = self._peers[name].app.partition(":")[0]
            found |= files_of(code, self.root, [module, *self.preload])
        return found

    def later(self, action: Callable[[], None]) -> None:
        """Call something in the loop's next turn."""
        self._loop.call_later(0, action)

    def say_threaded(self, name: str, app: str) -> None:
        """Tell of a module that cannot live in a nursery."""
        self._say(
            f"{name}: {app} starts threads when it is imported; "
            "each Instance gets an interpreter of its own"
        )

    def adopt(self, nursery: Nursery | None, members: Mapping[str, Upbringing]) -> None:
        """Let these Peers come from this nursery from now on; None: interpreters of their own."""
        old = {self._nursery_of.pop(name) for name in members if name in self._nursery_of}
        for name, peer in members.items():
            self._peers[name] = peer
            if nursery is not None:
                self._nursery_of[name] = nursery
        for former in old - set(self._nursery_of.values()):
            former.close()

    def died(self, dead: Nursery, reason: str) -> None:
        """A nursery ended: another one, with the same Peers; its Instances are not touched."""
        members = {n: self._peers[n] for n, nursery in self._nursery_of.items() if nursery is dead}
        if self._is_closed or not members:
            return
        self._say(f"{reason}; another one takes its place, its Instances live on")

        def told(faults: dict[str, str]) -> None:
            for name, fault in faults.items():
                self._say(f"{name}: cannot be imported any more: {fault}")
            if faults:
                self._loop.call_later(1.0, lambda: self.bring_up(members, told))

        self.bring_up(members, told)

    def _spawn_exec(
        self,
        name: str,
        peer: Upbringing,
        order: dict[str, Any],
        fds: tuple[int, int, int],
        spawn: Spawn,
    ) -> None:
        link, theirs = channel.channel_pair()
        apps = {name: peer.order}
        try:
            process = start_nursery_process(theirs, peer.env, peer.cwd, self._stdio)
        except OSError as error:
            reason = f"cannot start an interpreter: {error.strerror}"
            self._loop.call_later(0, lambda: spawn.on_failed(reason))
        else:
            channel.send(link, {**self._base(self.preload), "apps": apps, "exec": order}, fds)
            process.returncode = 0  # the reaper knows its end, this object never will
            spawn.on_forked(process.pid)
        finally:
            theirs.close()
            link.close()


class _BringUp:
    """One round of imports: nurseries under way, what came of each, one answer at the end."""

    def __init__(
        self,
        pool: NurseryPool,
        peers: Mapping[str, Upbringing],
        done: Callable[[dict[str, str]], None],
        preload: tuple[str, ...],
        check: Callable[[Reports], dict[str, str]],
        is_trial: bool,
    ) -> None:
        self._pool = pool
        self._done = done
        self._preload = preload
        self._check = check
        self._is_trial = is_trial
        self._faults: dict[str, str] = {}
        self._reports: Reports = {}
        self._code: dict[str, Code] = {}
        self._ready: list[tuple[Nursery | None, dict[str, Upbringing]]] = []
        groups: dict[tuple[Any, ...], dict[str, Upbringing]] = {}
        for name, peer in peers.items():
            key = (tuple(sorted(peer.env.items())), peer.cwd, peer.is_exec)
            groups.setdefault(key, {})[name] = peer
        # One more than there are: nobody is done before all have begun.
        self._waiting = 1
        for group in groups.values():
            self._import(group)
        pool.later(self._finish_one)

    def _import(self, group: dict[str, Upbringing]) -> None:
        made: list[Nursery] = []

        def imported(outcome: Imported) -> None:
            self._imported(made[0], group, outcome)

        def died(reason: str) -> None:
            if made[0].has_imported:
                self._pool.died(made[0], reason)
            else:
                guilty = made[0].importing or next(iter(group))
                self._faults[guilty] = f"app: its import ended the interpreter: {reason}"
                self._finish_one()

        self._waiting += 1
        made.append(self._pool.start_nursery(group, self._preload, imported, died))

    def _imported(self, nursery: Nursery, group: dict[str, Upbringing], outcome: Imported) -> None:
        self._reports.update(outcome.reports)
        self._code.update(dict.fromkeys(group, outcome.code))
        threaded = [name for name in outcome.threaded if not group[name].is_exec]
        if outcome.faults:
            self._faults.update(outcome.faults)
            nursery.close()
        elif threaded:
            # Poisoned: nothing may be forked from it. Once more, without those.
            nursery.close()
            for name in threaded:
                self._pool.say_threaded(name, group[name].app)
            self._ready.append((None, {name: _as_exec(group[name]) for name in threaded}))
            rest = {name: peer for name, peer in group.items() if name not in threaded}
            if rest:
                self._import(rest)
        elif next(iter(group.values())).is_exec:
            nursery.close()
            self._ready.append((None, group))
        else:
            self._ready.append((nursery, group))
        self._finish_one()

    def _finish_one(self) -> None:
        self._waiting -= 1
        if self._waiting:
            return
        if not self._faults:
            self._faults = self._check(self._reports)
        is_adopted = not self._faults and not self._is_trial
        for nursery, group in self._ready:
            if is_adopted:
                self._pool.adopt(nursery, group)
            elif nursery is not None:
                nursery.close()
        if is_adopted:
            self._pool.preload = self._preload
            self._pool.reports.update(self._reports)
            self._pool.code.update(self._code)
        self._done(self._faults)


def _as_exec(peer: Upbringing) -> Upbringing:
    return replace(peer, is_exec=True)
