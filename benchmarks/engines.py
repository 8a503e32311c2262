"""Those who keep Peers running: supervisord, circus and honcho with autobahn's Peers, and wampy.

Each is configured as its documentation has it, with nothing that would slow it down.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import HERE, REALM, OpenCrossbar, end_with_me, rival, wait_for

#: Of honcho, circus and supervisord alike: as many descriptors as 100 children need.
NAMES = ("wampy", "supervisord", "circus", "honcho")
#: Those that start again what died.
RESTARTING = ("wampy", "supervisord", "circus")


def wampy_program() -> str:
    return str(Path(sys.executable).parent / "wampy")


class Engine:
    """One engine with ``count`` Peers, from ``start`` to ``stop``.

    They all offer the one procedure ``uri``; or each its own, ``uri`` with the Peer's number from 0
    added, where ``is_shared`` is False.
    """

    def __init__(
        self,
        name: str,
        router: OpenCrossbar,
        folder: Path,
        count: int,
        uri: str,
        is_shared: bool = True,
    ) -> None:
        self.name, self.router, self.folder = name, router, folder
        self.count, self.uri, self.is_shared = count, uri, is_shared
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        getattr(self, f"_configure_{name}")()

    @property
    def is_started(self) -> bool:
        return self._process is not None or self.name == "wampy"

    def start(self) -> None:
        """Type the command. wampy's returns when all is ready, the others run in the foreground."""
        if self.name == "wampy":
            with (self.folder / "log").open("wb") as log:
                subprocess.run(self._argv, cwd=self.folder, check=True, stdout=log, stderr=log)
            return
        self._process = subprocess.Popen(
            self._argv,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_me(),
        )

    def ps(self) -> dict[str, Any]:
        """Give ``wampy ps --json``."""
        argv = [wampy_program(), "ps", "--json"]
        told = subprocess.run(argv, cwd=self.folder, check=True, capture_output=True)
        found: dict[str, Any] = json.loads(told.stdout)
        return found

    def root(self) -> int:
        """Give the pid at the top of its tree; wampy's is the guard above the supervisor."""
        if self._process is not None:
            return self._process.pid
        supervisor = psutil.Process(self.ps()["pid"])
        parent = supervisor.parent()
        assert parent is not None
        return parent.pid if parent.pid != 1 else supervisor.pid

    def supervisor(self) -> int:
        """Give the pid of the process that watches the Peers."""
        return self._process.pid if self._process else int(self.ps()["pid"])

    def pid_of(self, number: int) -> int:
        """Give the pid of the Peer with a procedure of its own; 0 while there is none."""
        if self._process is None:
            rows = {one["name"]: one["pid"] for one in self.ps()["instances"]}
            return int(rows[f"echo{number}"] or 0)
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if child.cmdline()[-1:] == [f"{self.uri}{number}"]:
                    return child.pid
        return 0

    def stop(self) -> None:
        if self._process is None:
            with (self.folder / "log").open("ab") as log:
                argv = [wampy_program(), "down"]
                subprocess.run(argv, cwd=self.folder, check=False, stdout=log, stderr=log)
            return
        tree = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        for left in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _peer_command(self, number: str) -> str:
        """Give the command of a Peer; ``number`` is how the engine spells the Peer's own."""
        peer = HERE / "rivals" / "autobahn_peer.py"
        uri = self.uri if self.is_shared else self.uri + number
        return f"{rival('python')} {peer} {self.router.url} {uri}"

    def _configure_wampy(self) -> None:
        peers = {"echo": self.uri}
        if not self.is_shared:
            peers = {f"echo{number}": f"{self.uri}{number}" for number in range(self.count)}
        replicas = self.count if self.is_shared else 1
        (self.folder / "bench_peer.py").write_text(
            "from wampy import Peer, rpc\n"
            + "".join(
                f"\n\nclass {name.title()}(Peer):\n    @rpc({uri!r})\n"
                "    def echo(self, text):\n        return text\n"
                for name, uri in peers.items()
            )
        )
        (self.folder / "wampy.toml").write_text(
            f'[stack]\nname = "bench"\nrealm = "{REALM}"\n\n'
            f'[router]\ntype = "external"\nurl = "{self.router.unix_url}"\n'
            + "".join(
                f'\n[peers.{name}]\napp = "bench_peer:{name.title()}"\nreplicas = {replicas}\n'
                for name in peers
            )
        )
        self._argv = [wampy_program(), "up", "-d"]

    def _configure_supervisord(self) -> None:
        (self.folder / "supervisord.conf").write_text(
            "[supervisord]\nnodaemon=true\n"
            f"logfile={self.folder}/supervisord.log\npidfile={self.folder}/pid\n\n"
            f"[program:peer]\ncommand={self._peer_command('%(process_num)d')}\n"
            f"numprocs={self.count}\nprocess_name=peer_%(process_num)d\nautorestart=true\n"
        )
        self._argv = [rival("supervisord"), "-c", str(self.folder / "supervisord.conf")]

    def _configure_circus(self) -> None:
        shared = [("peer", self.count, self._peer_command(""))]
        own = [(f"peer{n}", 1, self._peer_command(str(n))) for n in range(self.count)]
        (self.folder / "circus.ini").write_text(
            f"[circus]\nendpoint = ipc://{self.folder}/endpoint\n"
            f"pubsub_endpoint = ipc://{self.folder}/pubsub\n"
            f"stats_endpoint = ipc://{self.folder}/stats\n"
            + "".join(
                f"\n[watcher:{name}]\ncmd = {command}\nnumprocesses = {count}\n"
                for name, count, command in (shared if self.is_shared else own)
            )
        )
        self._argv = [rival("circusd"), str(self.folder / "circus.ini")]

    def _configure_honcho(self) -> None:
        (self.folder / "Procfile").write_text(f"peer: exec {self._peer_command('')}\n")
        self._argv = [rival("honcho"), "start", "-c", f"peer={self.count}"]


@contextlib.contextmanager
def running(
    name: str, router: OpenCrossbar, folder: Path, count: int, uri: str, is_shared: bool = True
) -> Iterator[Engine]:
    """An engine that was configured; it is stopped when the block ends, started by who measures."""
    engine = Engine(name, router, folder / name, count, uri, is_shared)
    try:
        yield engine
    finally:
        if engine.is_started:
            engine.stop()


def callees(session, uri: str) -> int:
    """Count the Callees of ``uri``, as the Router says."""
    registration = session.call("wamp.registration.lookup", uri, {})
    if registration is None:
        return 0
    return int(session.call("wamp.registration.count_callees", registration))


def wait_for_callees(session, uri: str, count: int, timeout_s: float = 180.0) -> None:
    wait_for(lambda: callees(session, uri) >= count, timeout_s, f"{count} callees", 0.02)


def wait_for_none(session, uri: str) -> None:
    """Wait until the Router has forgotten the last engine's Peers."""
    wait_for(lambda: callees(session, uri) == 0, 60, "the last engine's Peers are gone", 0.02)
