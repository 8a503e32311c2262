"""Crossbar.io as a child of this process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wampy.errors import WampyError
from wampy.testing.executables import CrossbarNotFound, find_crossbar

#: The configuration that is packaged: one Realm, everything allowed, on loopback.
PACKAGED_CONFIG = Path(__file__).with_name("config.json")
#: Signals that end it, and how long each may take, in seconds.
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


class RouterFailed(WampyError):
    """The Router does not start; the text says why."""


class Crossbar:
    """A Crossbar.io that this process starts and stops.

    Args:
        host: where its clients find it; what it listens on is for its configuration to say.
        config_path: a node configuration, version 2 (JSON); a file that is not there means the one
            packaged with wampy: one Realm, everything allowed, port 8080 of this machine.
        crossbar_directory: its node folder ``.crossbar`` is made there.
        command: the executable; default: ``crossbar`` as ``wampy.testing.executables`` finds it.
        quiet: whether its log is kept off the terminal.

    Attributes:
        url: for clients, such as ``ws://localhost:8080/ws``.
        realm: the first of its configuration.
        port: where it listens.
        pid: of its process, or None.

    Raises:
        RouterFailed: the configuration cannot be read, or offers no WebSocket or RawSocket on TCP.
    """

    name = "crossbar"
    role = "DEALER"

    def __init__(
        self,
        host: str = "localhost",
        config_path: str | os.PathLike[str] | None = None,
        crossbar_directory: str | os.PathLike[str] = ".",
        *,
        command: str | None = None,
        quiet: bool = False,
    ) -> None:
        self.host = host
        path = Path(config_path) if config_path is not None else PACKAGED_CONFIG
        self.config_path = (path if path.exists() else PACKAGED_CONFIG).absolute()
        self.crossbar_directory = Path(crossbar_directory).absolute()
        self.config = _read_config(self.config_path)
        self.realm = _first_realm(self.config)
        self.port, self.url = _find_way_in(self.config, host, self.config_path)
        self._command = command
        self._is_quiet = quiet
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # guards _process; start and stop one at a time

    def __repr__(self) -> str:
        return f"<Crossbar {self.url}>"

    @property
    def pid(self) -> int | None:
        """The pid of its process, or None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def __enter__(self) -> Crossbar:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()

    def start(self, timeout: float = 60.0) -> None:
        """Start it; returns when it can be used. Its log goes to the terminal.

        Raises:
            RouterFailed: no executable, a port that is taken, a configuration that it refuses, or
                not ready within ``timeout`` seconds.
        """
        with self._lock:
            if self.pid is not None:
                return
            self._check_port()
            try:
                command = self._command or str(find_crossbar())
            except CrossbarNotFound as error:
                raise RouterFailed(str(error)) from error
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.bind("")  # the kernel chooses an abstract name
                self._process = self._spawn(command, notify.getsockname())
                try:
                    self._await_ready(notify, time.monotonic() + timeout, timeout)
                except BaseException:
                    self._stop()
                    raise

    def _check_port(self) -> None:
        """Refuse a port that somebody has: Crossbar would say so after seconds, at length."""
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1.0):
            raise RouterFailed(
                f"something listens on {self.host}:{self.port} already; if it is a Router, "
                f"Session({self.url!r}) uses it"
            )

    def _spawn(self, command: str, notify: bytes) -> subprocess.Popen[bytes]:
        folder = self.crossbar_directory / ".crossbar"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return subprocess.Popen(
                [
                    command,
                    "start",
                    "--cbdir",
                    str(folder),
                    "--config",
                    str(self.config_path),
                    *(("--loglevel", "error") if self._is_quiet else ()),
                ],
                # A folder of its own: its worker has the current one on its module path.
                cwd=folder,
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": "@" + notify[1:].decode(),
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                # Ctrl-C at the prompt is not for it.
                start_new_session=True,
            )
        except OSError as error:
            raise RouterFailed(f"cannot start {command}: {error}") from error

    def _await_ready(self, notify: socket.socket, deadline: float, timeout: float) -> None:
        assert self._process is not None
        notify.settimeout(0.1)
        while True:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in notify.recv(4096):
                    return
            code = self._process.poll()
            if code is not None:
                raise RouterFailed(f"Crossbar ended with code {code}; its log says why")
            if time.monotonic() > deadline:
                raise RouterFailed(f"Crossbar is not ready after {timeout:g} s")

    def stop(self) -> None:
        """Stop it: SIGINT, then SIGTERM, then SIGKILL. Idempotent; blocks until it is gone."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for signum, wait_s in _STOP_STEPS:
            if process.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                if signum is signal.SIGINT:
                    process.send_signal(signum)
                else:
                    os.killpg(process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RouterFailed(f"cannot read {path}: {error}") from error
    if not isinstance(config, dict):
        raise RouterFailed(f"{path}: expected an object")
    return config


def _routers(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [worker for worker in config.get("workers", ()) if worker.get("type") == "router"]


def _first_realm(config: Mapping[str, Any]) -> str:
    for worker in _routers(config):
        for realm in worker.get("realms", ()):
            return str(realm["name"])
    return "realm1"


def _find_way_in(config: Mapping[str, Any], host: str, path: Path) -> tuple[int, str]:
    """Give the port and the URL of the first transport on TCP that we speak."""
    for worker in _routers(config):
        for transport in worker.get("transports", ()):
            endpoint = transport.get("endpoint", {})
            if endpoint.get("type") != "tcp" or not isinstance(endpoint.get("port"), int):
                continue
            port, secure = endpoint["port"], "tls" in endpoint
            kind = transport.get("type")
            if kind == "rawsocket":
                return port, f"{'tcps' if secure else 'tcp'}://{host}:{port}"
            resource = _websocket_path(kind, transport)
            if resource is not None:
                return port, f"{'wss' if secure else 'ws'}://{host}:{port}{resource}"
    raise RouterFailed(f"{path} has no WebSocket or RawSocket transport on a TCP port")


def _websocket_path(kind: str | None, transport: Mapping[str, Any]) -> str | None:
    if kind == "websocket":
        return "/"
    if kind == "universal":
        for name in transport.get("websocket", {}):
            return f"/{name}"
    if kind == "web":
        for name, resource in transport.get("paths", {}).items():
            if resource.get("type") == "websocket":
                return "/" if name == "/" else f"/{name}"
    return None
