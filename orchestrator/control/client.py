"""The control socket from the other side: what the commands and ``orchestrator.Stack`` use."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import NoSuchStack, OrchestratorError, Refused, UnknownTarget
from orchestrator.paths import connectable

Outcomes = list[dict[str, Any]]

#: Seconds until a stack that listens must have answered a question.
QUESTION_TIMEOUT_S = 10.0
#: Seconds added to a request's own timeout, so that the stack's answer comes first.
_MARGIN_S = 5.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class ControlClient:
    """Asks a running stack; blocking; each request has a connection of its own, so thread-safe.

    Every method raises NoSuchStack when nobody listens or the stack ends meanwhile, UnknownTarget
    for a Peer or Instance that is not there, TimeoutError when ``timeout_s`` passes first (the
    request itself goes on), and OrchestratorError for everything else that the stack refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Whether the stack ran before we came.
        self.joined = True

    def ps(self, *, timeout_s: float = QUESTION_TIMEOUT_S) -> dict[str, Any]:
        """Give the snapshot that ``wampy ps --json`` prints."""
        answer: dict[str, Any] = self._ask("GET", "ps", None, timeout_s)
        return answer

    def supervisor_pid(self) -> int:
        """Give the supervisor's pid as this process has it; 0 if it cannot be seen from here.

        The kernel says so. What the stack itself says is the pid in a container, where it runs in
        one, which may be anybody's here.
        """
        connection = self._connect("GET", "ps", None, QUESTION_TIMEOUT_S)
        try:
            assert connection.sock is not None
            packed = connection.sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
        finally:
            connection.close()
        return int(struct.unpack("3i", packed)[0])

    def up(
        self,
        names: list[str],
        scale: dict[str, int] | None = None,
        profiles: Sequence[str] = (),
        *,
        timeout_s: float | None = None,
    ) -> Outcomes:
        """Start what is named, or all; gives ``{"instance", "ok", "state", "reason"}`` each."""
        body = {"names": names, "scale": scale or {}, "profiles": list(profiles)}
        return self._act("up", body, timeout_s)

    def start(self, names: list[str], *, timeout_s: float | None = None) -> Outcomes:
        """Start; returns when ready, or when that cannot be."""
        return self._act("start", {"names": names}, timeout_s)

    def stop(self, names: list[str], *, timeout_s: float | None = None) -> Outcomes:
        """Stop, drained."""
        return self._act("stop", {"names": names}, timeout_s)

    def restart(
        self, names: list[str], *, hard: bool = False, timeout_s: float | None = None
    ) -> Outcomes:
        """Restart; rolling where there are replicas, unless ``hard``."""
        return self._act("restart", {"names": names, "hard": hard}, timeout_s)

    def scale(self, scale: dict[str, int], *, timeout_s: float | None = None) -> Outcomes:
        """Have so many Instances of each Peer; returns when new ones are ready, old ones gone."""
        return self._act("scale", {"scale": scale}, timeout_s)

    def reload(self, *, dry_run: bool = False, timeout_s: float | None = None) -> dict[str, Any]:
        """Take over the manifest and the code as they are now.

        Gives ``{"plan": [{"action", "target", "reason"}], "outcomes": [...], "error": text |
        None}``; with an error nothing has changed. ``dry_run``: only the plan.
        """
        answer: dict[str, Any] = self._request("reload", {"dry_run": dry_run}, timeout_s)
        return answer

    def watch(self, *, on: bool = True) -> None:
        """Have it reload whenever a file of the code or the manifest changes; or no more."""
        self._act("watch", {"on": on}, QUESTION_TIMEOUT_S)

    def wait_ready(self, names: list[str], *, timeout_s: float | None = None) -> Outcomes:
        """Wait until all is ready, or cannot be."""
        return self._act("wait", {"names": names}, timeout_s)

    def down(self, *, timeout_s: float | None = None) -> Outcomes:
        """Stop everything in reverse order."""
        return self._act("down", {}, timeout_s)

    def kill(self, *, timeout_s: float | None = 10.0) -> Outcomes:
        """End everything at once."""
        return self._act("kill", {}, timeout_s)

    def signal(self, name: str, signum: int) -> None:
        """Send a signal to a Peer's processes."""
        self._act("signal", {"names": [name], "signal": signum}, QUESTION_TIMEOUT_S)

    def set_level(self, name: str, level: str) -> None:
        """Have a Peer's Instances, or ``stack``, log from DEBUG, INFO, WARNING or ERROR on."""
        self._act("level", {"names": [name], "level": level}, QUESTION_TIMEOUT_S)

    def events(self) -> Iterator[dict[str, Any]]:
        """Give a snapshot, then every transition, until the stack ends; blocks between them."""
        connection = self._connect("GET", "events", None, None)
        try:
            response = connection.getresponse()
            while line := response.readline():
                yield json.loads(line)
        except (ConnectionError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _act(self, what: str, body: dict[str, Any], timeout_s: float | None) -> Outcomes:
        outcomes: Outcomes = self._request(what, body, timeout_s)["outcomes"]
        return outcomes

    def _request(self, what: str, body: dict[str, Any], timeout_s: float | None) -> Any:
        if timeout_s is not None:
            body = {**body, "timeout_s": timeout_s}
        wait_s = None if timeout_s is None else timeout_s + _MARGIN_S
        return self._ask("POST", what, body, wait_s)

    def _connect(
        self, method: str, what: str, body: dict[str, Any] | None, timeout_s: float | None
    ) -> http.client.HTTPConnection:
        connection = _UnixConnection(connectable(self.path), timeout_s)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, f"/v1/{what}", content)
        except (FileNotFoundError, ConnectionError, NotADirectoryError) as error:
            connection.close()
            raise NoSuchStack(f"no stack is running on {self.path.parent}") from error
        except PermissionError as error:
            connection.close()
            raise OrchestratorError(f"{self.path} belongs to another user") from error
        return connection

    def _ask(
        self, method: str, what: str, body: dict[str, Any] | None, timeout_s: float | None
    ) -> Any:
        connection = self._connect(method, what, body, timeout_s)
        try:
            response = connection.getresponse()
            status, content = response.status, response.read()
        except (ConnectionError, http.client.HTTPException) as error:
            raise NoSuchStack(f"the stack on {self.path.parent} ended meanwhile") from error
        finally:
            connection.close()
        answer = json.loads(content)
        if status == 200:
            return answer
        if status == 408:
            raise TimeoutError(answer["error"])
        if status == 404 and "target" in answer:
            unknown = UnknownTarget(answer["target"])
            unknown.args = (answer["error"],)
            raise unknown
        if status == 409:
            raise Refused(answer["error"])
        raise OrchestratorError(answer.get("error", f"HTTP status {status}"))
