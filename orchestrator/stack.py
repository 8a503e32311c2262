"""The whole orchestrator for programs, notebooks and tests.

The supervisor is a process of its own: a program has threads, and the process that forks must not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orchestrator.ending import end_stack
from orchestrator.errors import NoSuchStack, OrchestratorError, Refused
from orchestrator.launch import launch
from orchestrator.manifest import Manifest, load_manifest
from orchestrator.rundir import RunDir

if TYPE_CHECKING:
    from orchestrator.control.client import ControlClient
    from wampy.peer import Peer
    from wampy.session import Session

#: The module under whose name a nursery finds the classes that a program handed over.
HANDED_OVER = "wampy_handed_over"


class Stack:
    """A stack at work, from ``with`` to its end; thread-safe but for its start and end.

    Args:
        peers: Peer classes, also such as are defined in ``__main__``; each is named after itself,
            in lower case.
        options: for each Peer by that name, what ``[peers.NAME]`` may say (``replicas``, …).
        router: what ``[router]`` may say; port 0 (a free one) unless it says otherwise.
        stack: what ``[stack]`` may say.
        profiles: whose Peers are started, too.
        timeout_s: seconds until all must be ready, and until all must have stopped.

    Raises:
        ManifestError: an option is wrong.
    """

    def __init__(
        self,
        peers: Sequence[type[Peer]],
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        router: Mapping[str, Any] | None = None,
        stack: Mapping[str, Any] | None = None,
        profiles: Sequence[str] = (),
        timeout_s: float = 120.0,
    ) -> None:
        self._folder: Path | None = Path(tempfile.mkdtemp(prefix="wampy-"))
        self._classes: Path | None
        path, self._classes = _write_manifest(
            self._folder, peers, options or {}, router or {}, stack or {}
        )
        try:
            self._begin(path, profiles, timeout_s)
        except BaseException:
            self._remove_folder()
            raise

    @classmethod
    def from_manifest(
        cls, path: str | Path, *, profiles: Sequence[str] = (), timeout_s: float = 120.0
    ) -> Self:
        """Give the stack of a manifest; it is started by ``with`` or ``up()``.

        Raises:
            ManifestError: all that is wrong with it.
        """
        stack = cls.__new__(cls)
        stack._folder = None
        stack._classes = None
        stack._begin(Path(path), profiles, timeout_s)
        return stack

    def _begin(self, path: Path, profiles: Sequence[str], timeout_s: float) -> None:
        self.manifest: Manifest = load_manifest(path.resolve(), os.environ)
        self._run_dir = RunDir(self.manifest.stack.run_dir)
        self._profiles = tuple(profiles)
        self._timeout_s = timeout_s
        self._client: ControlClient | None = None
        self._session: Session | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()

    # ------------------------------------------------------------------ life

    def up(self, *, profiles: Sequence[str] = ()) -> None:
        """Start everything and wait until all is ready; joins a stack that already runs.

        ``profiles``: whose Peers are started, too, beside those that the stack was made with.

        Raises:
            OrchestratorError: it does not come up; the text says why, and nothing is left running.
        """
        self._client = launch(self.manifest, classes=self._classes)
        try:
            outcomes = self._client.up(
                [], {}, (*self._profiles, *profiles), timeout_s=self._timeout_s
            )
            _check(outcomes)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stop everything, drained and in reverse; nothing of the stack is left. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.end()
        client, self._client = self._client, None
        if client is not None:
            # Somebody else may have ended it: then there is nothing left to do.
            with contextlib.suppress(NoSuchStack):
                end_stack(client, self._timeout_s)
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------ requests

    @property
    def client(self) -> ControlClient:
        """The client of the control socket.

        Raises:
            OrchestratorError: the stack is not up.
        """
        if self._client is None:
            raise OrchestratorError("the stack is not up; use it in a with statement, or call up()")
        return self._client

    def ps(self) -> dict[str, Any]:
        """Give what ``wampy ps --json`` prints."""
        return self.client.ps()

    def start(self, *names: str) -> None:
        """Start Peers or Instances and wait until they are ready."""
        _check(self.client.start(list(names), timeout_s=self._timeout_s))

    def stop(self, *names: str) -> None:
        """Stop Peers or Instances, drained, and wait until they have stopped."""
        _check(self.client.stop(list(names), timeout_s=self._timeout_s))

    def restart(self, *names: str, hard: bool = False) -> None:
        """Restart Peers or Instances and wait until they are ready again."""
        _check(self.client.restart(list(names), hard=hard, timeout_s=self._timeout_s))

    def scale(self, name: str, replicas: int) -> None:
        """Have so many Instances of a Peer, 0 or more; new ones are ready then, old ones gone."""
        _check(self.client.scale({name: replicas}, timeout_s=self._timeout_s))

    def reload(self) -> list[dict[str, Any]]:
        """Take over what has changed in the manifest and in the code; gives the plan.

        Raises:
            OrchestratorError: it cannot be, and nothing has changed; or an Instance is not ready.
        """
        answer = self.client.reload(timeout_s=self._timeout_s)
        if answer["error"]:
            raise Refused(answer["error"])
        _check(answer["outcomes"])
        plan: list[dict[str, Any]] = answer["plan"]
        return plan

    # ------------------------------------------------------------------ the bus

    @property
    def session(self) -> Session:
        """A Session of the role ``operator`` on the stack's Router; begun at its first use."""
        if self._session is None:
            self._session = operator_session(self._run_dir)
            self._session.begin()
        return self._session

    def call(self, uri: str, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Call a procedure; see ``Session.call``."""
        return self.session.call(uri, *args, timeout=timeout, **kwargs)

    def publish(self, topic: str, *args: Any, **kwargs: Any) -> Any:
        """Publish an event; see ``Session.publish``."""
        return self.session.publish(topic, *args, **kwargs)


def operator_session(run_dir: RunDir) -> Session:
    """Make a Session, not yet begun, with which the commands join a running stack.

    Raises:
        OrchestratorError: no stack is running there.
        ConnectFailed: its Router cannot be reached.
    """
    from wampy.auth import by_method
    from wampy.session import Session

    try:
        how = json.loads(run_dir.tickets.read_text())
    except FileNotFoundError:
        raise OrchestratorError(f"no stack is running on {run_dir.path}") from None
    return Session(how.pop("url"), how.pop("realm"), auth=by_method(**how))


def _check(outcomes: list[dict[str, Any]]) -> None:
    """Raise one error for all Instances that did not get where they should."""
    failed = [o for o in outcomes if not o["ok"]]
    if failed:
        raise OrchestratorError("; ".join(f"{o['instance']}: {o['reason']}" for o in failed))


def _write_manifest(
    folder: Path,
    peers: Sequence[type[Peer]],
    options: Mapping[str, Mapping[str, Any]],
    router: Mapping[str, Any],
    stack: Mapping[str, Any],
) -> tuple[Path, Path]:
    """Write a manifest and the classes it names; gives the paths of both."""
    import dill
    import tomlkit

    names = {cls.__name__.lower(): cls for cls in peers}
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise OrchestratorError(f"options for {unknown[0]!r}, which is none of the peers")
    classes = folder / "classes.pickle"
    with open(classes, "wb") as file:
        # Without recurse a class of __main__ would arrive without the globals that it uses.
        dill.dump({cls.__name__: cls for cls in peers}, file, recurse=True)
    document = {
        "stack": {"name": "stack", **stack},
        "router": router if router.get("type") == "external" else {"port": 0, **router},
        "peers": {
            name: {"app": f"{HANDED_OVER}:{cls.__name__}", **options.get(name, {})}
            for name, cls in names.items()
        },
    }
    path = folder / "wampy.toml"
    path.write_text(tomlkit.dumps(document))
    return path, classes
