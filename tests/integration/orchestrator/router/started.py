"""Plans for Routers carried out, and what is tried with them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.manifest.model import Manifest
from orchestrator.router import ANONYMOUS, Credential, RouterLaunch
from tests.manifests import manifest_of
from tests.support import TIME_SCALE, wait_until
from wampy import NotAuthorized, RequestError, Session

ROOT = Path(__file__).parents[4]


class Started:
    """One carried out plan."""

    def __init__(self, launch: RouterLaunch, log: Path) -> None:
        assert launch.argv is not None
        self.launch = launch
        self._log = log
        for path, text in launch.files.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")
        self._notify.setblocking(False)
        address = "@" + self._notify.getsockname()[1:].decode()
        with log.open("w") as output:
            self.process = subprocess.Popen(
                launch.argv,
                cwd=launch.cwd,
                env={**os.environ, **launch.env, "NOTIFY_SOCKET": address},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, "\n".join(self.lines())
            with contextlib.suppress(BlockingIOError):
                return b"READY=1" in self._notify.recv(4096)
            return False

        wait_until(is_ready, 60, "the Router says READY=1")

    def wait_until_ended(self) -> int:
        return self.process.wait(60 * TIME_SCALE)

    def close(self) -> None:
        self._notify.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def manifest(run_dir: Path, **router: Any) -> Manifest:
    return manifest_of(ROOT, run_dir, environ=os.environ, **router)


def join(url: str, credential: Credential = ANONYMOUS) -> Session:
    return Session(
        url,
        realm="realm1",
        authid=credential.authid,
        ticket=credential.secret,
        reconnect=False,
        timeout=10.0,
    )


def is_allowed(attempt: Callable[[], object]) -> bool:
    """Tell whether the Router let it through; that nobody offers the Procedure is no refusal."""
    try:
        attempt()
    except NotAuthorized:
        return False
    except RequestError as error:
        if error.uri != "wamp.error.no_such_procedure":
            raise
    return True


def rights(session: Session, uri: str) -> set[str]:
    """Try everything with ``uri``."""
    attempts: dict[str, Callable[[], object]] = {
        "call": lambda: session.call(uri),
        "register": lambda: session.register(uri, lambda: None).unregister(),
        "publish": lambda: session.publish(uri, acknowledge=True),
        "subscribe": lambda: session.subscribe(uri, lambda *args: None).unsubscribe(),
    }
    return {name for name, attempt in attempts.items() if is_allowed(attempt)}


def join_as(url: str, authentication: Any, **options: Any) -> Session:
    """Give a Session that says who it is in another way than by a ticket."""
    options.setdefault("reconnect", False)
    return Session(url, auth=authentication, realm="realm1", timeout=10.0, **options)
