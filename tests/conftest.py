"""Fixtures of every tier: factories that clean up, and real Routers for a whole run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from orchestrator.processes import die_with_parent
from tests.support import TIME_SCALE

# The same examples each time in CI; a deadline for one example would only measure the machine.
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

#: Everything is allowed to everybody: for tests of the library, not of authorization.
OPEN_PERMISSION = {
    "uri": "",
    "match": "prefix",
    "allow": {"call": True, "register": True, "publish": True, "subscribe": True},
    "disclose": {"caller": True, "publisher": True},
    "cache": True,
}
#: Who may join the real Crossbar with a ticket, in the role of that name.
TICKETS = {"joe": "joe's ticket"}
#: Who may join the built-in Router where tickets are wanted, by each method: authid and secret.
LOGINS = {
    "ticket": ("joe", TICKETS["joe"]),
    "wampcra": ("joan", "joan's secret"),
    "scram": ("jim", "jim's password"),
    "cryptosign": ("jill", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
}
_JILLS_PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@dataclass(frozen=True)
class RealRouter:
    """A Router that runs for the whole test run; tests use URIs of their own.

    Attributes:
        url: WebSocket; everybody may do everything there, as ``anonymous``.
        tcp_url: RawSocket on the same port.
        unix_url: RawSocket on a unix socket.
        ticket_url: WebSocket; joined with a ticket of TICKETS only, or at the built-in Router as
            LOGINS say.
        pid: of its main process.
    """

    url: str
    tcp_url: str
    unix_url: str
    ticket_url: str
    realm: str
    host: str
    port: int
    pid: int


@dataclass(frozen=True)
class RealCrossbar(RealRouter):
    """A Crossbar; ``folder`` is that of its node."""

    folder: Path
    executable: Path


def free_port(host: str = "127.0.0.1") -> int:
    """Give a TCP port that is free now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def open_node_config(port: int, ticket_port: int, socket_path: str) -> dict[str, object]:
    """Give a node configuration with one open Realm, on WebSocket, RawSocket and a unix socket."""
    serializers = ["cbor", "msgpack", "json"]
    roles = [{"name": name, "permissions": [OPEN_PERMISSION]} for name in ("anonymous", *TICKETS)]
    principals = {name: {"ticket": ticket, "role": name} for name, ticket in TICKETS.items()}

    def tcp(port: int) -> dict[str, object]:
        return {"type": "tcp", "port": port, "interface": "127.0.0.1"}

    def universal(port: int, auth: Mapping[str, object]) -> dict[str, object]:
        return {
            "type": "universal",
            "endpoint": tcp(port),
            "rawsocket": {"serializers": serializers, **auth},
            "websocket": {"ws": {"type": "websocket", "serializers": serializers, **auth}},
        }

    unix = {"type": "unix", "path": socket_path}
    tickets = {"auth": {"ticket": {"type": "static", "principals": principals}}}
    transports = [
        universal(port, {}),
        universal(ticket_port, tickets),
        {"type": "rawsocket", "endpoint": unix, "serializers": serializers},
    ]
    realms = [{"name": "realm1", "roles": roles}]
    worker = {"type": "router", "realms": realms, "transports": transports}
    return {"version": 2, "controller": {}, "workers": [worker]}


class CrossbarProcess:
    """One run of Crossbar on a node configuration, ready when the constructor returns.

    Raises:
        AssertionError: it ended, or was not ready in time; with its output.
    """

    def __init__(self, executable: Path, folder: Path, config: dict[str, object]) -> None:
        self.folder = folder
        (folder / "config.json").write_text(json.dumps(config))
        self._log = (folder / "crossbar.log").open("w+")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("")
            notify.settimeout(0.1)
            address = "@" + notify.getsockname()[1:].decode()
            run = os.getpid()
            argv = [str(executable), "start", "--cbdir", str(folder), "--config", "config.json"]
            self._process = subprocess.Popen(
                [*argv, "--loglevel", "warn", "--color", "false"],
                cwd=folder,
                env={**os.environ, "NOTIFY_SOCKET": address, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A test run that is killed leaves no Router behind.
                preexec_fn=lambda: die_with_parent(run, signal.SIGTERM),
            )
            for _ in range(int(600 * TIME_SCALE)):
                try:
                    if b"READY=1" in notify.recv(4096):
                        break
                except TimeoutError:
                    if self._process.poll() is not None:
                        break
            else:
                self.stop()
                pytest.fail(f"Crossbar was not ready within a minute:\n{self.output()}")
        if self._process.poll() is not None:
            pytest.fail(f"Crossbar ended by itself:\n{self.output()}")
        self.pid = self._process.pid

    def output(self) -> str:
        """Give everything that it said."""
        return (self.folder / "crossbar.log").read_text()

    def stop(self) -> None:
        """End it, gently first. Idempotent."""
        for signum in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signum)
                try:
                    self._process.wait(10 * TIME_SCALE)
                except subprocess.TimeoutExpired:
                    continue
        self._log.close()


@pytest.fixture(scope="session")
def crossbar_executable() -> Path:
    """Crossbar's executable; there always is one, or the run fails: nothing is skipped."""
    from wampy.testing.executables import find_crossbar

    return find_crossbar(Path(__file__).parent)


@pytest.fixture(scope="session")
def crossbar(crossbar_executable: Path) -> Iterator[RealCrossbar]:
    """One real Crossbar for the whole run."""
    with short_folder() as folder:
        port, ticket_port = free_port(), free_port()
        socket_path = folder / "router.sock"
        config = open_node_config(port, ticket_port, str(socket_path))
        process = CrossbarProcess(crossbar_executable, folder, config)
        try:
            yield RealCrossbar(
                url=f"ws://127.0.0.1:{port}/ws",
                tcp_url=f"tcp://127.0.0.1:{port}",
                unix_url=f"unix://{socket_path}",
                ticket_url=f"ws://127.0.0.1:{ticket_port}/ws",
                realm="realm1",
                host="127.0.0.1",
                port=port,
                pid=process.pid,
                folder=folder,
                executable=crossbar_executable,
            )
        finally:
            process.stop()


@pytest.fixture(scope="session")
def builtin_router() -> Iterator[RealRouter]:
    """One built-in Router for the whole run, open as the Crossbar is."""
    everything = ["call", "register", "publish", "subscribe"]
    permissions = [{"uri": one, "match": "prefix", "allow": everything} for one in ("", "wamp.")]
    with short_folder() as folder:
        port, ticket_port = free_port(), free_port()
        socket_path = folder / "router.sock"
        tickets = {name: {"role": name, "secret": secret} for name, secret in TICKETS.items()}
        others: dict[str, Any] = {
            method: {LOGINS[method][0]: {"role": "joe", "secret": LOGINS[method][1]}}
            for method in ("wampcra", "scram")
        }
        key = {"role": "joe", "authorized_keys": [_JILLS_PUBLIC_KEY]}
        others["cryptosign"] = {LOGINS["cryptosign"][0]: key}
        host = "127.0.0.1"
        settings = {
            "realm": "realm1",
            "roles": {name: permissions for name in ("anonymous", *TICKETS)},
            "listeners": [
                {"host": host, "port": port, "anonymous": "anonymous"},
                {"host": host, "port": ticket_port, "ticket": tickets, **others},
                {"unix": str(socket_path), "anonymous": "anonymous"},
            ],
            "log_level": "WARNING",
        }
        (folder / "router.json").write_text(json.dumps(settings))
        run = os.getpid()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("")
            notify.settimeout(20 * TIME_SCALE)
            address = "@" + notify.getsockname()[1:].decode()
            process = subprocess.Popen(
                [sys.executable, "-m", "wampy.router", str(folder / "router.json")],
                env={**os.environ, "NOTIFY_SOCKET": address},
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(run, signal.SIGTERM),
            )
            try:
                assert b"READY=1" in notify.recv(4096)
                yield RealRouter(
                    url=f"ws://{host}:{port}/ws",
                    tcp_url=f"tcp://{host}:{port}",
                    unix_url=f"unix://{socket_path}",
                    ticket_url=f"ws://{host}:{ticket_port}/ws",
                    realm="realm1",
                    host=host,
                    port=port,
                    pid=process.pid,
                )
                assert process.poll() is None, "the Router did not live to the end"
            finally:
                process.kill()
                process.wait()


@pytest.fixture
def crossbar_process(crossbar_executable: Path) -> Iterator[Callable[..., CrossbarProcess]]:
    """Start Crossbars of a test's own: ``crossbar_process(config)``; stopped after the test."""
    with short_folder() as parent:
        started: list[CrossbarProcess] = []

        def start(config: dict[str, object], folder: Path | None = None) -> CrossbarProcess:
            if folder is None:
                folder = parent / str(len(started))
                folder.mkdir()
            started.append(CrossbarProcess(crossbar_executable, folder, config))
            return started[-1]

        try:
            yield start
        finally:
            for process in started:
                process.stop()


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket in it, unlike ``tmp_path``."""
    with short_folder() as folder:
        yield folder


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder with a short path, removed at the end whatever is in it."""
    folder = Path(tempfile.mkdtemp(prefix="wampy-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
